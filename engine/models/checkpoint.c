/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a checkpoint. */
#include "engine/models/checkpoint.h"

#include <string.h>

#include "engine/error.h"
#include "engine/models/ldm_names.h"
#include "engine/models/weight_names.h"

#define UNET_PREFIX "model.diffusion_model."
#define VAE_PREFIX  "first_stage_model."
#define TEXT_PREFIX "cond_stage_model.transformer."

static gboolean has_prefix(GHashTable *table, const char *prefix)
{
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        if (g_str_has_prefix(name, prefix))
            return TRUE;
    return FALSE;
}

/* --- other kinds of checkpoints --- */

static const struct {
    const char *prefix, *kind;
} other_kinds[] = {
    {"conditioner.", "Stable Diffusion XL"},
    {"cond_stage_model.model.", "Stable Diffusion 2 (its text encoder is OpenCLIP)"},
    {UNET_PREFIX "label_emb.", "Stable Diffusion XL or another that takes more than a text"},
    {UNET_PREFIX "joint_blocks.", "Stable Diffusion 3"},
    {UNET_PREFIX "double_blocks.", "Flux"},
    {"control_model.", "ControlNet"},
    {"v_pred", "a model that predicts velocities (v-prediction)"},
    {"ztsnr", "a model whose noise schedule ends without signal"},
};

static gboolean refuse(const char *path, const char *kind, const char *shown_by, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "%s is a checkpoint of another kind: %s, as %s shows. This program runs Stable "
                "Diffusion 1.x.",
                path, kind, shown_by);
    return FALSE;
}

/* The UNet of inpainting also gets a mask and a masked picture. */
static gboolean check_unet_channels(GHashTable *unet, const char *path, GError **error)
{
    const W2wArray *in = g_hash_table_lookup(unet, "conv_in.weight");
    const W2wArray *out = g_hash_table_lookup(unet, "conv_out.weight");
    g_autofree char *shown_by = NULL;

    if (in == NULL || out == NULL || in->n_dims != 4 || out->n_dims != 4 ||
        in->shape[1] == out->shape[0])
        return TRUE; /* what else is wrong the model says */
    shown_by = g_strdup_printf("\"" UNET_PREFIX
                               "input_blocks.0.0.weight\" with its %" G_GINT64_FORMAT " channels",
                               in->shape[1]);
    return refuse(path,
                  in->shape[1] == 2 * out->shape[0] + 1 ? "inpainting"
                  : in->shape[1] == 2 * out->shape[0]   ? "a model that takes a picture beside "
                                                          "the text (InstructPix2Pix)"
                                                        : "a UNet that takes more than latents",
                  shown_by, error);
}

static gboolean refuse_other_kinds(GHashTable *table, const char *path, GError **error)
{
    g_autoptr(GPtrArray) names = w2w_weight_table_get_names(table);

    for (guint i = 0; i < G_N_ELEMENTS(other_kinds); i++) {
        for (guint j = 0; j < names->len; j++) {
            g_autofree char *shown_by = NULL;

            if (!g_str_has_prefix(names->pdata[j], other_kinds[i].prefix))
                continue;
            shown_by = g_strdup_printf("\"%s\"", (const char *)names->pdata[j]);
            return refuse(path, other_kinds[i].kind, shown_by, error);
        }
    }
    return TRUE;
}

/* --- the parts --- */

static GHashTable *fail_missing(const char *path, const char *what, const char *prefix,
                                const char *advice, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s holds no %s: no name in it begins with \"%s\".%s", path, what, prefix, advice);
    return NULL;
}

static GHashTable *read_unet(GHashTable *table, const char *path, GError **error)
{
    g_autoptr(GHashTable) ema = NULL;
    g_autoptr(GHashTable) unet = NULL;

    /* The average is for those who go on training, unless it is all there is. */
    if (!has_prefix(table, UNET_PREFIX)) {
        ema = w2w_ldm_names_of_ema(table, path, error);
        if (ema == NULL)
            return NULL;
        if (g_hash_table_size(ema) == 0)
            return fail_missing(path, "UNet", UNET_PREFIX, "", error);
    }
    unet = w2w_ldm_names_of_unet(ema != NULL ? ema : table, UNET_PREFIX, path, error);
    if (unet == NULL || !check_unet_channels(unet, path, error))
        return NULL;
    return g_steal_pointer(&unet);
}

static GHashTable *read_vae(GHashTable *table, const char *path, GError **error)
{
    g_autoptr(GHashTable) vae = NULL;

    if (has_prefix(table, VAE_PREFIX "decoder."))
        vae = w2w_ldm_names_of_vae(table, VAE_PREFIX, path, error);
    else if (has_prefix(table, "decoder.up."))
        vae = w2w_ldm_names_of_vae(table, "", path, error);
    else if (has_prefix(table, "decoder.up_blocks."))
        vae = g_hash_table_ref(table);
    else
        return fail_missing(path, "VAE", VAE_PREFIX,
                            " Join the two with “w2w convert CHECKPOINT --vae VAE -o FOLDER”, and "
                            "use the folder.",
                            error);
    /* Its attentions are 1×1 convolutions. */
    return vae != NULL ? w2w_weight_names_renew(vae, W2W_PART_VAE, path, error) : NULL;
}

static GHashTable *read_text_encoder(GHashTable *table, const char *path, GError **error)
{
    g_autoptr(GHashTable) text = w2w_weight_table_new();
    GHashTableIter iter;
    gpointer name, array;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &array))
        if (g_str_has_prefix(name, TEXT_PREFIX) &&
            !w2w_weight_table_add(text, (const char *)name + strlen(TEXT_PREFIX), array, path,
                                  error))
            return NULL;
    if (g_hash_table_size(text) == 0)
        return fail_missing(path, "text encoder", TEXT_PREFIX, "", error);
    return w2w_weight_names_renew(text, W2W_PART_TEXT_ENCODER, path, error);
}

GHashTable *w2w_checkpoint_read(const char *path, W2wModelPart part, GError **error)
{
    g_autoptr(GHashTable) table = w2w_weight_table_new();

    if (!w2w_weight_table_add_file(table, path, error) || !refuse_other_kinds(table, path, error))
        return NULL;
    switch (part) {
    case W2W_PART_TEXT_ENCODER:
        return read_text_encoder(table, path, error);
    case W2W_PART_UNET:
        return read_unet(table, path, error);
    case W2W_PART_VAE:
        return read_vae(table, path, error);
    }
    g_assert_not_reached();
}
