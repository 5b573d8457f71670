/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a VAE's config.json decides. Source: diffusers' AutoencoderKL, whose defaults hold
 * for missing fields.
 */
#pragma once

#include "engine/device/op.h"
#include "engine/models/config.h"

G_BEGIN_DECLS

#define W2W_VAE_MAX_LEVELS 8

typedef struct {
    gint latent_channels;
    guint n_levels;
    gint channels[W2W_VAE_MAX_LEVELS]; /* the finest level first */
    gint n_layers; /* resnets per level of the encoder; the decoder has one more */
    gint n_groups;
    W2wActivation activation; /* of the resnets */
    gboolean mid_attention, quant_conv, post_quant_conv;
    double scaling_factor;
} W2wVaeConfig;

/* Reads and checks everything; see config.h for the errors. */
gboolean w2w_vae_config_read(W2wConfig *file, W2wVaeConfig *config, GError **error);

/* The fields that decide names and shapes of weights, for messages. */
extern const char *const w2w_vae_config_shape_fields[];

G_END_DECLS
