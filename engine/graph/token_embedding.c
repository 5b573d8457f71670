/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records the embedding of token ids and of their positions. */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_token_embedding(W2wGraph *graph, W2wTensor *ids, W2wArray *tokens,
                               W2wArray *positions)
{
    const W2wShape in = w2w_tensor_get_shape(ids);
    W2wOp op = {.kind = W2W_OP_TOKEN_EMBEDDING,
                .weight = {[W2W_WEIGHT] = tokens, [W2W_BIAS] = positions}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = ids};

    g_assert(in.h == 1 && in.c == 1);
    g_assert(tokens != NULL && tokens->n_dims == 2 && tokens->shape[0] > 0);
    g_assert(positions != NULL && positions->n_dims == 2 && positions->shape[0] >= in.w &&
             positions->shape[1] == tokens->shape[1]);
    op.out = (W2wShape){in.n, 1, in.w, (gint)tokens->shape[1]};
    return w2w_graph_append(graph, &op, inputs);
}
