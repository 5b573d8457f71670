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

/* (1,1,R,C) → (1,1,C,R); of a single row or column the same memory. */
static W2wTensor *transpose(W2wGraph *graph, W2wTensor *x)
{
    const W2wShape in = w2w_tensor_get_shape(x), out = {1, 1, in.c, in.w};
    const W2wOp op = {.kind = W2W_OP_TRANSPOSE, .out = out};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    if (in.c == 1 || in.w == 1)
        return w2w_slice(graph, x, 0, out);
    return w2w_graph_append(graph, &op, inputs);
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
        inputs[W2W_SLOT_LORA_A] = transpose(graph, lora_b);
        inputs[W2W_SLOT_LORA_B] = transpose(graph, lora_a);
    }
    return w2w_graph_append(graph, &op, inputs);
}

void w2w_linear_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wGraph *graph = w2w_gradient_get_graph(walk);
    W2wTensor *x = node->in[W2W_SLOT_X];
    W2wTensor *lora_a = node->in[W2W_SLOT_LORA_A], *lora_b = node->in[W2W_SLOT_LORA_B];
    W2wOp op = {.kind = W2W_OP_LORA_GRADIENT, .params.linear = node->op.params.linear};
    W2wTensor *inputs[W2W_N_SLOTS] = {
        [W2W_SLOT_D_OUT] = d_out, [W2W_SLOT_LORA_A] = lora_a, [W2W_SLOT_LORA_B] = lora_b};
    W2wTensor *both;

    g_assert(!op.params.linear.transposed);
    /* The factors' first: they read x and d_out, which may die there. */
    if (w2w_gradient_wants(walk, lora_a) || w2w_gradient_wants(walk, lora_b)) {
        inputs[W2W_SLOT_X] = w2w_gradient_value(walk, x);
        op.out = (W2wShape){1, 1, 1, lora_a->shape.w * (x->shape.c + node->shape.c)};
        both = w2w_graph_append(graph, &op, inputs);
        if (w2w_gradient_wants(walk, lora_a))
            w2w_gradient_add(walk, lora_a, w2w_slice(graph, both, 0, lora_a->shape));
        if (w2w_gradient_wants(walk, lora_b))
            w2w_gradient_add(
                walk, lora_b,
                w2w_slice(graph, both, w2w_shape_n_elements(lora_a->shape), lora_b->shape));
    }
    if (w2w_gradient_wants(walk, x))
        w2w_gradient_add(walk, x, d_x_of(graph, node, d_out));
}
