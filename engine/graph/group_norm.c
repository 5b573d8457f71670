/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records a group norm; the SiLU that follows most of them is fused into it. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_group_norm(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                          gint n_groups, float eps)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    W2wOp op = {
        .kind = W2W_OP_GROUP_NORM, .out = in, .weight = {[W2W_WEIGHT] = weight, [W2W_BIAS] = bias}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(weight != NULL && weight->n_elements == in.c);
    g_assert(bias != NULL && bias->n_elements == in.c);
    g_assert(n_groups > 0 && in.c % n_groups == 0);
    op.params.group_norm.n_groups = n_groups;
    op.params.group_norm.eps = eps;
    return w2w_graph_append(graph, &op, inputs);
}

/* The gradient of a SiLU in between is fused into it, as the SiLU is into the norm. */
void w2w_group_norm_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *x = node->in[W2W_SLOT_X];
    const W2wOp op = {
        .kind = W2W_OP_GROUP_NORM_GRADIENT,
        .out = x->shape,
        .weight =
            {[W2W_WEIGHT] = node->op.weight[W2W_WEIGHT], [W2W_BIAS] = node->op.weight[W2W_BIAS]},
        .params.group_norm = node->op.params.group_norm};

    w2w_gradient_add(walk, x, w2w_gradient_of_x(walk, &op, x, d_out));
}
