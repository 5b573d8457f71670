/* SPDX-License-Identifier: GPL-3.0-or-later */
/* concat: the channels of first, then those of second. PyTorch: torch.cat along the channels. */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint c1 = op->in[W2W_SLOT_FIRST].c, c2 = op->in[W2W_SLOT_SECOND].c;

    for (gint64 row = 0; row < n_rows; row++) {
        for (gint c = 0; c < c1; c++)
            out[row * op->out.c + c] = in[W2W_SLOT_FIRST][row * c1 + c];
        for (gint c = 0; c < c2; c++)
            out[row * op->out.c + c1 + c] = in[W2W_SLOT_SECOND][row * c2 + c];
    }
}

W2wKernel *w2w_reference_prepare_concat(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
