/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The denoising UNet: latents, timestep, text → predicted noise, with LoRA factors of any
 * rank as inputs on the attention projections that the space names.
 * Source: diffusers' UNet2DConditionModel as Stable Diffusion 1.x configures it.
 */
#pragma once

#include "engine/graph/graph.h"

G_BEGIN_DECLS

typedef struct _W2wUnet W2wUnet;

/*
 * `path`: unet/ of a diffusers folder (config.json and weights) or a checkpoint (part_files.h).
 * Everything is checked here: an unsupported field of the config is W2W_ERROR_UNSUPPORTED naming
 * it; a senseless one, or weights that do not fit it (missing, misshapen, left over),
 * W2W_ERROR_FORMAT.
 */
W2wUnet *w2w_unet_open(const char *path, GError **error);
void w2w_unet_free(W2wUnet *unet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wUnet, w2w_unet_free)

gint w2w_unet_get_latent_channels(const W2wUnet *unet);
gint w2w_unet_get_text_width(const W2wUnet *unet);

/* Latents: height and width it was trained at. 0: the folder does not say. */
gint w2w_unet_get_sample_size(const W2wUnet *unet);

/* See w2w_weights_get_fingerprint(). */
const char *w2w_unet_get_fingerprint(W2wUnet *unet);

/*
 * A LoRA folded in: `delta` (as many numbers as the weight has, in its layout) is added to the
 * weight of that name ("down_blocks.0.….attn1.to_q.weight"). It counts for graphs that are recorded
 * afterwards; see w2w_weights_add_delta(). W2W_ERROR_MISMATCH: no such weight.
 */
gboolean w2w_unet_add_weight_delta(W2wUnet *unet, const char *name, const float *delta,
                                   GError **error);
void w2w_unet_clear_weight_deltas(W2wUnet *unet);

/* As it stands, deltas included; NULL where there is none. Borrowed: until the next delta. */
const W2wArray *w2w_unet_peek_weight(const W2wUnet *unet, const char *name);

/* A projection that a LoRA can act on. */
typedef struct {
    const char *path; /* "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q" */
    gint in, out;     /* widths */
} W2wLoraTarget;

/*
 * Every to_q, to_k, to_v and to_out.0 of every attention, in the order of sorted paths (PEFT's).
 * Owned by the unet.
 */
const W2wLoraTarget *w2w_unet_get_lora_targets(const W2wUnet *unet, guint *n_targets);

/* Far beyond what any machine holds; sizes up to here cannot overflow. */
#define W2W_UNET_MAX_BATCH 1024
#define W2W_UNET_MAX_SIZE  16384

typedef struct {
    gint batch, height, width; /* of the latents */
    gint text_length;
    const char *const *lora_paths; /* NULL terminated: targets that get LoRA inputs; NULL: none */
    gint lora_rank;
    float lora_scale;      /* alpha / rank */
    gboolean lora_changes; /* with every replay (training), not rarely: plain inputs */
    gboolean inspect; /* also output "inside.<module>" of every resnet, attention and sampler */
} W2wUnetRecordOptions;

/*
 * Inputs: "latents" (batch,H,W,channels), "timesteps" (batch,1,1,1),
 * "text_embedding" (batch,1,length,width), and per LoRA path "<path>.lora_A" (1,1,rank,in)
 * and "<path>.lora_B" (1,1,out,rank). Output: "noise_pred" (batch,H,W,channels).
 * Any size: downsampling rounds up, upsampling takes the skip's size, as diffusers does.
 * W2W_ERROR_USAGE: a size out of range; W2W_ERROR_MISMATCH: no target of that path.
 */
W2wGraph *w2w_unet_record(W2wUnet *unet, const W2wUnetRecordOptions *options, GError **error);

G_END_DECLS
