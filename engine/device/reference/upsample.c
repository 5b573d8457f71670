/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * upsample: y[n,i,j] = x[n, ⌊i · H / H'⌋, ⌊j · W / W'⌋]. PyTorch: F.interpolate(x, size=(H', W'),
 * mode='nearest').
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape from = op->in[W2W_SLOT_X], to = op->out;

    for (gint n = 0; n < to.n; n++)
        for (gint i = 0; i < to.h; i++)
            for (gint j = 0; j < to.w; j++) {
                const gint y = (gint)((gint64)i * from.h / to.h);
                const gint x = (gint)((gint64)j * from.w / to.w);

                for (gint c = 0; c < to.c; c++)
                    out[w2w_reference_at(to, n, i, j, c)] =
                        in[W2W_SLOT_X][w2w_reference_at(from, n, y, x, c)];
            }
}

W2wKernel *w2w_reference_prepare_upsample(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
