/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * layer_norm: y = (x − mean) / sqrt(variance + eps) · weight[c] + bias[c], with the mean and the
 * (biased) variance of each row. PyTorch: nn.LayerNorm(C).
 */
#include "engine/device/reference/reference.h"

#include <math.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const double *x = in[W2W_SLOT_X];
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint n_channels = op->out.c;

    for (gint64 row = 0; row < n_rows; row++) {
        const gint64 first = row * n_channels;
        double mean = 0.0, variance = 0.0, scale;

        for (gint c = 0; c < n_channels; c++)
            mean += x[first + c] / n_channels;
        for (gint c = 0; c < n_channels; c++) {
            const double d = x[first + c] - mean;

            variance += d * d / n_channels;
        }
        scale = 1.0 / sqrt(variance + op->params.layer_norm.eps);
        for (gint c = 0; c < n_channels; c++)
            out[first + c] = (x[first + c] - mean) * scale * kernel->weight[W2W_WEIGHT][c] +
                             kernel->weight[W2W_BIAS][c];
    }
}

W2wKernel *w2w_reference_prepare_layer_norm(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
