/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conv2d: y[n,i,j,o] = f(bias[o] + residual[n,i,j,o] + image_bias[n,o]
 *                        + Σ_{a,b,c} W[o,c,a,b] x[n, stride i + a − pad_top, stride j + b −
 * pad_left, c]) with zeros wherever x is outside of the picture, which is all that padding is: the
 * output's size says how far it goes at the bottom and right. PyTorch: nn.Conv2d; for asymmetric
 * padding F.pad(x, (0, 1, 0, 1)) before it; for an upsampled input F.interpolate(x,
 * size=(upsampled_h, upsampled_w), mode='nearest') before it.
 */
#include "engine/device/reference/reference.h"

#include <string.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape in_shape = op->in[W2W_SLOT_X];
    const gboolean enlarge = op->params.conv2d.upsampled_h > 0;
    const gint height = enlarge ? op->params.conv2d.upsampled_h : in_shape.h;
    const gint width = enlarge ? op->params.conv2d.upsampled_w : in_shape.w;
    const gint n_out = w2w_reference_n_columns(op), kernel_w = op->params.conv2d.kernel_w;
    double *sums = scratch; /* (out) */
    gint64 row = 0;

    for (gint n = 0; n < op->out.n; n++)
        for (gint i = 0; i < op->out.h; i++)
            for (gint j = 0; j < op->out.w; j++) {
                memset(sums, 0, (gsize)n_out * sizeof *sums);
                for (gint a = 0; a < op->params.conv2d.kernel_h; a++)
                    for (gint b = 0; b < kernel_w; b++) {
                        const gint y = op->params.conv2d.stride * i + a - op->params.conv2d.pad_top;
                        const gint x =
                            op->params.conv2d.stride * j + b - op->params.conv2d.pad_left;

                        if (y < 0 || y >= height || x < 0 || x >= width)
                            continue; /* zeros */
                        /* The pixel of the input that enlarging put there; itself where nothing is
                         * enlarged. */
                        w2w_reference_add_product(
                            kernel->weight[W2W_WEIGHT] +
                                ((gsize)a * kernel_w + b) * in_shape.c * n_out,
                            in_shape.c, n_out,
                            in[W2W_SLOT_X] +
                                w2w_reference_at(in_shape, n,
                                                 (gint)((gint64)y * in_shape.h / height),
                                                 (gint)((gint64)x * in_shape.w / width), 0),
                            sums);
                    }
                w2w_reference_finish_row(kernel, in, row++, sums, out);
            }
}

W2wKernel *w2w_reference_prepare_conv2d(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_product_new(device, op, run, 0, error);
}
