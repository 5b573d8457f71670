/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Settings from the shapes of arrays. Their names are diffusers' by now; what makes no sense
 * gives settings that make none, which the model then says.
 */
#include "engine/error.h"
#include "engine/models/checkpoint.h"

/* Beyond what the models take; ends the counting of what a file claims. */
#define MAX_COUNT 300

/* CLIP's text encoders have as many heads as fit at this width. */
#define TEXT_HEAD_WIDTH 64

static W2wArray *find(GHashTable *arrays, const char *format, guint i, guint j)
{
    g_autofree char *name = g_strdup_printf(format, i, j);

    return g_hash_table_lookup(arrays, name);
}

/* 0 where there is no such array or dimension. */
static gint64 size_of(const W2wArray *array, guint dimension)
{
    return array != NULL && dimension < array->n_dims ? array->shape[dimension] : 0;
}

static gint64 size_at(GHashTable *arrays, const char *name, guint dimension)
{
    return size_of(g_hash_table_lookup(arrays, name), dimension);
}

/* How many there are with second numbers 0, 1, 2 …, the first being `i`. */
static guint count(GHashTable *arrays, const char *format, guint i)
{
    guint n = 0;

    while (n < MAX_COUNT && find(arrays, format, i, n) != NULL)
        n++;
    return n;
}

/* How many there are with first numbers 0, 1, 2 …, the second being 0. */
static guint count_first(GHashTable *arrays, const char *format)
{
    guint n = 0;

    while (n < MAX_COUNT && find(arrays, format, n, 0) != NULL)
        n++;
    return n;
}

static void set_int(JsonObject *settings, const char *field, gint64 value)
{
    json_object_set_int_member(settings, field, value);
}

/* The number where all are the same, else the list. */
static void set_ints(JsonObject *settings, const char *field, const guint *values, guint n)
{
    JsonArray *list = json_array_new();
    gboolean same = n > 0;

    for (guint i = 0; i < n; i++) {
        json_array_add_int_element(list, values[i]);
        same = same && values[i] == values[0];
    }
    if (same) {
        json_array_unref(list);
        set_int(settings, field, values[0]);
    } else {
        json_object_set_array_member(settings, field, list);
    }
}

/* One of two words for each level. */
static void set_types(JsonObject *settings, const char *field, const gboolean *values, guint n,
                      const char *yes, const char *no)
{
    JsonArray *list = json_array_new();

    for (guint i = 0; i < n; i++)
        json_array_add_string_element(list, values[i] ? yes : no);
    json_object_set_array_member(settings, field, list);
}

/* --- UNet --- */

#define TRANSFORMER "attentions.0.transformer_blocks.%u."

/* Blocks in the transformers of a level; those in the middle are of the last one. */
static guint count_transformers(GHashTable *arrays, guint level, guint n_levels)
{
    guint n = 0;

    if (find(arrays, "down_blocks.%u.attentions.%u.norm.weight", level, 0) != NULL)
        return count(arrays, "down_blocks.%u." TRANSFORMER "norm1.weight", level);
    if (find(arrays, "up_blocks.%u.attentions.%u.norm.weight", n_levels - 1 - level, 0) != NULL)
        return count(arrays, "up_blocks.%u." TRANSFORMER "norm1.weight", n_levels - 1 - level);
    if (level < n_levels - 1 ||
        !g_hash_table_contains(arrays, "mid_block.attentions.0.norm.weight"))
        return 1;
    while (n < MAX_COUNT && find(arrays, "mid_block." TRANSFORMER "norm1.weight", n, 0) != NULL)
        n++;
    return n;
}

