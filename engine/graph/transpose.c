/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the transposition of a matrix (1,1,R,C): a LoRA's factors on the way back. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_transpose(W2wGraph *graph, W2wTensor *x)
{
    const W2wShape in = w2w_tensor_get_shape(x), out = {1, 1, in.c, in.w};
    const W2wOp op = {.kind = W2W_OP_TRANSPOSE, .out = out};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(in.n == 1 && in.h == 1);
    if (in.c == 1 || in.w == 1)
        return w2w_slice(graph, x, 0, out); /* the same memory */
    return w2w_graph_append(graph, &op, inputs);
}
