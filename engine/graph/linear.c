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

/* y = W x + s B A x: d_x = Wᵀ d_y + s Aᵀ Bᵀ d_y is a layer with a LoRA again. */
static W2wTensor *d_x_of(W2wGraph *graph, const W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *lora_a = node->in[W2W_SLOT_LORA_A], *lora_b = node->in[W2W_SLOT_LORA_B];
    W2wTensor *inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = d_out};
    W2wOp op = {.kind = W2W_OP_LINEAR,
                .out = node->in[W2W_SLOT_X]->shape,
                .weight = {[W2W_WEIGHT] = node->op.weight[W2W_WEIGHT]},
                .params.linear = node->op.params.linear};

    op.params.linear.transposed = TRUE;
    if (lora_a != NULL) {
        inputs[W2W_SLOT_LORA_A] = w2w_transpose(graph, lora_b);
        inputs[W2W_SLOT_LORA_B] = w2w_transpose(graph, lora_a);
    }
    return w2w_graph_append(graph, &op, inputs);
}

void w2w_linear_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wGraph *graph = w2w_gradient_get_graph(walk);
    W2wTensor *x = node->in[W2W_SLOT_X];
    W2wTensor *lora_a = node->in[W2W_SLOT_LORA_A], *lora_b = node->in[W2W_SLOT_LORA_B];
    W2wTensor *d_a, *d_b;

    g_assert(!node->op.params.linear.transposed);
    /* The factors' first: they read x and d_out, which may die there. */
    if (w2w_gradient_wants(walk, lora_a) || w2w_gradient_wants(walk, lora_b)) {
        w2w_lora_gradient(graph, w2w_gradient_value(walk, x), d_out, lora_a, lora_b,
                          node->op.params.linear.lora_scale, &d_a, &d_b);
        if (w2w_gradient_wants(walk, lora_a))
            w2w_gradient_add(walk, lora_a, d_a);
        if (w2w_gradient_wants(walk, lora_b))
            w2w_gradient_add(walk, lora_b, d_b);
    }
    if (w2w_gradient_wants(walk, x))
        w2w_gradient_add(walk, x, d_x_of(graph, node, d_out));
}
