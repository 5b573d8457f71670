/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * columns: y[row,c] = x[row, first + c]. What a gradient of torch.cat along the channels is: each
 * input's own columns of d_out. PyTorch: x[..., first : first + C].
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint n_in = op->in[W2W_SLOT_X].c;

    for (gint64 row = 0; row < n_rows; row++)
        for (gint c = 0; c < op->out.c; c++)
            out[row * op->out.c + c] = in[W2W_SLOT_X][row * n_in + op->params.columns.first + c];
}

W2wKernel *w2w_reference_prepare_columns(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
