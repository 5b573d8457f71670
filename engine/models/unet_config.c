/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every field of a UNet's config.json, in the order of diffusers' constructor.
 *
 * The limits are far beyond any model; they keep products of sizes in 64 bits and the graph
 * of a senseless file small.
 */
#include "engine/models/unet_config.h"

#include "engine/error.h"

enum {
    MAX_CHANNELS = 1 << 16,
    MAX_LAYERS = 32,
    MAX_TRANSFORMER_LAYERS = 32,
};

const char *const w2w_unet_config_shape_fields[] = {
    "in_channels",          "out_channels",          "block_out_channels",
    "layers_per_block",     "cross_attention_dim",   "down_block_types",
    "mid_block_type",       "up_block_types",        "transformer_layers_per_block",
    "only_cross_attention", "use_linear_projection", "time_embedding_dim",
    "conv_in_kernel",       "conv_out_kernel",       NULL,
};

static void read_levels(W2wConfig *file, W2wUnetConfig *config)
{
    static const gint channels[] = {320, 640, 1280, 1280};
    static const char *const down_types[] = {"CrossAttnDownBlock2D", "DownBlock2D", NULL};
    static const char *const up_types[] = {"CrossAttnUpBlock2D", "UpBlock2D", NULL};
    static const guint default_down[] = {0, 0, 0, 1}, default_up[] = {1, 0, 0, 0};
    static const char *const mid_types[] = {"UNetMidBlock2DCrossAttn", "UNetMidBlock2D", NULL};
    g_autoptr(GArray) widths =
        w2w_config_get_ints(file, "block_out_channels", channels, G_N_ELEMENTS(channels),
                            W2W_UNET_MAX_LEVELS, 1, MAX_CHANNELS);
    const guint n = widths->len;
    guint down[W2W_UNET_MAX_LEVELS], up[W2W_UNET_MAX_LEVELS];
    gint layers[W2W_UNET_MAX_LEVELS], heads[W2W_UNET_MAX_LEVELS];
    gint transformer_layers[W2W_UNET_MAX_LEVELS], text_widths[W2W_UNET_MAX_LEVELS];
    gboolean only_cross[W2W_UNET_MAX_LEVELS];

    config->n_levels = n;
    w2w_config_get_level_choices(file, "down_block_types", n, down_types, default_down,
                                 G_N_ELEMENTS(default_down), down);
    config->mid = w2w_config_get_optional_choice(file, "mid_block_type", mid_types, 0);
    w2w_config_get_level_choices(file, "up_block_types", n, up_types, default_up,
                                 G_N_ELEMENTS(default_up), up);
    w2w_config_get_level_switches(file, "only_cross_attention", n, FALSE, only_cross);
    w2w_config_get_level_ints(file, "layers_per_block", n, 2, 1, MAX_LAYERS, layers);
    w2w_config_get_level_ints(file, "cross_attention_dim", n, 1280, 1, MAX_CHANNELS, text_widths);
    w2w_config_get_level_ints(file, "transformer_layers_per_block", n, 1, 0, MAX_TRANSFORMER_LAYERS,
                              transformer_layers);
    /* The name is diffusers' own mistake: it is the number of heads. */
    w2w_config_get_level_ints(file, "attention_head_dim", n, 8, 1, MAX_CHANNELS, heads);
    config->text_width = text_widths[0];
    for (guint i = 0; i < n; i++) {
        W2wUnetLevel *level = &config->level[i];
        const gint n_channels = g_array_index(widths, gint, i);

        level->n_channels = n_channels;
        level->n_layers = layers[i];
        level->n_heads = heads[i];
        level->n_transformer_layers = transformer_layers[i];
        level->only_cross_attention = only_cross[i];
        level->down_attention = down[i] == 0;
        level->up_attention = up[n - 1 - i] == 0; /* up blocks are listed coarsest first */
        w2w_config_check_divides(file, "norm_num_groups", config->n_groups, "block_out_channels",
                                 n_channels);
        if (level->down_attention || level->up_attention ||
            (i == n - 1 && config->mid == W2W_UNET_MID_CROSS_ATTENTION))
            w2w_config_check_divides(file, "attention_head_dim", heads[i], "block_out_channels",
                                     n_channels);
        if (text_widths[i] != text_widths[0])
            w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, "cross_attention_dim",
                            "one text can only have one width");
    }
}

static void read_sample_size(W2wConfig *file, W2wUnetConfig *config)
{
    gint sizes[2];

    config->sample_size = 0;
    if (!w2w_config_is_null_or_missing(file, "sample_size")) {
        w2w_config_get_level_ints(file, "sample_size", 2, 0, 1, MAX_CHANNELS, sizes);
        config->sample_size = sizes[0];
        if (sizes[0] != sizes[1])
            w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, "sample_size",
                            "this program can only do square ones");
    }
}