static void set_unet_levels(JsonObject *settings, GHashTable *arrays)
{
    const char *resnet = "down_blocks.%u.resnets.%u.conv1.weight";
    const guint n = MIN(count_first(arrays, resnet), MAX_COUNT);
    guint layers[MAX_COUNT], transformers[MAX_COUNT];
    gboolean down[MAX_COUNT], up[MAX_COUNT];
    JsonArray *widths = json_array_new();

    for (guint i = 0; i < n; i++) {
        json_array_add_int_element(widths, size_of(find(arrays, resnet, i, 0), 0));
        layers[i] = count(arrays, resnet, i);
        transformers[i] = count_transformers(arrays, i, n);
        down[i] = find(arrays, "down_blocks.%u.attentions.%u.norm.weight", i, 0) != NULL;
        up[i] = find(arrays, "up_blocks.%u.attentions.%u.norm.weight", i, 0) != NULL;
    }
    json_object_set_array_member(settings, "block_out_channels", widths);
    set_types(settings, "down_block_types", down, n, "CrossAttnDownBlock2D", "DownBlock2D");
    set_types(settings, "up_block_types", up, n, "CrossAttnUpBlock2D", "UpBlock2D");
    set_ints(settings, "layers_per_block", layers, n);
    set_ints(settings, "transformer_layers_per_block", transformers, n);
}

static void set_unet_transformers(JsonObject *settings, GHashTable *arrays)
{
    GHashTableIter iter;
    gpointer name, array;

    json_object_set_string_member(settings, "mid_block_type", "UNetMidBlock2DCrossAttn");
    if (g_hash_table_lookup(arrays, "mid_block.resnets.0.conv1.weight") == NULL)
        json_object_set_null_member(settings, "mid_block_type");
    else if (g_hash_table_lookup(arrays, "mid_block.attentions.0.norm.weight") == NULL)
        json_object_set_string_member(settings, "mid_block_type", "UNetMidBlock2D");
    g_hash_table_iter_init(&iter, arrays);
    while (g_hash_table_iter_next(&iter, &name, &array)) {
        if (g_str_has_suffix(name, ".attn2.to_k.weight"))
            set_int(settings, "cross_attention_dim", size_of(array, 1));
        if (g_str_has_suffix(name, ".proj_in.weight"))
            json_object_set_boolean_member(settings, "use_linear_projection",
                                           ((const W2wArray *)array)->n_dims == 2);
    }
}

static JsonObject *get_unet_settings(GHashTable *arrays)
{
    JsonObject *settings = json_object_new();
    const gint64 width = size_at(arrays, "conv_in.weight", 0);
    const gint64 time_width = size_at(arrays, "time_embedding.linear_1.weight", 0);

    json_object_set_string_member(settings, "_class_name", "UNet2DConditionModel");
    json_object_set_string_member(settings, "act_fn", "silu");
    set_int(settings, "attention_head_dim", 8); /* the number of heads */
    set_unet_levels(settings, arrays);
    json_object_set_boolean_member(settings, "center_input_sample", FALSE);
    set_int(settings, "conv_in_kernel", size_at(arrays, "conv_in.weight", 2));
    set_int(settings, "conv_out_kernel", size_at(arrays, "conv_out.weight", 2));
    set_unet_transformers(settings, arrays);
    set_int(settings, "downsample_padding", 1);
    json_object_set_boolean_member(settings, "flip_sin_to_cos", TRUE);
    set_int(settings, "freq_shift", 0);
    set_int(settings, "in_channels", size_at(arrays, "conv_in.weight", 1));
    set_int(settings, "mid_block_scale_factor", 1);
    json_object_set_double_member(settings, "norm_eps", 1e-5);
    set_int(settings, "norm_num_groups", 32);
    set_int(settings, "out_channels", size_at(arrays, "conv_out.weight", 0));
    set_int(settings, "sample_size", 64);
    if (time_width != 4 * width)
        set_int(settings, "time_embedding_dim", time_width);
    return settings;
}

/* --- VAE --- */

