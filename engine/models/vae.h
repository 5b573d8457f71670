/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The variational autoencoder between pictures and latents.
 * Source: diffusers' AutoencoderKL.
 */
#pragma once

#include "engine/graph/graph.h"

G_BEGIN_DECLS

typedef struct _W2wVae W2wVae;

/*
 * `path`: vae/ of a diffusers folder (config.json and weights) or a checkpoint (part_files.h).
 * Everything is checked here, as in w2w_unet_open().
 */
W2wVae *w2w_vae_open(const char *path, GError **error);
void w2w_vae_free(W2wVae *vae);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wVae, w2w_vae_free)

gint w2w_vae_get_latent_channels(const W2wVae *vae);
double w2w_vae_get_scaling_factor(
    const W2wVae *vae); /* latents of the UNet = this · latents of the VAE */
gint w2w_vae_get_downscale(const W2wVae *vae); /* pixels per latent: 8 with four levels */
const char *w2w_vae_get_fingerprint(W2wVae *vae);

/* Far beyond what any machine holds; sizes up to here cannot overflow. */
#define W2W_VAE_MAX_BATCH 1024
#define W2W_VAE_MAX_SIZE  65536 /* pixels of a side */

/*
 * Input: "latents" (batch,height,width,channels), not scaled. Output: "image"
 * (batch,8·height,8·width,3), about −1 … 1. `inspect`: as for the UNet, "inside.<module>".
 * W2W_ERROR_USAGE: a size out of range.
 */
W2wGraph *w2w_vae_record_decode(W2wVae *vae, gint batch, gint height, gint width, gboolean inspect,
                                GError **error);

/*
 * Input: "image" (batch,height,width,3). Output: "moments" (batch,height/8,width/8,2·channels):
 * mean, then log variance (not clamped; diffusers clamps it to −30 … 20 where it is used).
 * Sizes that are no multiple are cut at the bottom and right, as in diffusers; one smaller than
 * a latent is W2W_ERROR_USAGE.
 */
W2wGraph *w2w_vae_record_encode(W2wVae *vae, gint batch, gint height, gint width, gboolean inspect,
                                GError **error);

G_END_DECLS
