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

    /* The planner's. */
    guint n_uses;  /* by ops that are still alive */
    gboolean dead; /* fused into its user, or used by nobody */
};

struct _W2wGraph {
    GPtrArray *tensors; /* W2wTensor, in order of recording */
    GPtrArray *inputs;  /* names, interned in the graph */
    GPtrArray *input_tensors;
    GPtrArray *outputs; /* names */
    GPtrArray *output_tensors;
};

/*
 * Appends a node. `op` has kind, out, params, activation and weights (borrowed: references
 * are taken); its in[] shapes are filled from `inputs`, whose absent slots are NULL.
 */
W2wTensor *w2w_graph_append(W2wGraph *graph, const W2wOp *op, W2wTensor *const inputs[W2W_N_SLOTS]);

/* Fuses in place: marks nodes dead and rewrites their users' ops (fusion.c). */
void w2w_graph_fuse(W2wGraph *graph);

/* Counts uses anew and marks what nothing needs as dead. */
void w2w_graph_count_uses(W2wGraph *graph);

G_END_DECLS
