/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records nearest-neighbour enlarging; the planner fuses it into the convolution after it. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_upsample(W2wGraph *graph, W2wTensor *x, gint height, gint width)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    const W2wOp op = {.kind = W2W_OP_UPSAMPLE, .out = {in.n, height, width, in.c}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(height > 0 && width > 0);
    return w2w_graph_append(graph, &op, inputs);
}

void w2w_upsample_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *x = node->in[W2W_SLOT_X];
    const W2wOp op = {.kind = W2W_OP_UPSAMPLE_GRADIENT, .out = x->shape};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = d_out};

    w2w_gradient_add(walk, x, w2w_graph_append(w2w_gradient_get_graph(walk), &op, inputs));
}
