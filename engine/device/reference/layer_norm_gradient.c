/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * layer_norm_gradient: with x̂ = (x − mean) / sqrt(variance + eps) and g = d_out · weight, per row
 * d_x = (g − mean(g) − x̂ · mean(g x̂)) / sqrt(variance + eps) + d_residual. PyTorch: what autograd
 * gives for nn.LayerNorm(C), plus what else reads x.
 */
#include "engine/device/reference/reference.h"

#include <math.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint n_channels = op->out.c;
    const double *weight = kernel->weight[W2W_WEIGHT];

    for (gint64 row = 0; row < n_rows; row++) {
        const gint64 first = row * n_channels;
        const double *x = in[W2W_SLOT_X] + first, *d_out = in[W2W_SLOT_D_OUT] + first;
        double mean = 0.0, variance = 0.0, mean_g = 0.0, mean_g_x = 0.0, scale;

        for (gint c = 0; c < n_channels; c++)
            mean += x[c] / n_channels;
        for (gint c = 0; c < n_channels; c++)
            variance += (x[c] - mean) * (x[c] - mean) / n_channels;
        scale = 1.0 / sqrt(variance + op->params.layer_norm.eps);
        for (gint c = 0; c < n_channels; c++) {
            const double g = d_out[c] * weight[c];

            mean_g += g / n_channels;
            mean_g_x += g * (x[c] - mean) * scale / n_channels;
        }
        for (gint c = 0; c < n_channels; c++) {
            const double normal = (x[c] - mean) * scale;

            out[first + c] = (d_out[c] * weight[c] - mean_g - normal * mean_g_x) * scale;
            if (in[W2W_SLOT_D_RESIDUAL] != NULL)
                out[first + c] += in[W2W_SLOT_D_RESIDUAL][first + c];
        }
    }
}

W2wKernel *w2w_reference_prepare_layer_norm_gradient(W2wDevice *device, const W2wOp *op,
                                                     GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
