/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * upsample: y[n,i,j] = x[n, ⌊i · H / H'⌋, ⌊j · W / W'⌋]. PyTorch: F.interpolate(x, size=(H', W'),
 * mode='nearest').
 */
#include "engine/device/reference/reference.h"

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const W2wOp *op = &((const W2wReferenceKernel *)parent)->op;
    const W2wShape in = op->in[W2W_SLOT_X], out = op->out;

    for (gint n = 0; n < out.n; n++)
        for (gint i = 0; i < out.h; i++)
            for (gint j = 0; j < out.w; j++) {
                const gint y = (gint)((gint64)i * in.h / out.h);
                const gint x = (gint)((gint64)j * in.w / out.w);

                for (gint c = 0; c < out.c; c++)
                    w2w_reference_set(operands->out, w2w_reference_at(out, n, i, j, c),
                                      w2w_reference_get(operands->in[W2W_SLOT_X],
                                                        w2w_reference_at(in, n, y, x, c)));
            }
}

W2wKernel *w2w_reference_prepare_upsample(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
