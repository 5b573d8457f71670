/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The operations that a device can compute: one description per kind, without data.
 *
 * Every activation is a float32 array (N,H,W,C), channels last: a feature map *is* a
 * token matrix of N·H·W rows and C columns, so attention needs no transposes and a
 * 1×1 convolution is a linear layer. A sequence of T tokens is (N,1,T,C).
 *
 * An op is one producer of one output. What the planner fuses into it (residual,
 * activation, GEGLU …) is part of its description, so that a device sees one op and
 * runs one kernel. Inputs have fixed slots; an absent optional input has shape n = 0.
 * Sources of the definitions: PyTorch's documentation of the layers of the same name;
 * the `reference` device is their executable form.
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

typedef struct {
    gint n, h, w, c; /* batch, height, width, channels */
} W2wShape;

static inline gint64 w2w_shape_n_rows(W2wShape shape)
{
    return (gint64)shape.n * shape.h * shape.w;
}

static inline gint64 w2w_shape_n_elements(W2wShape shape)
{
    return w2w_shape_n_rows(shape) * shape.c;
}

static inline gboolean w2w_shape_equal(W2wShape a, W2wShape b)
{
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

typedef enum {
    W2W_OP_CONV2D,
    W2W_OP_LINEAR,
    W2W_OP_GROUP_NORM,
    W2W_OP_LAYER_NORM,
    W2W_OP_ATTENTION,
    W2W_OP_GEGLU,
    W2W_OP_ACTIVATION,
    W2W_OP_ADD,
    W2W_OP_CONCAT,
    W2W_OP_UPSAMPLE,
    W2W_OP_TOKEN_EMBEDDING,
    W2W_OP_TIMESTEP_EMBEDDING,
    /*
     * What reverse mode needs beside those (engine/graph/gradient.h): vector-Jacobian products, by
     * the op that they belong to, and what they are put together with. A linear layer's and a
     * convolution's are linear layers and convolutions themselves (see their params).
     */
    W2W_OP_GROUP_NORM_GRADIENT,
    W2W_OP_LAYER_NORM_GRADIENT,
    W2W_OP_ATTENTION_GRADIENT,
    W2W_OP_GEGLU_GRADIENT,
    W2W_OP_ACTIVATION_GRADIENT,
    W2W_OP_UPSAMPLE_GRADIENT,
    W2W_OP_LORA_GRADIENT,
    W2W_OP_MASKED_MSE,
    W2W_OP_MASKED_MSE_GRADIENT,
    W2W_OP_COLUMNS,
    W2W_OP_TRANSPOSE,
    W2W_OP_SUM,
    W2W_OP_SLICE, /* part of a tensor's memory: no device sees it (plan.c) */
    W2W_N_OPS
} W2wOpKind;

typedef enum {
    W2W_ACTIVATION_NONE,
    W2W_ACTIVATION_SILU,       /* x sigmoid(x) */
    W2W_ACTIVATION_GELU,       /* x Φ(x), with erf */
    W2W_ACTIVATION_QUICK_GELU, /* x sigmoid(1.702 x) */
    W2W_ACTIVATION_GEGLU,      /* of 2C columns: first half · gelu(second half); fused only */
} W2wActivation;

/* Input slots. 0 is always the op's (first) activation. */
enum {
    W2W_SLOT_X = 0,
    /* conv2d and linear */
    W2W_SLOT_RESIDUAL = 1, /* as the output; added after bias, before the activation */
    W2W_SLOT_IMAGE_BIAS =
        2,               /* (N,1,1,C): a bias per image, the time embedding's part of a resnet */
    W2W_SLOT_LORA_A = 3, /* (1,1,rank,in): linear only */
    W2W_SLOT_LORA_B = 4, /* (1,1,out,rank) */
    /* attention */
    W2W_SLOT_QUERY = 0,
    W2W_SLOT_KEY = 1,
    W2W_SLOT_VALUE = 2,
    /* add, concat */
    W2W_SLOT_FIRST = 0,
    W2W_SLOT_SECOND = 1,
    /* gradients: X is what the forward op read (attention: QUERY, KEY, VALUE), and these follow */
    W2W_SLOT_D_OUT = 1,           /* d loss / d output of the forward op */
    W2W_SLOT_D_RESIDUAL = 2,      /* norms: as the output, added to it */
    W2W_SLOT_ATTENTION_D_OUT = 3, /* attention */
    /* masked_mse and its gradient */
    W2W_SLOT_PREDICTION = 0,
    W2W_SLOT_TARGET = 1,
    W2W_SLOT_MASK = 2,
    W2W_SLOT_D_LOSS = 3,
    W2W_N_SLOTS = 5
};

/* Weight slots: arrays of the model's files in PyTorch's layout; constant for the op's life. */
enum {
    W2W_WEIGHT = 0, /* conv2d (out,in,kh,kw); linear (out,in) or (out,in,1,1); norms and their
                       gradients (C); embedding (vocabulary,C) */
    W2W_BIAS = 1,   /* (out) or (C); may be NULL. token embedding: the position embedding (T,C) */
    W2W_N_WEIGHTS = 2
};

typedef struct {
    W2wOpKind kind;
    W2wShape out;
    W2wShape in[W2W_N_SLOTS];
    W2wArray *weight[W2W_N_WEIGHTS]; /* borrowed from the graph, which keeps them alive */
    /* Applied last: conv2d, linear, group_norm (SiLU), activation. */
    W2wActivation activation;
    union {
        /*
         * Cross-correlation with zero padding at top and left; what is missing at the bottom
         * and right is zeros too, as far as the output's size asks. The input is first enlarged
         * by nearest neighbours to (upsampled_h, upsampled_w) where these are not 0.
         *
         * rotated: the gradient of a convolution. The weight (out,in,kh,kw) is that of the forward
         * one, whose output this one reads: W'[in][out][ky][kx] = W[out][in][kh−1−ky][kw−1−kx].
         * Its stride is 1; a forward stride s of more than 1 is zeros_between = s: the input counts
         * as enlarged s-fold, its pixel (y,x) at (s·y, s·x) and zeros everywhere else. Where the
         * forward one enlarged its input, (upsampled_h, upsampled_w) are the size that it gave it:
         * what is computed at that size is summed to the output's as upsample_gradient does.
         */
        struct {
            gint kernel_h, kernel_w, stride, pad_top, pad_left, upsampled_h, upsampled_w;
            gint zeros_between; /* 0: none */
            gboolean rotated;
        } conv2d;
        /*
         * y = W x + b + lora_scale · B (A x).
         * transposed: the weight (out,in) is that of a forward layer, and this one reads what has
         * `out` columns: y = Wᵀ x + lora_scale · B (A x); A and B are as the slots say.
         * lora_gradient: X, D_OUT, LORA_A, LORA_B of a layer with a LoRA → d_A (rank,in), then
         * d_B (out,rank), as (1,1,1, rank · (in + out)), summed over all rows of all images:
         * d_A = lora_scale · Bᵀ d_outᵀ x, d_B = lora_scale · d_outᵀ (x Aᵀ).
         */
        struct {
            float lora_scale;
            gboolean transposed;
        } linear;
        struct {
            gint n_groups;
            float eps;
        } group_norm;
        struct {
            float eps;
        } layer_norm;
        /*
         * Per head: softmax(scale · q kᵀ) v; heads are C / n_heads neighbouring columns.
         * query (N,.,.,C), key and value (N,.,.,C) with H·W tokens of their own.
         * causal: token i sees keys 0 … i only.
         */
        struct {
            gint n_heads;
            float scale;
            gboolean causal;
            /*
             * attention_gradient: which of d_query, d_key, d_value are wanted (by slot). Output
             * (1,1,rows,C): the wanted ones whole, in this order, each as its input is.
             */
            gboolean wanted[3];
        } attention;
        /* add: second input of the same shape, or (N,1,1,C) / (1,H,W,C) broadcast. */
        /* upsample: nearest neighbour to out.h × out.w: source row = y · h / out.h, rounded down.
         */
        /*
         * timestep_embedding: in (N,1,1,1) → out (N,1,1,C). With half = C/2 and
         * f_i = exp(−ln(max_period) · i / (half − freq_shift)): sin(t f), cos(t f), halves
         * swapped where flip_sin_to_cos.
         */
        struct {
            gboolean flip_sin_to_cos;
            float freq_shift;
            float max_period;
        } timestep_embedding;
        /* columns: out.c neighbouring columns of X, from `first` on (concat's gradient). */
        struct {
            gint first;
        } columns;
        /* slice: out's elements as they lie in X's memory from element `first` on. */
        struct {
            gint64 first;
        } slice;
        /*
         * group_norm_gradient, layer_norm_gradient (params as the forward op's; `activation` NONE
         * or, for group norm, SILU: then D_OUT is the gradient of silu(norm)), geglu_gradient,
         * activation_gradient: X, D_OUT → d_X. upsample_gradient: D_OUT in slot X → out, every
         * pixel the sum of those that were made from it.
         * masked_mse: PREDICTION, TARGET (N,H,W,C), MASK (N,H,W,1) → (N,1,1,1), per image
         * mean over H,W,C of (mask · (prediction − target))²; its gradient with D_LOSS (N,1,1,1).
         * transpose: (1,1,R,C) → (1,1,C,R). sum: (N,H,W,C) → (N,1,1,C) or (1,H,W,C), add's.
         */
        /* token_embedding: in (N,1,T,1) ids as exact floats → (N,1,T,C): weight[id] + position[t].
         */
    } params;
} W2wOp;

/* "conv2d": the stem of the op's files in every folder. */
const char *w2w_op_kind_name(W2wOpKind kind);

/* Floating point operations of one run, counting a multiply-add as two; for reports. */
double w2w_op_flops(const W2wOp *op);

G_END_DECLS
