/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Record once, plan once, replay.
 *
 * A model is a function that calls the recording functions below on a W2wGraph of fixed
 * shapes. W2wPlan then fuses what can be fused, gives every activation an offset in one
 * arena by liveness, lets the device prepare a kernel for every op, and replays the
 * whole any number of times without allocating anything.
 *
 *   graph = w2w_graph_new ();
 *   x     = w2w_graph_input (graph, "latents", (W2wShape){1, 64, 64, 4});
 *   y     = w2w_conv2d (graph, x, weight, bias, &params);
 *   w2w_graph_output (graph, "noise_pred", y);
 *   plan  = w2w_plan_new (graph, device, W2W_PLAN_DEFAULT, &error);
 *   w2w_plan_set_input (plan, "latents", values);  w2w_plan_replay (plan);
 *   w2w_plan_get_output (plan, "noise_pred", values);
 *
 * Recording cannot fail on what a user or file does: models check weights against their
 * config first (engine/models/weights.h). A wrong shape here is a bug in a model and is
 * caught by an assertion in the recording function that names it.
 */
#pragma once

#include "engine/device/device.h"

G_BEGIN_DECLS

typedef struct _W2wGraph W2wGraph;
typedef struct _W2wTensor W2wTensor; /* a node's output; owned by its graph */

W2wGraph *w2w_graph_new(void);
void w2w_graph_free(W2wGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wGraph, w2w_graph_free)

W2wShape w2w_tensor_get_shape(const W2wTensor *tensor);

/*
 * What changes from replay to replay. Float32 for the caller, whatever the device makes of it,
 * row-major (N,H,W,C).
 * `name` is unique in the graph.
 */
W2wTensor *w2w_graph_input(W2wGraph *graph, const char *name, W2wShape shape);

/*
 * The same for what changes rarely (text, LoRA factors): ops that depend on such inputs alone
 * run again only after one of them was set, at the price of memory of their own (an op that is
 * fused into one that also reads something else runs with that).
 */
W2wTensor *w2w_graph_kept_input(W2wGraph *graph, const char *name, W2wShape shape);

/*
 * Keeps a tensor's value readable after a replay. Naming one for inspection (a block's
 * output) costs memory and fusion, nothing else.
 */
void w2w_graph_output(W2wGraph *graph, const char *name, W2wTensor *tensor);

/* --- ops: one file per op, engine/graph/<stem>.c. Arrays are referenced by the graph. --- */

typedef struct {
    gint kernel;         /* 1 or 3 */
    gint stride;         /* 1 or 2 */
    gint padding;        /* zeros at all four sides … */
    gboolean asymmetric; /* … or `padding` 0 and one row and column at bottom and right only */
} W2wConv2dParams;

/* x (N,H,W,in), weight (out,in,k,k), bias (out) or NULL → (N,H',W',out) */
W2wTensor *w2w_conv2d(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                      const W2wConv2dParams *params);

/* x (N,H,W,in), weight (out,in) or (out,in,1,1), bias (out) or NULL → (N,H,W,out) */
W2wTensor *w2w_linear(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias);

/* y = W x + bias + scale · B (A x); a (1,1,rank,in), b (1,1,out,rank) are tensors: they change. */
W2wTensor *w2w_linear_lora(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                           W2wTensor *lora_a, W2wTensor *lora_b, float scale);

/* weight, bias (C). Statistics per image and group of C / n_groups neighbouring channels. */
W2wTensor *w2w_group_norm(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                          gint n_groups, float eps);

/* weight, bias (C). Statistics per row. */
W2wTensor *w2w_layer_norm(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                          float eps);

/* See W2wOp. Scale is 1/sqrt(head width). */
W2wTensor *w2w_attention(W2wGraph *graph, W2wTensor *query, W2wTensor *key, W2wTensor *value,
                         gint n_heads, gboolean causal);

/* (N,H,W,2C) → (N,H,W,C): first half · gelu(second half) */
W2wTensor *w2w_geglu(W2wGraph *graph, W2wTensor *x);

W2wTensor *w2w_activation(W2wGraph *graph, W2wTensor *x, W2wActivation activation);

