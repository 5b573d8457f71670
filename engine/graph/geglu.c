/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records GEGLU; the planner fuses it into the linear layer before it. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_geglu(W2wGraph *graph, W2wTensor *x)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    const W2wOp op = {.kind = W2W_OP_GEGLU, .out = {in.n, in.h, in.w, in.c / 2}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(in.c % 2 == 0);
    return w2w_graph_append(graph, &op, inputs);
}

void w2w_geglu_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *x = node->in[W2W_SLOT_X];
    const W2wOp op = {.kind = W2W_OP_GEGLU_GRADIENT, .out = x->shape};

    w2w_gradient_add(walk, x, w2w_gradient_of_x(walk, &op, x, d_out));
}
