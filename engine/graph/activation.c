/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records an activation function; the planner fuses most of them into their producer. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_activation(W2wGraph *graph, W2wTensor *x, W2wActivation activation)
{
    const W2wOp op = {
        .kind = W2W_OP_ACTIVATION, .out = w2w_tensor_get_shape(x), .activation = activation};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(activation != W2W_ACTIVATION_GEGLU); /* w2w_geglu() */
    return w2w_graph_append(graph, &op, inputs);
}

void w2w_activation_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *x = node->in[W2W_SLOT_X];
    const W2wOp op = {
        .kind = W2W_OP_ACTIVATION_GRADIENT, .out = x->shape, .activation = node->op.activation};

    w2w_gradient_add(walk, x, w2w_gradient_of_x(walk, &op, x, d_out));
}