/* second: the shape of first, or (N,1,1,C), or (1,H,W,C). */
W2wTensor *w2w_add(W2wGraph *graph, W2wTensor *first, W2wTensor *second);

/* (N,H,W,C1), (N,H,W,C2) → (N,H,W,C1+C2) */
W2wTensor *w2w_concat(W2wGraph *graph, W2wTensor *first, W2wTensor *second);

/* Nearest neighbour to height × width. */
W2wTensor *w2w_upsample(W2wGraph *graph, W2wTensor *x, gint height, gint width);

/* ids (N,1,T,1) as floats; tokens (vocabulary,C), positions (at least T,C) → (N,1,T,C).
 * Ids outside of the vocabulary are the caller's to refuse; kernels clamp them. */
W2wTensor *w2w_token_embedding(W2wGraph *graph, W2wTensor *ids, W2wArray *tokens,
                               W2wArray *positions);

/* timesteps (N,1,1,1) → (N,1,1,width) */
W2wTensor *w2w_timestep_embedding(W2wGraph *graph, W2wTensor *timesteps, gint width,
                                  gboolean flip_sin_to_cos, float freq_shift);

/* --- plan --- */

typedef struct _W2wPlan W2wPlan;

typedef enum {
    W2W_PLAN_FUSE = 1 << 0, /* off: every recorded op runs as it stands (tests compare both) */
} W2wPlanFlags;
#define W2W_PLAN_DEFAULT W2W_PLAN_FUSE

/*
 * Takes over `graph` (on failure too). W2W_ERROR_MEMORY, W2W_ERROR_UNSUPPORTED.
 * The device must outlive the plan.
 */
W2wPlan *w2w_plan_new(W2wGraph *graph, W2wDevice *device, W2wPlanFlags flags, GError **error);
void w2w_plan_free(W2wPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPlan, w2w_plan_free)

/* The whole input, n_elements of its shape. Asserts that `name` exists. */
void w2w_plan_set_input(W2wPlan *plan, const char *name, const float *values);
gboolean w2w_plan_has_input(const W2wPlan *plan, const char *name);
W2wShape w2w_plan_get_input_shape(const W2wPlan *plan, const char *name);

/*
 * Runs every op once, except that those which depend on kept inputs alone run only when one
 * was set since the last replay (text keys and values inside of a sampling loop).
 * Neither allocates nor fails. Inputs that were never set are zeros.
 */
void w2w_plan_replay(W2wPlan *plan);

/* The whole output of the last replay. */
void w2w_plan_get_output(W2wPlan *plan, const char *name, float *values);
/* Unrounded; only for a device that computes in float64. */
void w2w_plan_get_output_f64(W2wPlan *plan, const char *name, double *values);
W2wShape w2w_plan_get_output_shape(const W2wPlan *plan, const char *name);

/* Names of inputs / outputs in order of recording; NULL terminated, owned by the plan. */
const char *const *w2w_plan_get_input_names(const W2wPlan *plan);
const char *const *w2w_plan_get_output_names(const W2wPlan *plan);

typedef struct {
    guint n_ops;        /* after fusion */
    guint n_recorded;   /* before */
    gsize arena_bytes;  /* activations and scratch */
    gsize weight_bytes; /* packed for this plan, beside what the device had already; only of
                           w2w_plan_measure() */
    double flops;       /* of one replay of everything */
} W2wPlanInfo;
W2wPlanInfo w2w_plan_get_info(const W2wPlan *plan);

/*
 * What w2w_plan_new() would take, without taking it: takes over `graph`, prepares nothing that is
 * kept and allocates nothing that is large. W2W_ERROR_UNSUPPORTED.
 */
gboolean w2w_plan_measure(W2wGraph *graph, W2wDevice *device, W2wPlanFlags flags, W2wPlanInfo *info,
                          GError **error);

/* A table of the ops with shapes and their share of `n_replays` replays' time, for the developer.
 * Caller frees. */
char *w2w_plan_profile(W2wPlan *plan, guint n_replays);

G_END_DECLS
