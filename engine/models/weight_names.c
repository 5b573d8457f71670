/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Older names of weights. */
#include "engine/models/weight_names.h"

#include <string.h>

/* --- VAE --- */

static const struct {
    const char *old, *now;
} projections[] = {
    {".query.", ".to_q."},
    {".key.", ".to_k."},
    {".value.", ".to_v."},
    {".proj_attn.", ".to_out.0."},
};

static char *renew_vae_name(const char *name)
{
    const char *attention = strstr(name, ".attentions.");

    for (guint i = 0; attention != NULL && i < G_N_ELEMENTS(projections); i++) {
        const char *old = strstr(attention, projections[i].old);

        if (old != NULL)
            return g_strdup_printf("%.*s%s%s", (int)(old - name), name, projections[i].now,
                                   old + strlen(projections[i].old));
    }
    return g_strdup(name);
}

static gboolean is_projection(const char *name)
{
    const char *attention = strstr(name, ".attentions.");

    for (guint i = 0; attention != NULL && i < G_N_ELEMENTS(projections); i++)
        if (strstr(attention, projections[i].now) != NULL)
            return TRUE;
    return FALSE;
}

static W2wArray *renew_vae_array(const char *name, W2wArray *array)
{
    if (array->n_dims == 4 && array->shape[2] == 1 && array->shape[3] == 1 && is_projection(name))
        return w2w_weight_table_leave_dims(array, 2);
    return w2w_array_ref(array);
}

/* --- text encoder --- */

/* NULL: no weight of the model. */
static char *renew_text_name(const char *name)
{
    static const char *const beginnings[] = {"embeddings.", "encoder.", "final_layer_norm."};

    if (g_str_has_suffix(name, "embeddings.position_ids") ||
        g_str_equal(name, "text_projection.weight"))
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(beginnings); i++)
        if (g_str_has_prefix(name, beginnings[i]))
            return g_strconcat("text_model.", name, NULL);
    return g_strdup(name);
}

/* --- all --- */

GHashTable *w2w_weight_names_renew(GHashTable *table, W2wModelPart part, const char *file,
                                   GError **error)
{
    g_autoptr(GHashTable) renewed = w2w_weight_table_new();
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &array)) {
        g_autofree char *new_name = NULL;
        g_autoptr(W2wArray) new_array = NULL;

        switch (part) {
        case W2W_PART_TEXT_ENCODER:
            new_name = renew_text_name(name);
            new_array = w2w_array_ref(array);
            break;
        case W2W_PART_UNET:
            new_name = g_strdup(name);
            new_array = w2w_array_ref(array);
            break;
        case W2W_PART_VAE:
            new_name = renew_vae_name(name);
            new_array = renew_vae_array(new_name, array);
            break;
        }
        if (new_name != NULL && !w2w_weight_table_add(renewed, new_name, new_array, file, error))
            return NULL;
    }
    return g_steal_pointer(&renewed);
}
