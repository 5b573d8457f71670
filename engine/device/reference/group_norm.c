/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * group_norm: y = f((x − mean) / sqrt(variance + eps) · weight[c] + bias[c]), with the mean and
 * the (biased) variance of each image's groups of C / n_groups neighbouring channels, over
 * all of their pixels. PyTorch: nn.GroupNorm, with an activation after it where one is fused.
 */
#include "engine/device/reference/reference.h"

#include <math.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const double *x = in[W2W_SLOT_X];
    const gint width = op->out.c / op->params.group_norm.n_groups; /* channels of a group */
    const gint64 n_pixels = (gint64)op->out.h * op->out.w;
    const double count = (double)n_pixels * width;

    for (gint n = 0; n < op->out.n; n++)
        for (gint first = 0; first < op->out.c; first += width) {
            double mean = 0.0, variance = 0.0, scale;

            for (gint64 row = n * n_pixels; row < (n + 1) * n_pixels; row++)
                for (gint c = first; c < first + width; c++)
                    mean += x[row * op->out.c + c] / count;
            for (gint64 row = n * n_pixels; row < (n + 1) * n_pixels; row++)
                for (gint c = first; c < first + width; c++) {
                    const double d = x[row * op->out.c + c] - mean;

                    variance += d * d / count;
                }
            scale = 1.0 / sqrt(variance + op->params.group_norm.eps);
            for (gint64 row = n * n_pixels; row < (n + 1) * n_pixels; row++)
                for (gint c = first; c < first + width; c++) {
                    const gint64 i = row * op->out.c + c;
                    const double y = (x[i] - mean) * scale * kernel->weight[W2W_WEIGHT][c] +
                                     kernel->weight[W2W_BIAS][c];

                    out[i] = w2w_reference_activate(op->activation, y);
                }
        }
}

W2wKernel *w2w_reference_prepare_group_norm(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
