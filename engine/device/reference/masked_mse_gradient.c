/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * masked_mse_gradient: d_prediction = d_loss[n] · 2 mask² (prediction − target) / (H W C). PyTorch:
 * what autograd gives for masked_mse.
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape shape = op->out;
    const gint64 n_pixels = (gint64)shape.h * shape.w;
    const double count = (double)n_pixels * shape.c;

    for (gint64 row = 0; row < shape.n * n_pixels; row++) {
        const double mask = in[W2W_SLOT_MASK][row];
        const double slope = in[W2W_SLOT_D_LOSS][row / n_pixels] * 2.0 * mask * mask / count;

        for (gint64 i = row * shape.c; i < (row + 1) * shape.c; i++)
            out[i] = slope * (in[W2W_SLOT_PREDICTION][i] - in[W2W_SLOT_TARGET][i]);
    }
}

W2wKernel *w2w_reference_prepare_masked_mse_gradient(W2wDevice *device, const W2wOp *op,
                                                     GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
