/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conv2d on the cpu: the product of gemm.h with a row pointer per output pixel and tap.
 *
 * Stride, padding at any side and a nearest-neighbour enlargement of the input are only a
 * matter of where the pointers point; what lies outside of the picture points to zeros.
 */
#include "engine/device/cpu/gemm.h"

#include "engine/memory.h"

typedef struct {
    W2wGemmKernel parent;
    W2wShape in;
    gint out_h, out_w, kernel_h, kernel_w, stride, pad_top, pad_left;
    gint seen_h, seen_w; /* the input as the kernel's window sees it: enlarged or not */
    float *zeros;        /* (in.c) */
} Conv2dKernel;

static void find_rows(const W2wKernel *base, const float *x, gint64 first, gint n,
                      const float **rows)
{
    const Conv2dKernel *kernel = (const Conv2dKernel *)base;
    const W2wShape in = kernel->in;
    const gboolean enlarged = kernel->seen_h != in.h || kernel->seen_w != in.w;
    const gint64 pixels = (gint64)kernel->out_h * kernel->out_w;
    gint64 image = first / pixels;
    gint y = (gint)(first % pixels / kernel->out_w), out_x = (gint)(first % kernel->out_w);

    for (gint i = 0; i < n; i++) {
        const float *picture = x + image * in.h * in.w * in.c;
        const float **row = rows + i;

        for (gint ky = 0; ky < kernel->kernel_h; ky++) {
            gint source_y = y * kernel->stride - kernel->pad_top + ky;
            const gboolean inside = source_y >= 0 && source_y < kernel->seen_h;

            if (enlarged && inside)
                source_y = (gint)((gint64)source_y * in.h / kernel->seen_h);
            for (gint kx = 0; kx < kernel->kernel_w; kx++, row += W2W_GEMM_ROWS) {
                gint source_x = out_x * kernel->stride - kernel->pad_left + kx;

                if (!inside || source_x < 0 || source_x >= kernel->seen_w) {
                    *row = kernel->zeros;
                    continue;
                }
                if (enlarged)
                    source_x = (gint)((gint64)source_x * in.w / kernel->seen_w);
                *row = picture + ((gint64)source_y * in.w + source_x) * in.c;
            }
        }
        if (++out_x == kernel->out_w) {
            out_x = 0;
            if (++y == kernel->out_h) {
                y = 0;
                image++;
            }
        }
    }
}

static void free_conv2d(W2wKernel *base)
{
    Conv2dKernel *kernel = (Conv2dKernel *)base;

    W2W_CPU_SYMBOL(gemm_clear)(&kernel->parent);
    w2w_aligned_free(kernel->zeros);
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_conv2d)(W2wDevice *device, const W2wOp *op, GError **error)
{
    Conv2dKernel *kernel = g_new0(Conv2dKernel, 1);

    kernel->parent.parent.free = free_conv2d;
    kernel->parent.rows_func = find_rows;
    kernel->in = op->in[W2W_SLOT_X];
    kernel->out_h = op->out.h;
    kernel->out_w = op->out.w;
    kernel->kernel_h = op->params.conv2d.kernel_h;
    kernel->kernel_w = op->params.conv2d.kernel_w;
    kernel->stride = op->params.conv2d.stride;
    kernel->pad_top = op->params.conv2d.pad_top;
    kernel->pad_left = op->params.conv2d.pad_left;
    kernel->seen_h =
        op->params.conv2d.upsampled_h != 0 ? op->params.conv2d.upsampled_h : kernel->in.h;
    kernel->seen_w =
        op->params.conv2d.upsampled_w != 0 ? op->params.conv2d.upsampled_w : kernel->in.w;
    kernel->zeros = w2w_aligned_alloc0((gsize)kernel->in.c, sizeof(float), "a convolution", error);
    if (kernel->zeros == NULL || !W2W_CPU_SYMBOL(gemm_init)(&kernel->parent, device, op, error)) {
        free_conv2d(&kernel->parent.parent);
        return NULL;
    }
    return &kernel->parent.parent;
}
