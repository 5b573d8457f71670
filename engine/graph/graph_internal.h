/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The graph from the inside: nodes as the recording functions append them, and what the
 * planner's passes (fusion.c, plan.c) work on.
 */
#pragma once

#include "engine/graph/graph.h"

G_BEGIN_DECLS

struct _W2wTensor {
    guint id; /* position in W2wGraph.tensors: inputs always come before their users */
    W2wShape shape;
    const char *input_name;     /* an input of the graph: its name; no op then */
    W2wOp op;                   /* the producer; op.weight[] hold references */
    W2wTensor *in[W2W_N_SLOTS]; /* NULL where absent; borrowed */
    gboolean is_kept_input;     /* see w2w_graph_kept_input() */
    gboolean is_output;         /* readable after a replay */
    W2wTensor *original;        /* this one computes it a second time (gradient.c); or NULL */

    /* The planner's. */
    guint n_uses;                 /* by ops that are still alive */
    gboolean is_read_by_gradient; /* of one with an original: not only for computing others again */
    gboolean dead;                /* fused into its user, or used by nobody */
};

struct _W2wGraph {
    GPtrArray *tensors; /* W2wTensor, in order of recording */
    GPtrArray *inputs;  /* names, interned in the graph */
    GPtrArray *input_tensors;
    GPtrArray *outputs; /* names */
    GPtrArray *output_tensors;
    GPtrArray *block_ends; /* W2wTensor, see w2w_graph_end_block() */
};

/*
 * Appends a node. `op` has kind, out, params, activation and weights (borrowed: references
 * are taken); its in[] shapes are filled from `inputs`, whose absent slots are NULL.
 */
W2wTensor *w2w_graph_append(W2wGraph *graph, const W2wOp *op, W2wTensor *const inputs[W2W_N_SLOTS]);

/*
 * `shape` of the elements of `x` as they lie in memory, from element `first` on: no op runs, the
 * planner gives both the same memory.
 */
W2wTensor *w2w_slice(W2wGraph *graph, W2wTensor *x, gint64 first, W2wShape shape);

/* n neighbouring columns of x, from `first` on. */
W2wTensor *w2w_columns(W2wGraph *graph, W2wTensor *x, gint first, gint n);

/* (1,1,R,C) → (1,1,C,R) */
W2wTensor *w2w_transpose(W2wGraph *graph, W2wTensor *x);

/* (N,H,W,C) → out: (N,1,1,C) or (1,H,W,C) */
W2wTensor *w2w_sum(W2wGraph *graph, W2wTensor *x, W2wShape out);

/* Of a layer with LoRA factors: their gradients, in their shapes. */
void w2w_lora_gradient(W2wGraph *graph, W2wTensor *x, W2wTensor *d_out, W2wTensor *lora_a,
                       W2wTensor *lora_b, float scale, W2wTensor **d_a, W2wTensor **d_b);

/* Per tensor: is everything that it is computed from an input that is kept? Caller frees. */
gboolean *w2w_graph_find_kept(const W2wGraph *graph);

/* --- reverse mode: what an op's vjp works with --- */

typedef struct _W2wGradient W2wGradient;

W2wGraph *w2w_gradient_get_graph(const W2wGradient *walk);

/* Does anybody ask for the gradient of this tensor (which may be NULL)? */
gboolean w2w_gradient_wants(const W2wGradient *walk, const W2wTensor *tensor);

/* The tensor of the forward pass itself, or a second recording of it. */
W2wTensor *w2w_gradient_value(W2wGradient *walk, W2wTensor *tensor);

/* `d` is part of the gradient of `tensor`; parts add up. */
void w2w_gradient_add(W2wGradient *walk, W2wTensor *tensor, W2wTensor *d);

/* Appends an op of x's value and d_out. */
W2wTensor *w2w_gradient_of_x(W2wGradient *walk, const W2wOp *op, W2wTensor *x, W2wTensor *d_out);

/* Adds the gradients of `node`'s inputs, which depends on a source; d_out is its own. */
typedef void (*W2wVjpFunc)(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);

void w2w_activation_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_add_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_attention_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_concat_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_conv2d_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_geglu_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_group_norm_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_layer_norm_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_linear_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_masked_mse_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);
void w2w_upsample_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out);

/* --- the planner's passes --- */

/* Fuses in place: marks nodes dead and rewrites their users' ops (fusion.c). */
void w2w_graph_fuse(W2wGraph *graph);

/* Counts uses anew and marks what nothing needs as dead. */
void w2w_graph_count_uses(W2wGraph *graph);

G_END_DECLS
