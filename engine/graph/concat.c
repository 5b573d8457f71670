/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the joining of channels: the skip connections of a UNet. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_concat(W2wGraph *graph, W2wTensor *first, W2wTensor *second)
{
    const W2wShape a = w2w_tensor_get_shape(first), b = w2w_tensor_get_shape(second);
    const W2wOp op = {.kind = W2W_OP_CONCAT, .out = {a.n, a.h, a.w, a.c + b.c}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_FIRST] = first, [W2W_SLOT_SECOND] = second};

    g_assert(a.n == b.n && a.h == b.h && a.w == b.w);
    return w2w_graph_append(graph, &op, inputs);
}

void w2w_concat_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    gint first = 0;

    for (guint slot = W2W_SLOT_FIRST; slot <= W2W_SLOT_SECOND; slot++) {
        W2wTensor *x = node->in[slot];

        if (w2w_gradient_wants(walk, x))
            w2w_gradient_add(walk, x,
                             w2w_columns(w2w_gradient_get_graph(walk), d_out, first, x->shape.c));
        first += x->shape.c;
    }
}
