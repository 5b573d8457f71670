/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The blocks that UNet and VAE are built from: resnets, transformers, the VAE's plain
 * attention, samplers.
 * Sources: diffusers' ResnetBlock2D, Transformer2DModel with BasicTransformerBlock,
 * Attention, Downsample2D, Upsample2D, in the forms that Stable Diffusion uses.
 *
 * Ops are recorded in the order in which the planner fuses them: a convolution right
 * before the addition of what belongs to it, a norm right before its activation.
 * `path` is the block's module path; w2w_layer_end() is called on every result.
 */
#pragma once

#include "engine/models/layers.h"

G_BEGIN_DECLS

/* Of all resnets of a model. */
typedef struct {
    gint n_groups;
    float eps;
    W2wActivation activation;
} W2wResnetParams;

/* The resnet's and the attention's padding-1 convolution, which keeps the size. */
extern const W2wConv2dParams w2w_conv_3x3;

/*
 * x (N,H,W,in) → (N,H,W,n_out). `time` (N,1,1,time width), already activated, or NULL (VAE):
 * x' = conv2(act(norm2(conv1(act(norm1(x))) + time_emb_proj(time)))) + (in = n_out ? x :
 * conv_shortcut(x))
 */
W2wTensor *w2w_block_resnet(W2wRecorder *recorder, W2wTensor *x, W2wTensor *time, const char *path,
                            gint n_out, const W2wResnetParams *params);

typedef struct {
    gint n_layers; /* transformer blocks; 0 leaves norm and projections */
    gint n_heads;
    gint n_groups;
    gboolean linear_projection;    /* proj_in, proj_out: (C,C), else (C,C,1,1) */
    gboolean only_cross_attention; /* attn1 looks at the text too, not at the image */
} W2wTransformerParams;

/* x (N,H,W,C), text (N,1,T,text width) → (N,H,W,C) */
W2wTensor *w2w_block_transformer(W2wRecorder *recorder, W2wTensor *x, W2wTensor *text,
                                 const char *path, const W2wTransformerParams *params);

/* x (N,H,W,C) → x + to_out(attention(norm(x))), one head, biases everywhere. */
W2wTensor *w2w_block_image_attention(W2wRecorder *recorder, W2wTensor *x, const char *path,
                                     gint n_groups, float eps);

/* (N,H,W,C) → about half the size. `padding` 1: all around; 0: one row and column at bottom and
 * right. */
W2wTensor *w2w_block_downsample(W2wRecorder *recorder, W2wTensor *x, const char *path,
                                gint padding);

/* (N,H,W,C) → (N,height,width,C): nearest neighbours, then a convolution. */
W2wTensor *w2w_block_upsample(W2wRecorder *recorder, W2wTensor *x, const char *path, gint height,
                              gint width);

G_END_DECLS
