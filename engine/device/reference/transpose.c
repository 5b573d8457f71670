/* SPDX-License-Identifier: GPL-3.0-or-later */
/* transpose: (1,1,R,C) → (1,1,C,R), y[c,r] = x[r,c]. PyTorch: x.T. */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint n_rows = op->in[W2W_SLOT_X].w, n_columns = op->in[W2W_SLOT_X].c;

    for (gint r = 0; r < n_rows; r++)
        for (gint c = 0; c < n_columns; c++)
            out[(gint64)c * n_rows + r] = in[W2W_SLOT_X][(gint64)r * n_columns + c];
}

W2wKernel *w2w_reference_prepare_transpose(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
