/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Today's names to older ones. */
#include "tests/models/model_names.h"

#include <stdio.h>
#include <string.h>

static void add(GHashTable *table, const char *name, W2wArray *array)
{
    g_assert_false(g_hash_table_contains(table, name));
    g_hash_table_insert(table, g_strdup(name), w2w_array_ref(array));
}

/* (out,in) as (out,in,1,1) */
static W2wArray *as_convolution(W2wArray *array)
{
    const gint64 shape[] = {array->shape[0], array->shape[1], 1, 1};
    const char *start = g_bytes_get_data(array->owner, NULL);
    W2wArray *view = w2w_array_new_view(array->dtype, 4, shape, NULL, array->owner,
                                        (gsize)((const char *)array->data - start), "A", NULL);

    g_assert_nonnull(view);
    return view;
}

static void add_position_ids(GHashTable *table, const char *name)
{
    enum { N = 77 };
    static gint64 ids[N];
    const gint64 shape[] = {1, N};
    g_autoptr(GBytes) bytes = g_bytes_new_static(ids, sizeof(ids));
    g_autoptr(W2wArray) array =
        w2w_array_new_view(W2W_DTYPE_I64, 2, shape, NULL, bytes, 0, "ids", NULL);

    for (gint64 i = 0; i < N; i++)
        ids[i] = i;
    add(table, name, array);
}

static char *replace(const char *text, const char *from, const char *to)
{
    g_auto(GStrv) parts = g_strsplit(text, from, 2);

    return g_strjoinv(to, parts);
}

/* The first of the pairs that is in the name is replaced; the name as it is where none is. */
static char *replace_any(const char *name, const char *const (*pairs)[2], guint n)
{
    for (guint i = 0; i < n; i++)
        if (strstr(name, pairs[i][0]) != NULL)
            return replace(name, pairs[i][0], pairs[i][1]);
    return g_strdup(name);
}

/* --- UNet --- */

/* Resnets of a down block: one fewer than of an up block. */
static guint count_layers(GHashTable *table)
{
    guint n = 0;

    for (;; n++) {
        g_autofree char *name = g_strdup_printf("down_blocks.0.resnets.%u.conv1.weight", n);

        if (!g_hash_table_contains(table, name))
            return n;
    }
}

static char *resnet_inside(const char *rest)
{
    static const char *const pairs[][2] = {
        {"norm1.", "in_layers.0."},          {"conv1.", "in_layers.2."},
        {"norm2.", "out_layers.0."},         {"conv2.", "out_layers.3."},
        {"time_emb_proj.", "emb_layers.1."}, {"conv_shortcut.", "skip_connection."},
    };

    return replace_any(rest, pairs, G_N_ELEMENTS(pairs));
}

static char *resnet(const char *block, guint i, const char *rest)
{
    g_autofree char *inside = resnet_inside(rest);

    return g_strdup_printf("%s.%u.0.%s", block, i, inside);
}

static char *ldm_unet_name(GHashTable *table, const char *name)
{
    static const char *const pairs[][2] = {
        {"time_embedding.linear_1.", "time_embed.0."},
        {"time_embedding.linear_2.", "time_embed.2."},
        {"conv_in.", "input_blocks.0.0."},
        {"conv_norm_out.", "out.0."},
        {"conv_out.", "out.2."},
    };
    const guint n_layers = count_layers(table);
    guint block, layer;
    int n = 0;

    if (sscanf(name, "down_blocks.%u.resnets.%u.%n", &block, &layer, &n) == 2 && n > 0)
        return resnet("input_blocks", 1 + block * (n_layers + 1) + layer, name + n);
    if (sscanf(name, "down_blocks.%u.attentions.%u.%n", &block, &layer, &n) == 2 && n > 0)
        return g_strdup_printf("input_blocks.%u.1.%s", 1 + block * (n_layers + 1) + layer,
                               name + n);
    if (sscanf(name, "down_blocks.%u.downsamplers.0.conv.%n", &block, &n) == 1 && n > 0)
        return g_strdup_printf("input_blocks.%u.0.op.%s", (block + 1) * (n_layers + 1), name + n);
    if (sscanf(name, "mid_block.resnets.%u.%n", &layer, &n) == 1 && n > 0) {
        g_autofree char *inside = resnet_inside(name + n);

        return g_strdup_printf("middle_block.%u.%s", 2 * layer, inside);
    }
    if (sscanf(name, "mid_block.attentions.%u.%n", &layer, &n) == 1 && n > 0)
        return g_strdup_printf("middle_block.1.%s", name + n);
    if (sscanf(name, "up_blocks.%u.resnets.%u.%n", &block, &layer, &n) == 2 && n > 0)
        return resnet("output_blocks", block * (n_layers + 1) + layer, name + n);
    if (sscanf(name, "up_blocks.%u.attentions.%u.%n", &block, &layer, &n) == 2 && n > 0)
        return g_strdup_printf("output_blocks.%u.1.%s", block * (n_layers + 1) + layer, name + n);
    if (sscanf(name, "up_blocks.%u.upsamplers.0.conv.%n", &block, &n) == 1 && n > 0) {
        g_autofree char *norm = g_strdup_printf("up_blocks.%u.attentions.0.norm.weight", block);

        return g_strdup_printf("output_blocks.%u.%d.conv.%s", block * (n_layers + 1) + n_layers,
                               g_hash_table_contains(table, norm) ? 2 : 1, name + n);
    }
    return replace_any(name, pairs, G_N_ELEMENTS(pairs));
}

