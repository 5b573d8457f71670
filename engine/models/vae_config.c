/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every field of a VAE's config.json, in the order of diffusers' constructor. */
#include "engine/models/vae_config.h"

#include <float.h>

#include "engine/error.h"

enum {
    MAX_CHANNELS = 1 << 16,
    MAX_LAYERS = 32,
};

const char *const w2w_vae_config_shape_fields[] = {
    "latent_channels",
    "block_out_channels",
    "layers_per_block",
    "mid_block_add_attention",
    "use_quant_conv",
    "use_post_quant_conv",
    NULL,
};

static void require_rgb(W2wConfig *file, const char *field)
{
    if (w2w_config_get_int(file, field, 3, 1, MAX_CHANNELS) != 3)
        w2w_config_fail(file, W2W_ERROR_UNSUPPORTED, field,
                        "this program can only do pictures of 3 channels");
}

static void read_levels(W2wConfig *file, W2wVaeConfig *config)
{
    static const gint channels[] = {64};
    static const char *const down_types[] = {"DownEncoderBlock2D", NULL};
    static const char *const up_types[] = {"UpDecoderBlock2D", NULL};
    static const guint only_one[] = {0};
    g_autoptr(GArray) widths =
        w2w_config_get_ints(file, "block_out_channels", channels, G_N_ELEMENTS(channels),
                            W2W_VAE_MAX_LEVELS, 1, MAX_CHANNELS);
    guint types[W2W_VAE_MAX_LEVELS];

    config->n_levels = widths->len;
    w2w_config_get_level_choices(file, "down_block_types", widths->len, down_types, only_one, 1,
                                 types);
    w2w_config_get_level_choices(file, "up_block_types", widths->len, up_types, only_one, 1, types);
    for (guint i = 0; i < widths->len; i++) {
        config->channels[i] = g_array_index(widths, gint, i);
        w2w_config_check_divides(file, "norm_num_groups", config->n_groups, "block_out_channels",
                                 config->channels[i]);
    }
}

gboolean w2w_vae_config_read(W2wConfig *file, W2wVaeConfig *config, GError **error)
{
    static const char *const classes[] = {"AutoencoderKL", NULL};
    gint sample_size[2];

    *config = (W2wVaeConfig){0};
    w2w_config_get_choice(file, "_class_name", classes, 0);
    require_rgb(file, "in_channels");
    require_rgb(file, "out_channels");
    config->n_groups = w2w_config_get_int(file, "norm_num_groups", 32, 1, MAX_CHANNELS);
    read_levels(file, config);
    config->n_layers = w2w_config_get_int(file, "layers_per_block", 1, 1, MAX_LAYERS);
    config->activation = w2w_config_get_activation(file, "act_fn");
    config->latent_channels = w2w_config_get_int(file, "latent_channels", 4, 1, MAX_CHANNELS);
    config->scaling_factor =
        w2w_config_get_number(file, "scaling_factor", 0.18215, FLT_MIN, FLT_MAX);
    config->quant_conv = w2w_config_get_switch(file, "use_quant_conv", TRUE);
    config->post_quant_conv = w2w_config_get_switch(file, "use_post_quant_conv", TRUE);
    config->mid_attention = w2w_config_get_switch(file, "mid_block_add_attention", TRUE);
    w2w_config_require_null(file, "shift_factor");
    w2w_config_require_null(file, "latents_mean");
    w2w_config_require_null(file, "latents_std");

    /* No difference to the numbers: where diffusers tiles; all is float32 here anyway. */
    w2w_config_get_level_ints(file, "sample_size", 2, 32, 1, 1 << 20, sample_size);
    w2w_config_ignore(file, "force_upcast", W2W_CONFIG_SWITCH | W2W_CONFIG_NULL);
    return w2w_config_check(file, error);
}
