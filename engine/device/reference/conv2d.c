/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conv2d: y[n,i,j,o] = f(bias[o] + residual[n,i,j,o] + image_bias[n,o]
 *     + Σ_{a,b,c} W[o,c,a,b] x[n, stride i + a − pad_top, stride j + b − pad_left, c])
 * with zeros wherever x is outside of the picture, which is all that padding is: the output's size
 * says how far it goes at the bottom and right. PyTorch: nn.Conv2d; for asymmetric padding
 * F.pad(x, (0, 1, 0, 1)) before it; for an upsampled input F.interpolate(x, size=(upsampled_h,
 * upsampled_w), mode='nearest') before it. Rotated, with zeros between the pixels of x:
 * nn.ConvTranspose2d, the gradient of nn.Conv2d (op.h).
 */
#include "engine/device/reference/reference.h"

#include <string.h>

/*
 * Which pixel of the input counts as the one at `at` of what the kernel is laid over, along one
 * axis of `size` pixels, enlarged to `enlarged` (0: not), or with zeros between them; −1: zeros.
 */
static gint find_pixel(gint at, gint size, gint enlarged, gint zeros_between)
{
    const gint step = MAX(zeros_between, 1);

    if (at < 0 || at % step != 0 || at / step >= (enlarged > 0 ? enlarged : size))
        return -1;
    return enlarged > 0 ? (gint)((gint64)at * size / enlarged) : at / step;
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const W2wShape in_shape = op->in[W2W_SLOT_X];
    const gint n_out = w2w_reference_n_columns(op), kernel_w = op->params.conv2d.kernel_w;
    double *sums = scratch; /* (out) */
    gint64 row = 0;

    for (gint n = 0; n < op->out.n; n++)
        for (gint i = 0; i < op->out.h; i++)
            for (gint j = 0; j < op->out.w; j++) {
                memset(sums, 0, (gsize)n_out * sizeof *sums);
                for (gint a = 0; a < op->params.conv2d.kernel_h; a++)
                    for (gint b = 0; b < kernel_w; b++) {
                        const gint y =
                            find_pixel(op->params.conv2d.stride * i + a - op->params.conv2d.pad_top,
                                       in_shape.h, op->params.conv2d.upsampled_h,
                                       op->params.conv2d.zeros_between);
                        const gint x = find_pixel(op->params.conv2d.stride * j + b -
                                                      op->params.conv2d.pad_left,
                                                  in_shape.w, op->params.conv2d.upsampled_w,
                                                  op->params.conv2d.zeros_between);

                        if (y < 0 || x < 0)
                            continue;
                        w2w_reference_add_product(
                            kernel->weight[W2W_WEIGHT] +
                                ((gsize)a * kernel_w + b) * in_shape.c * n_out,
                            in_shape.c, n_out,
                            in[W2W_SLOT_X] + w2w_reference_at(in_shape, n, y, x, 0), sums);
                    }
                w2w_reference_finish_row(kernel, in, row++, sums, out);
            }
}

W2wKernel *w2w_reference_prepare_conv2d(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_product_new(device, op, run, 0, error);
}
