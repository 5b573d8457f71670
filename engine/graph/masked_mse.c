/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the loss of training: per image, the mean square of what differs where the mask is. */
#include "engine/graph/gradient.h"
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_masked_mse(W2wGraph *graph, W2wTensor *prediction, W2wTensor *target,
                          W2wTensor *mask)
{
    const W2wShape in = w2w_tensor_get_shape(prediction);
    const W2wOp op = {.kind = W2W_OP_MASKED_MSE, .out = {in.n, 1, 1, 1}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {
        [W2W_SLOT_PREDICTION] = prediction, [W2W_SLOT_TARGET] = target, [W2W_SLOT_MASK] = mask};

    g_assert(w2w_shape_equal(in, w2w_tensor_get_shape(target)));
    g_assert(w2w_shape_equal(w2w_tensor_get_shape(mask), (W2wShape){in.n, in.h, in.w, 1}));
    return w2w_graph_append(graph, &op, inputs);
}

/* Targets and masks are data: there is no way back to them. */
void w2w_masked_mse_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *prediction = node->in[W2W_SLOT_PREDICTION];
    const W2wOp op = {.kind = W2W_OP_MASKED_MSE_GRADIENT, .out = prediction->shape};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_PREDICTION] =
                                                w2w_gradient_value(walk, prediction),
                                            [W2W_SLOT_TARGET] = node->in[W2W_SLOT_TARGET],
                                            [W2W_SLOT_MASK] = node->in[W2W_SLOT_MASK],
                                            [W2W_SLOT_D_LOSS] = d_out};

    g_assert(!w2w_gradient_wants(walk, node->in[W2W_SLOT_TARGET]) &&
             !w2w_gradient_wants(walk, node->in[W2W_SLOT_MASK]));
    if (w2w_gradient_wants(walk, prediction))
        w2w_gradient_add(walk, prediction,
                         w2w_graph_append(w2w_gradient_get_graph(walk), &op, inputs));
}
