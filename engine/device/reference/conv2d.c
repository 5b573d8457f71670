/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conv2d: y[n,i,j,o] = f(bias[o] + residual[n,i,j,o] + image_bias[n,o]
 *     + Σ_{a,b,c} W[o,c,a,b] x[n, stride i + a − pad_top, stride j + b − pad_left, c])
 * with zeros wherever x is outside of the picture, which is all that padding is: the output's size
 * says how far it goes at the bottom and right. PyTorch: nn.Conv2d; for asymmetric padding
 * F.pad(x, (0, 1, 0, 1)) before it; for an upsampled input F.interpolate(x, size=(upsampled_h,
 * upsampled_w), mode='nearest') before it. Rotated, with zeros between the pixels of x:
 * nn.ConvTranspose2d, the gradient of nn.Conv2d (op.h); with an enlargement, that of both.
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

/* Along one axis: which pixels [begin, end) of the enlarged picture the one at `at` was made into.
 */
typedef struct {
    gint begin, end;
} Range;

static Range find_copies(gint at, gint size, gint enlarged)
{
    return (Range){(gint)(((gint64)at * enlarged + size - 1) / size),
                   (gint)(((gint64)(at + 1) * enlarged + size - 1) / size)};
}

/* sums (out) += what the kernel gives where its corner lies at (top, left) of its input. */
static void add_window(const W2wReferenceKernel *kernel, const double *const *in, gint n, gint top,
                       gint left, double *sums)
{
    const W2wOp *op = &kernel->op;
    const W2wShape shape = op->in[W2W_SLOT_X];
    const gboolean enlarged = !op->params.conv2d.rotated;
    const gint n_out = w2w_reference_n_columns(op), kernel_w = op->params.conv2d.kernel_w;

    for (gint a = 0; a < op->params.conv2d.kernel_h; a++)
        for (gint b = 0; b < kernel_w; b++) {
            const gint y =
                find_pixel(top + a, shape.h, enlarged ? op->params.conv2d.upsampled_h : 0,
                           op->params.conv2d.zeros_between);
            const gint x =
                find_pixel(left + b, shape.w, enlarged ? op->params.conv2d.upsampled_w : 0,
                           op->params.conv2d.zeros_between);

            if (y < 0 || x < 0)
                continue;
            w2w_reference_add_product(
                kernel->weight[W2W_WEIGHT] + ((gsize)a * kernel_w + b) * shape.c * n_out, shape.c,
                n_out, in[W2W_SLOT_X] + w2w_reference_at(shape, n, y, x, 0), sums);
        }
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint stride = op->params.conv2d.stride;
    const gboolean summed = op->params.conv2d.rotated && op->params.conv2d.upsampled_h > 0;
    double *sums = scratch; /* (out) */
    gint64 row = 0;

    for (gint n = 0; n < op->out.n; n++)
        for (gint i = 0; i < op->out.h; i++)
            for (gint j = 0; j < op->out.w; j++) {
                const Range rows = summed ? find_copies(i, op->out.h, op->params.conv2d.upsampled_h)
                                          : (Range){stride * i, stride * i + 1};
                const Range columns = summed
                                          ? find_copies(j, op->out.w, op->params.conv2d.upsampled_w)
                                          : (Range){stride * j, stride * j + 1};

                memset(sums, 0, (gsize)w2w_reference_n_columns(op) * sizeof *sums);
                for (gint y = rows.begin; y < rows.end; y++)
                    for (gint x = columns.begin; x < columns.end; x++)
                        add_window(kernel, in, n, y - op->params.conv2d.pad_top,
                                   x - op->params.conv2d.pad_left, sums);
                w2w_reference_finish_row(kernel, in, row++, sums, out);
            }
}

W2wKernel *w2w_reference_prepare_conv2d(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_product_new(device, op, run, 0, error);
}
