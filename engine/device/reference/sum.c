/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sum: over every axis along which the output is 1 long: what the gradient of add's broadcast
 * input is. PyTorch: x.sum(axes, keepdim=True).
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
        for (gint y = 0; y < from.h; y++)
            for (gint x = 0; x < from.w; x++)
                for (gint c = 0; c < from.c; c++)
                    out[w2w_reference_at(to, to.n == 1 ? 0 : n, to.h == 1 ? 0 : y,
                                         to.w == 1 ? 0 : x, c)] +=
                        in[W2W_SLOT_X][w2w_reference_at(from, n, y, x, c)];
}

W2wKernel *w2w_reference_prepare_sum(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
