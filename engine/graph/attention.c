/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records attention over whole feature maps or sequences, whose pixels are the tokens. */
#include "engine/graph/graph_internal.h"

#include <math.h>

W2wTensor *w2w_attention(W2wGraph *graph, W2wTensor *query, W2wTensor *key, W2wTensor *value,
                         gint n_heads, gboolean causal)
{
    const W2wShape q = w2w_tensor_get_shape(query), k = w2w_tensor_get_shape(key);
    W2wOp op = {.kind = W2W_OP_ATTENTION, .out = q};
    W2wTensor *const inputs[W2W_N_SLOTS] = {
        [W2W_SLOT_QUERY] = query, [W2W_SLOT_KEY] = key, [W2W_SLOT_VALUE] = value};

    g_assert(n_heads > 0 && q.c % n_heads == 0);
    g_assert(k.n == q.n && k.c == q.c && k.h > 0 && k.w > 0);
    g_assert(w2w_shape_equal(k, w2w_tensor_get_shape(value)));
    op.params.attention.n_heads = n_heads;
    op.params.attention.scale = (float)(1.0 / sqrt((double)(q.c / n_heads)));
    op.params.attention.causal = causal;
    return w2w_graph_append(graph, &op, inputs);
}

/* The scores are computed again; what is wanted comes one behind the other. */
void w2w_attention_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wGraph *graph = w2w_gradient_get_graph(walk);
    W2wOp op = {.kind = W2W_OP_ATTENTION_GRADIENT,
                .out = {1, 1, 0, node->shape.c},
                .params.attention = node->op.params.attention};
    W2wTensor *inputs[W2W_N_SLOTS] = {[W2W_SLOT_ATTENTION_D_OUT] = d_out};
    W2wTensor *all;
    gint64 first = 0;

    for (guint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++) {
        inputs[slot] = w2w_gradient_value(walk, node->in[slot]);
        op.params.attention.wanted[slot] = w2w_gradient_wants(walk, node->in[slot]);
        if (op.params.attention.wanted[slot])
            op.out.w += (gint)w2w_shape_n_rows(node->in[slot]->shape);
    }
    all = w2w_graph_append(graph, &op, inputs);
    for (guint slot = W2W_SLOT_QUERY; slot <= W2W_SLOT_VALUE; slot++) {
        if (!op.params.attention.wanted[slot])
            continue;
        w2w_gradient_add(walk, node->in[slot], w2w_slice(graph, all, first, node->in[slot]->shape));
        first += w2w_shape_n_elements(node->in[slot]->shape);
    }
}
