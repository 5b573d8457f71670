/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records a linear layer, with or without a LoRA beside its weight. */
#include "engine/graph/graph_internal.h"

static W2wTensor *append(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                         W2wTensor *lora_a, W2wTensor *lora_b, float scale)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    W2wOp op = {.kind = W2W_OP_LINEAR, .weight = {[W2W_WEIGHT] = weight, [W2W_BIAS] = bias}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {
        [W2W_SLOT_X] = x, [W2W_SLOT_LORA_A] = lora_a, [W2W_SLOT_LORA_B] = lora_b};

    g_assert(weight != NULL && weight->n_dims >= 2 && weight->shape[1] == in.c);
    g_assert(weight->n_elements == weight->shape[0] * weight->shape[1]);
    g_assert(bias == NULL || bias->n_elements == weight->shape[0]);
    op.out = (W2wShape){in.n, in.h, in.w, (gint)weight->shape[0]};
    op.params.linear.lora_scale = scale;
    return w2w_graph_append(graph, &op, inputs);
}

W2wTensor *w2w_linear(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias)
{
    return append(graph, x, weight, bias, NULL, NULL, 0.0f);
}

W2wTensor *w2w_linear_lora(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                           W2wTensor *lora_a, W2wTensor *lora_b, float scale)
{
    const W2wShape in = w2w_tensor_get_shape(x), a = w2w_tensor_get_shape(lora_a);
    const W2wShape b = w2w_tensor_get_shape(lora_b);

    g_assert(w2w_shape_equal(a, (W2wShape){1, 1, a.w, in.c}) && a.w > 0);
    g_assert(weight != NULL && w2w_shape_equal(b, (W2wShape){1, 1, (gint)weight->shape[0], a.w}));
    return append(graph, x, weight, bias, lora_a, lora_b, scale);
}
