/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * add: y = first + second. PyTorch: torch.add with broadcasting of `second`, whose batch,
 * height and width are each those of `first` or 1.
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape shape = op->out, second = op->in[W2W_SLOT_SECOND];

    for (gint n = 0; n < shape.n; n++)
        for (gint y = 0; y < shape.h; y++)
            for (gint x = 0; x < shape.w; x++)
                for (gint c = 0; c < shape.c; c++) {
                    const gint64 i = w2w_reference_at(shape, n, y, x, c);
                    const gint64 j =
                        w2w_reference_at(second, second.n == 1 ? 0 : n, second.h == 1 ? 0 : y,
                                         second.w == 1 ? 0 : x, c);

                    out[i] = in[W2W_SLOT_FIRST][i] + in[W2W_SLOT_SECOND][j];
                }
}

W2wKernel *w2w_reference_prepare_add(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
