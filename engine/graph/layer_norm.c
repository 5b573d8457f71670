/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records a layer norm over the channels. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_layer_norm(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                          float eps)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    W2wOp op = {
        .kind = W2W_OP_LAYER_NORM, .out = in, .weight = {[W2W_WEIGHT] = weight, [W2W_BIAS] = bias}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(weight != NULL && weight->n_elements == in.c);
    g_assert(bias != NULL && bias->n_elements == in.c);
    op.params.layer_norm.eps = eps;
    return w2w_graph_append(graph, &op, inputs);
}
