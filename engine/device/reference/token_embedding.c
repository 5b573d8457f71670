/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * token_embedding: ids (N,1,T,1) → (N,1,T,C), y[n,t] = tokens[id[n,t]] + positions[t]. PyTorch:
 * the two nn.Embedding of transformers' CLIPTextEmbeddings. An id outside of the
 * vocabulary is the nearest one inside.
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const double last_id = (double)(op->weight[W2W_WEIGHT]->shape[0] - 1);
    const gint64 n_tokens = (gint64)op->out.h * op->out.w;

    for (gint64 row = 0; row < op->out.n * n_tokens; row++) {
        const double id = in[W2W_SLOT_X][row];
        const gint64 token = (gint64)MIN(MAX(id, 0.0), last_id);

        for (gint c = 0; c < op->out.c; c++)
            out[row * op->out.c + c] = kernel->weight[W2W_WEIGHT][token * op->out.c + c] +
                                       kernel->weight[W2W_BIAS][row % n_tokens * op->out.c + c];
    }
}

W2wKernel *w2w_reference_prepare_token_embedding(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
