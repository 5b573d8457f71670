/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records that a tensor lies in the memory of another one. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_slice(W2wGraph *graph, W2wTensor *x, gint64 first, W2wShape shape)
{
    const W2wOp op = {.kind = W2W_OP_SLICE, .out = shape, .params.slice = {.first = first}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(first >= 0 && first + w2w_shape_n_elements(shape) <= w2w_shape_n_elements(x->shape));
    return w2w_graph_append(graph, &op, inputs);
}
