/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the taking out of neighbouring channels: the gradient of joining them. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_columns(W2wGraph *graph, W2wTensor *x, gint first, gint n)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    const W2wOp op = {
        .kind = W2W_OP_COLUMNS, .out = {in.n, in.h, in.w, n}, .params.columns = {.first = first}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(first >= 0 && n > 0 && first + n <= in.c);
    return w2w_graph_append(graph, &op, inputs);
}