static void read_time_embedding(W2wConfig *file, W2wUnetConfig *config)
{
    static const char *const types[] = {"positional", NULL};
    const gint n_channels = config->level[0].n_channels;

    w2w_config_get_choice(file, "time_embedding_type", types, 0);
    config->time_width =
        w2w_config_get_optional_int(file, "time_embedding_dim", 4 * n_channels, MAX_CHANNELS);
    config->flip_sin_to_cos = w2w_config_get_switch(file, "flip_sin_to_cos", TRUE);
    config->freq_shift = (float)w2w_config_get_number(file, "freq_shift", 0.0, -1e6, 1e6);
    if (w2w_config_is_good(file) && config->freq_shift >= (float)(n_channels / 2))
        w2w_config_fail(file, W2W_ERROR_FORMAT, "freq_shift",
                        "it must be less than half of the first level's %d channels", n_channels);
    if (w2w_config_is_good(file) && n_channels % 2 != 0)
        w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, "block_out_channels",
                        "this program can only do an even number at the first level");
}

static gint read_kernel(W2wConfig *file, const char *field)
{
    const gint kernel = w2w_config_get_int(file, field, 3, 1, 99);

    if (kernel != 1 && kernel != 3)
        w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, field, "this program can only do 1 and 3");
    return kernel;
}

/* What other kinds of models have, and what makes no difference to the numbers. */
static void read_the_rest(W2wConfig *file)
{
    static const char *const classes[] = {"UNet2DConditionModel", NULL};
    static const char *const default_only[] = {"default", NULL};

    w2w_config_get_choice(file, "_class_name", classes, 0);
    w2w_config_require_off(file, "center_input_sample");
    w2w_config_require_number(file, "mid_block_scale_factor", 1.0);
    w2w_config_require_number(file, "resnet_out_scale_factor", 1.0);
    w2w_config_require_null(file, "num_attention_heads");
    w2w_config_require_null(file, "reverse_transformer_layers_per_block");
    w2w_config_require_null(file, "encoder_hid_dim");
    w2w_config_require_null(file, "encoder_hid_dim_type");
    w2w_config_require_off(file, "dual_cross_attention");
    w2w_config_require_null(file, "class_embed_type");
    w2w_config_require_null(file, "addition_embed_type");
    w2w_config_require_null(file, "addition_time_embed_dim");
    w2w_config_require_null(file, "num_class_embeds");
    w2w_config_get_choice(file, "resnet_time_scale_shift", default_only, 0);
    w2w_config_require_off(file, "resnet_skip_time_act");
    w2w_config_require_null(file, "time_embedding_act_fn");
    w2w_config_require_null(file, "timestep_post_act");
    w2w_config_require_null(file, "time_cond_proj_dim");
    w2w_config_require_null(file, "projection_class_embeddings_input_dim");
    w2w_config_get_optional_choice(file, "attention_type", default_only, 0);
    w2w_config_require_off(file, "class_embeddings_concat");
    w2w_config_require_null(file, "cross_attention_norm");

    w2w_config_get_number(file, "dropout", 0.0, 0.0, 1.0); /* training only */
    w2w_config_ignore(file, "upcast_attention",            /* all is float32 here */
                      W2W_CONFIG_SWITCH | W2W_CONFIG_NULL);
    w2w_config_ignore(file, "mid_block_only_cross_attention", /* of another mid block */
                      W2W_CONFIG_SWITCH | W2W_CONFIG_NULL);
    w2w_config_ignore(file, "addition_embed_type_num_heads", /* of no addition_embed_type */
                      W2W_CONFIG_NUMBER);
}

gboolean w2w_unet_config_read(W2wConfig *file, W2wUnetConfig *config, GError **error)
{
    gint n_out;

    *config = (W2wUnetConfig){0};
    read_sample_size(file, config);
    config->n_channels = w2w_config_get_int(file, "in_channels", 4, 1, MAX_CHANNELS);
    n_out = w2w_config_get_int(file, "out_channels", 4, 1, MAX_CHANNELS);
    if (n_out != config->n_channels)
        w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, "out_channels",
                        "this program can only do as many as in_channels, %d", config->n_channels);
    config->n_groups = w2w_config_get_int(file, "norm_num_groups", 32, 1, MAX_CHANNELS);
    config->eps = (float)w2w_config_get_number(file, "norm_eps", 1e-5, 0.0, 1.0);
    config->activation = w2w_config_get_activation(file, "act_fn");
    config->linear_projection = w2w_config_get_switch(file, "use_linear_projection", FALSE);
    config->downsample_padding = w2w_config_get_int(file, "downsample_padding", 1, 0, 99);
    if (config->downsample_padding > 1)
        w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, "downsample_padding",
                        "this program can only do 0 and 1");
    config->conv_in_kernel = read_kernel(file, "conv_in_kernel");
    config->conv_out_kernel = read_kernel(file, "conv_out_kernel");
    read_levels(file, config);
    read_time_embedding(file, config);
    read_the_rest(file);
    return w2w_config_check(file, error);
}
