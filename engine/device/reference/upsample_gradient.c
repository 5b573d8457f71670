/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * upsample_gradient: d_x[n,y,x] = Σ of d_out[n,i,j] over the pixels (i,j) that upsample made from
 * (y,x): ⌊i · H / H'⌋ = y, ⌊j · W / W'⌋ = x. PyTorch: what autograd gives for F.interpolate(x,
 * mode='nearest').
 */
#include "engine/device/reference/reference.h"

#include <string.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape from = op->in[W2W_SLOT_X], to = op->out;

    memset(out, 0, (gsize)w2w_shape_n_elements(to) * sizeof *out);
    for (gint n = 0; n < from.n; n++)
        for (gint i = 0; i < from.h; i++)
            for (gint j = 0; j < from.w; j++) {
                const gint y = (gint)((gint64)i * to.h / from.h);
                const gint x = (gint)((gint64)j * to.w / from.w);

                for (gint c = 0; c < to.c; c++)
                    out[w2w_reference_at(to, n, y, x, c)] +=
                        in[W2W_SLOT_X][w2w_reference_at(from, n, i, j, c)];
            }
}

W2wKernel *w2w_reference_prepare_upsample_gradient(W2wDevice *device, const W2wOp *op,
                                                   GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