/* --- VAE --- */

static const char *const old_projections[][2] = {
    {".to_q.", ".query."},
    {".to_k.", ".key."},
    {".to_v.", ".value."},
    {".to_out.0.", ".proj_attn."},
};

static gboolean is_projection(const char *name)
{
    g_autofree char *old = replace_any(name, old_projections, G_N_ELEMENTS(old_projections));

    return !g_str_equal(old, name) && g_str_has_suffix(name, ".weight");
}

static guint count_levels(GHashTable *table)
{
    guint n = 0;

    for (;; n++) {
        g_autofree char *name = g_strdup_printf("encoder.down_blocks.%u.resnets.0.conv1.weight", n);

        if (!g_hash_table_contains(table, name))
            return n;
    }
}

static char *ldm_vae_name(GHashTable *table, const char *name)
{
    static const char *const attention[][2] = {
        {".group_norm.", ".norm."},   {".to_q.", ".q."}, {".to_k.", ".k."}, {".to_v.", ".v."},
        {".to_out.0.", ".proj_out."},
    };
    static const char *const pairs[][2] = {
        {"mid_block.resnets.0.", "mid.block_1."},
        {"mid_block.resnets.1.", "mid.block_2."},
        {"mid_block.attentions.0.", "mid.attn_1."},
        {"conv_norm_out.", "norm_out."},
    };
    g_autofree char *shortcut = replace(name, "conv_shortcut.", "nin_shortcut.");
    g_autofree char *inside = NULL;
    guint block, layer;
    int n = 0;

    name = shortcut;
    if (sscanf(name, "encoder.down_blocks.%u.resnets.%u.%n", &block, &layer, &n) == 2 && n > 0)
        return g_strdup_printf("encoder.down.%u.block.%u.%s", block, layer, name + n);
    if (sscanf(name, "encoder.down_blocks.%u.downsamplers.0.%n", &block, &n) == 1 && n > 0)
        return g_strdup_printf("encoder.down.%u.downsample.%s", block, name + n);
    if (sscanf(name, "decoder.up_blocks.%u.resnets.%u.%n", &block, &layer, &n) == 2 && n > 0)
        return g_strdup_printf("decoder.up.%u.block.%u.%s", count_levels(table) - 1 - block, layer,
                               name + n);
    if (sscanf(name, "decoder.up_blocks.%u.upsamplers.0.%n", &block, &n) == 1 && n > 0)
        return g_strdup_printf("decoder.up.%u.upsample.%s", count_levels(table) - 1 - block,
                               name + n);
    inside = strstr(name, ".attentions.") != NULL
                 ? replace_any(name, attention, G_N_ELEMENTS(attention))
                 : g_strdup(name);
    return replace_any(inside, pairs, G_N_ELEMENTS(pairs));
}

/* --- all --- */

static const char *without_text_model(const char *name)
{
    return g_str_has_prefix(name, "text_model.") ? name + strlen("text_model.") : name;
}

GHashTable *model_names_of(GHashTable *table, W2wModelPart part, ModelNames names)
{
    const gboolean is_ldm = names == MODEL_NAMES_LDM || names == MODEL_NAMES_LDM_OLD_TEXT;
    const gboolean is_old_text = names == MODEL_NAMES_OLD_TEXT || names == MODEL_NAMES_LDM_OLD_TEXT;
    GHashTable *old = w2w_weight_table_new();
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const gboolean is_conv =
            part == W2W_PART_VAE && names != MODEL_NAMES_OLD && is_projection(key);
        g_autoptr(W2wArray) array = is_conv ? as_convolution(value) : w2w_array_ref(value);
        g_autofree char *name = NULL;
        g_autofree char *whole = NULL;

        switch (part) {
        case W2W_PART_UNET:
            name = is_ldm ? ldm_unet_name(table, key) : g_strdup(key);
            whole = g_strconcat(is_ldm ? "model.diffusion_model." : "", name, NULL);
            break;
        case W2W_PART_VAE:
            name = is_ldm ? ldm_vae_name(table, key)
                          : replace_any(key, old_projections, G_N_ELEMENTS(old_projections));
            whole = g_strconcat(is_ldm ? "first_stage_model." : "", name, NULL);
            break;
        case W2W_PART_TEXT_ENCODER:
            whole = g_strconcat(is_ldm ? "cond_stage_model.transformer." : "",
                                is_old_text ? without_text_model(key) : (const char *)key, NULL);
            break;
        }
        add(old, whole, array);
    }
    if (part == W2W_PART_TEXT_ENCODER) {
        g_autofree char *ids =
            g_strconcat(is_ldm ? "cond_stage_model.transformer." : "",
                        is_old_text ? "" : "text_model.", "embeddings.position_ids", NULL);

        add_position_ids(old, ids);
    }
    return old;
}
