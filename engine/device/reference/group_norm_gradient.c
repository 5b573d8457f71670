/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * group_norm_gradient: with x̂ = (x − mean) / sqrt(variance + eps) and g = d_out · f'(x̂ weight +
 * bias) · weight, per image and group d_x = (g − mean(g) − x̂ · mean(g x̂)) / sqrt(variance + eps)
 * + d_residual. PyTorch: what autograd gives for nn.GroupNorm, with nn.SiLU after it where it is
 * fused, plus what else reads x.
 */
#include "engine/device/reference/reference.h"

#include <math.h>

/* One group of one image: its first element, and what stands between its rows. */
typedef struct {
    gint64 first, n_pixels;
    gint first_channel, width;
} Group;

/* x̂ of an element whose difference from the mean is known → d loss / d x̂. */
static double find_g(const W2wReferenceKernel *kernel, gint c, double normal, double d_out)
{
    const double weight = kernel->weight[W2W_WEIGHT][c];
    const W2wActivation activation = kernel->op.activation;

    if (activation == W2W_ACTIVATION_NONE)
        return d_out * weight;
    return d_out *
           w2w_reference_activation_slope(activation,
                                          normal * weight + kernel->weight[W2W_BIAS][c]) *
           weight;
}

static void run_group(const W2wReferenceKernel *kernel, const double *const *in, const Group *group,
                      double *out)
{
    const gint step = kernel->op.out.c;
    const double count = (double)group->n_pixels * group->width;
    const double *x = in[W2W_SLOT_X] + group->first, *d_out = in[W2W_SLOT_D_OUT] + group->first;
    const double *d_residual = in[W2W_SLOT_D_RESIDUAL];
    double mean = 0.0, variance = 0.0, mean_g = 0.0, mean_g_x = 0.0, scale;

    for (gint64 row = 0; row < group->n_pixels; row++)
        for (gint c = 0; c < group->width; c++)
            mean += x[row * step + c] / count;
    for (gint64 row = 0; row < group->n_pixels; row++)
        for (gint c = 0; c < group->width; c++)
            variance += (x[row * step + c] - mean) * (x[row * step + c] - mean) / count;
    scale = 1.0 / sqrt(variance + kernel->op.params.group_norm.eps);
    for (gint64 row = 0; row < group->n_pixels; row++)
        for (gint c = 0; c < group->width; c++) {
            const double normal = (x[row * step + c] - mean) * scale;
            const double g =
                find_g(kernel, group->first_channel + c, normal, d_out[row * step + c]);

            mean_g += g / count;
            mean_g_x += g * normal / count;
        }
    for (gint64 row = 0; row < group->n_pixels; row++)
        for (gint c = 0; c < group->width; c++) {
            const gint64 i = row * step + c;
            const double normal = (x[i] - mean) * scale;
            const double g = find_g(kernel, group->first_channel + c, normal, d_out[i]);

            out[group->first + i] = (g - mean_g - normal * mean_g_x) * scale;
            if (d_residual != NULL)
                out[group->first + i] += d_residual[group->first + i];
        }
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint width = op->out.c / op->params.group_norm.n_groups;
    const gint64 n_pixels = (gint64)op->out.h * op->out.w;

    for (gint n = 0; n < op->out.n; n++)
        for (gint c = 0; c < op->out.c; c += width) {
            const Group group = {n * n_pixels * op->out.c + c, n_pixels, c, width};

            run_group(kernel, in, &group, out);
        }
}

W2wKernel *w2w_reference_prepare_group_norm_gradient(W2wDevice *device, const W2wOp *op,
                                                     GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
