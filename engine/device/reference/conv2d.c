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

/* sums[o] += Σ_c W[o,c,a,b] x[c]; x is the element at which a pixel of the input starts. */
static void add_tap(const W2wReferenceKernel *kernel, const W2wOperands *operands, gint64 x, gint a,
                    gint b, double *sums)
{
    const W2wOp *op = &kernel->op;
    const gint kernel_h = op->params.conv2d.kernel_h, kernel_w = op->params.conv2d.kernel_w;
    const gint n_in = op->in[W2W_SLOT_X].c, n_out = w2w_reference_n_columns(op);

    for (gint o = 0; o < n_out; o++) {
        double sum = 0.0;

        for (gint c = 0; c < n_in; c++)
            sum +=
                kernel->weight[W2W_WEIGHT][(((gint64)o * n_in + c) * kernel_h + a) * kernel_w + b] *
                w2w_reference_get(operands->in[W2W_SLOT_X], x + c);
        sums[o] += sum;
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const W2wReferenceKernel *kernel = (const W2wReferenceKernel *)parent;
    const W2wOp *op = &kernel->op;
    const W2wShape in = op->in[W2W_SLOT_X];
    const gboolean enlarge = op->params.conv2d.upsampled_h > 0;
    const gint height = enlarge ? op->params.conv2d.upsampled_h : in.h;
    const gint width = enlarge ? op->params.conv2d.upsampled_w : in.w;
    double *sums = operands->scratch; /* (columns) */
    gint64 row = 0;

    for (gint n = 0; n < op->out.n; n++)
        for (gint i = 0; i < op->out.h; i++)
            for (gint j = 0; j < op->out.w; j++) {
                memset(sums, 0, w2w_reference_n_columns(op) * sizeof *sums);
                for (gint a = 0; a < op->params.conv2d.kernel_h; a++)
                    for (gint b = 0; b < op->params.conv2d.kernel_w; b++) {
                        const gint y = op->params.conv2d.stride * i + a - op->params.conv2d.pad_top;
                        const gint x =
                            op->params.conv2d.stride * j + b - op->params.conv2d.pad_left;

                        if (y < 0 || y >= height || x < 0 || x >= width)
                            continue; /* zeros */
                        /* The pixel of the input that enlarging put there; itself where nothing is
                         * enlarged. */
                        add_tap(kernel, operands,
                                w2w_reference_at(in, n, (gint)((gint64)y * in.h / height),
                                                 (gint)((gint64)x * in.w / width), 0),
                                a, b, sums);
                    }
                w2w_reference_finish_row(kernel, operands, row++, sums);
            }
}

W2wKernel *w2w_reference_prepare_conv2d(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, w2w_reference_n_columns(op) * sizeof(double),
                                    error);
}
