/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records a sum; the planner fuses it into the convolution or linear layer before it. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_add(W2wGraph *graph, W2wTensor *first, W2wTensor *second)
{
    const W2wShape a = w2w_tensor_get_shape(first), b = w2w_tensor_get_shape(second);
    const W2wOp op = {.kind = W2W_OP_ADD, .out = a};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_FIRST] = first, [W2W_SLOT_SECOND] = second};

    g_assert(w2w_shape_equal(a, b) || w2w_shape_equal(b, (W2wShape){a.n, 1, 1, a.c}) ||
             w2w_shape_equal(b, (W2wShape){1, a.h, a.w, a.c}));
    return w2w_graph_append(graph, &op, inputs);
}

/* What was spread over images or pixels comes back as a sum over them. */
void w2w_add_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    for (guint slot = W2W_SLOT_FIRST; slot <= W2W_SLOT_SECOND; slot++) {
        W2wTensor *x = node->in[slot];

        if (w2w_gradient_wants(walk, x))
            w2w_gradient_add(walk, x,
                             w2w_shape_equal(x->shape, node->shape)
                                 ? d_out
                                 : w2w_sum(w2w_gradient_get_graph(walk), d_out, x->shape));
    }
}