static JsonObject *get_vae_settings(GHashTable *arrays)
{
    const char *resnet = "encoder.down_blocks.%u.resnets.%u.conv1.weight";
    const guint n = MIN(count_first(arrays, resnet), MAX_COUNT);
    gboolean all[MAX_COUNT];
    JsonObject *settings = json_object_new();
    JsonArray *widths = json_array_new();

    for (guint i = 0; i < n; i++) {
        json_array_add_int_element(widths, size_of(find(arrays, resnet, i, 0), 0));
        all[i] = TRUE;
    }
    json_object_set_string_member(settings, "_class_name", "AutoencoderKL");
    json_object_set_string_member(settings, "act_fn", "silu");
    json_object_set_array_member(settings, "block_out_channels", widths);
    set_types(settings, "down_block_types", all, n, "DownEncoderBlock2D", NULL);
    set_int(settings, "in_channels", size_at(arrays, "encoder.conv_in.weight", 1));
    set_int(settings, "latent_channels", size_at(arrays, "decoder.conv_in.weight", 1));
    set_int(settings, "layers_per_block", count(arrays, resnet, 0));
    json_object_set_boolean_member(
        settings, "mid_block_add_attention",
        g_hash_table_lookup(arrays, "decoder.mid_block.attentions.0.to_q.weight") != NULL);
    set_int(settings, "norm_num_groups", 32);
    set_int(settings, "out_channels", size_at(arrays, "decoder.conv_out.weight", 0));
    set_int(settings, "sample_size", 512);
    json_object_set_double_member(settings, "scaling_factor", 0.18215);
    set_types(settings, "up_block_types", all, n, "UpDecoderBlock2D", NULL);
    json_object_set_boolean_member(settings, "use_quant_conv",
                                   g_hash_table_contains(arrays, "quant_conv.weight"));
    json_object_set_boolean_member(settings, "use_post_quant_conv",
                                   g_hash_table_contains(arrays, "post_quant_conv.weight"));
    return settings;
}

/* --- text encoder --- */

static JsonObject *get_text_settings(GHashTable *arrays, const char *path, GError **error)
{
    const char *tokens = "text_model.embeddings.token_embedding.weight";
    const char *positions = "text_model.embeddings.position_embedding.weight";
    const char *fc1 = "text_model.encoder.layers.%u.mlp.fc1.weight";
    const gint64 width = size_at(arrays, tokens, 1);
    JsonArray *architectures;
    JsonObject *settings;

    if (width % TEXT_HEAD_WIDTH != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The text encoder of %s is %" G_GINT64_FORMAT
                    " wide, and nothing in the file says how many heads its attentions have. A "
                    "folder beside the file, called like it but without the extension, can say "
                    "so in text_encoder/config.json.",
                    path, width);
        return NULL;
    }
    settings = json_object_new();
    architectures = json_array_new();
    json_array_add_string_element(architectures, "CLIPTextModel");
    json_object_set_array_member(settings, "architectures", architectures);
    set_int(settings, "bos_token_id",
            0); /* as wrong as in every such folder; the tokenizer knows */
    set_int(settings, "eos_token_id", 2);
    set_int(settings, "pad_token_id", 1);
    json_object_set_string_member(settings, "hidden_act", "quick_gelu");
    set_int(settings, "hidden_size", width);
    set_int(settings, "intermediate_size", size_of(find(arrays, fc1, 0, 0), 0));
    json_object_set_double_member(settings, "layer_norm_eps", 1e-5);
    set_int(settings, "max_position_embeddings", size_at(arrays, positions, 0));
    json_object_set_string_member(settings, "model_type", "clip_text_model");
    set_int(settings, "num_attention_heads", width / TEXT_HEAD_WIDTH);
    set_int(settings, "num_hidden_layers", count_first(arrays, fc1));
    set_int(settings, "projection_dim", width);
    set_int(settings, "vocab_size", size_at(arrays, tokens, 0));
    return settings;
}

JsonObject *w2w_checkpoint_get_settings(GHashTable *arrays, W2wModelPart part, const char *path,
                                        GError **error)
{
    switch (part) {
    case W2W_PART_TEXT_ENCODER:
        return get_text_settings(arrays, path, error);
    case W2W_PART_UNET:
        return get_unet_settings(arrays);
    case W2W_PART_VAE:
        return get_vae_settings(arrays);
    }
    g_assert_not_reached();
}
