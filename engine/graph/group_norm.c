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
