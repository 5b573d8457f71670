/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a UNet's config.json decides, after everything that this program cannot do has been
 * refused. Source: diffusers' UNet2DConditionModel, whose defaults hold for missing fields.
 */
#pragma once

#include "engine/device/op.h"
#include "engine/models/config.h"

G_BEGIN_DECLS

#define W2W_UNET_MAX_LEVELS 8

typedef enum {
    W2W_UNET_MID_CROSS_ATTENTION, /* resnet, transformer, resnet */
    W2W_UNET_MID_RESNET,          /* one resnet */
    W2W_UNET_MID_NONE,
} W2wUnetMid;

/* One resolution: what the down block and the up block of the same size have in common. */
typedef struct {
    gint n_channels;
    gint n_layers; /* resnets of the down block; the up block has one more */
    gint n_heads;
    gint n_transformer_layers;
    gboolean only_cross_attention;
    gboolean down_attention, up_attention; /* a transformer after each resnet? */
} W2wUnetLevel;

typedef struct {
    gint sample_size; /* of latents; 0: the file does not say */
    gint n_channels;  /* of latents and noise */
    guint n_levels;
    W2wUnetLevel level[W2W_UNET_MAX_LEVELS]; /* the finest first */
    W2wUnetMid mid;
    gint text_width;
    gint n_groups;
    float eps; /* of the resnets' norms and the last one */
    W2wActivation activation;
    gboolean linear_projection;
    gint downsample_padding; /* 1, or 0: at bottom and right only */
    gint conv_in_kernel, conv_out_kernel;
    gint time_width;
    gboolean flip_sin_to_cos;
    float freq_shift;
} W2wUnetConfig;

/* Reads and checks everything; see config.h for the errors. */
gboolean w2w_unet_config_read(W2wConfig *file, W2wUnetConfig *config, GError **error);

/* The fields that decide names and shapes of weights, for messages. */
extern const char *const w2w_unet_config_shape_fields[];

G_END_DECLS
