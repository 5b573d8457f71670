/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * masked_mse: per image, the mean over pixels and channels of (mask · (prediction − target))², with
 * one mask for all channels. PyTorch: F.mse_loss(mask * prediction, mask * target) of each image.
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape shape = op->in[W2W_SLOT_PREDICTION];
    const gint64 n_pixels = (gint64)shape.h * shape.w;
    const double count = (double)n_pixels * shape.c;

    for (gint n = 0; n < shape.n; n++) {
        out[n] = 0.0;
        for (gint64 row = n * n_pixels; row < (n + 1) * n_pixels; row++)
            for (gint64 i = row * shape.c; i < (row + 1) * shape.c; i++) {
                const double difference =
                    in[W2W_SLOT_MASK][row] * (in[W2W_SLOT_PREDICTION][i] - in[W2W_SLOT_TARGET][i]);

                out[n] += difference * difference / count;
            }
    }
}

W2wKernel *w2w_reference_prepare_masked_mse(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
