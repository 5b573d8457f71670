/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records a sum over pixels or images: the gradient of adding one to all of them. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_sum(W2wGraph *graph, W2wTensor *x, W2wShape out)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    const W2wOp op = {.kind = W2W_OP_SUM, .out = out};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(w2w_shape_equal(out, (W2wShape){in.n, 1, 1, in.c}) ||
             w2w_shape_equal(out, (W2wShape){1, in.h, in.w, in.c}));
    return w2w_graph_append(graph, &op, inputs);
}
