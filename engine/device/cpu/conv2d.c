/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conv2d on the cpu: the product of gemm.h with a row pointer per output pixel and tap.
 *
 * Stride, padding at any side and a nearest-neighbour enlargement of the input are only a
 * matter of where the pointers point; what lies outside of the picture points to zeros. Where a
 * tile touches neither left nor right border, the taps of one kernel row lie side by side
 * in memory and are summed as one.
 */
#include "engine/device/cpu/gemm.h"

#include "engine/error.h"
#include "engine/memory.h"

typedef struct {
    W2wGemmKernel parent;
    W2wShape in;
    gint out_h, out_w; /* of one phase: the input's size where there are four */
    gint kernel_h, kernel_w, stride, pad_top, pad_left;
    gint seen_h, seen_w; /* the input as the kernel's window sees it: enlarged or not */
    gint zeros_between;  /* of `seen`, only every so many rows and columns are the input's; or 1 */
    W2wGemmForm form;
    w2w_element *zeros; /* (kernel_w · in.c) */
} Conv2dKernel;

/* The window of one output pixel, in the input as it is seen: its corner and its output row. */
typedef struct {
    const w2w_element *picture;
    gint top, left;
} Window;

/* Source of one tap; zeros outside of the picture. */
static const w2w_element *find_tap(const Conv2dKernel *kernel, const Window *window, gint ky,
                                   gint kx)
{
    const W2wShape in = kernel->in;
    gint64 y = window->top + ky, x = window->left + kx;

    if (y < 0 || y >= kernel->seen_h || x < 0 || x >= kernel->seen_w)
        return kernel->zeros;
    if (kernel->zeros_between > 1) {
        if (y % kernel->zeros_between != 0 || x % kernel->zeros_between != 0)
            return kernel->zeros;
        y /= kernel->zeros_between;
        x /= kernel->zeros_between;
    } else {
        if (kernel->seen_h != in.h)
            y = y * in.h / kernel->seen_h;
        if (kernel->seen_w != in.w)
            x = x * in.w / kernel->seen_w;
    }
    return window->picture + (y * in.w + x) * in.c;
}

static void find_rows(const W2wKernel *base, const w2w_element *x, gint phase, gint64 first, gint n,
                      W2wGemmTile *tile)
{
    const Conv2dKernel *kernel = (const Conv2dKernel *)base;
    const W2wShape in = kernel->in;
    const gint64 n_pixels = (gint64)kernel->out_h * kernel->out_w;
    const gint odd_row = phase / 2, odd_column = phase % 2;
    const gboolean spread = kernel->form == W2W_GEMM_SPREAD;
    const gint kernel_h = spread ? 1 + odd_row : kernel->kernel_h;
    const gint kernel_w = spread ? 1 + odd_column : kernel->kernel_w;
    gint64 image = first / n_pixels;
    gint out_y = (gint)(first % n_pixels / kernel->out_w), out_x = (gint)(first % kernel->out_w);
    Window windows[W2W_GEMM_ROWS];
    /* Can the taps of a kernel row be one? */
    gboolean joined = kernel_w > 1 && kernel->seen_w == in.w && kernel->seen_h == in.h;

    for (gint i = 0; i < n; i++) {
        Window *window = &windows[i];

        window->picture = x + image * in.h * in.w * in.c;
        window->top = out_y * kernel->stride - kernel->pad_top + (spread ? 0 : odd_row);
        window->left = out_x * kernel->stride - kernel->pad_left + (spread ? 0 : odd_column);
        joined = joined && window->left >= 0 && window->left + kernel_w <= in.w;
        tile->out[i] = kernel->parent.n_phases == 4
                           ? ((image * kernel->out_h + out_y) * 2 + odd_row) * (2 * kernel->out_w) +
                                 2 * out_x + odd_column
                           : first + i;
        if (++out_x == kernel->out_w) {
            out_x = 0;
            if (++out_y == kernel->out_h) {
                out_y = 0;
                image++;
            }
        }
    }
    if (joined) {
        tile->n_taps = kernel_h;
        tile->n_channels = kernel_w * in.c;
        for (gint i = 0; i < n; i++) {
            const Window *window = &windows[i];
            const w2w_element *row =
                window->picture + ((gint64)window->top * in.w + window->left) * in.c;

            for (gint ky = 0; ky < kernel_h; ky++, row += (gint64)in.w * in.c) {
                const gint y = window->top + ky;

                tile->rows[ky * W2W_GEMM_ROWS + i] = y >= 0 && y < in.h ? row : kernel->zeros;
            }
        }
    } else {
        const w2w_element **row = tile->rows;

        tile->n_taps = kernel_h * kernel_w;
        tile->n_channels = in.c;
        for (gint ky = 0; ky < kernel_h; ky++)
            for (gint kx = 0; kx < kernel_w; kx++, row += W2W_GEMM_ROWS)
                for (gint i = 0; i < n; i++)
                    row[i] = find_tap(kernel, &windows[i], ky, kx);
    }
}

static void free_conv2d(W2wKernel *base)
{
    Conv2dKernel *kernel = (Conv2dKernel *)base;

    W2W_CPU_SYMBOL(gemm_clear)(&kernel->parent);
    w2w_aligned_free(kernel->zeros);
    g_free(kernel);
}

/*
 * Which of the forms of gemm.h. Enlarging twofold or a stride of 2, around 3×3 taps with one pixel
 * of padding, have forms of their own.
 */
static W2wGemmForm choose_form(const W2wOp *op)
{
    const W2wShape in = op->in[W2W_SLOT_X], out = op->out;
    const gint enlarged_h = op->params.conv2d.upsampled_h,
               enlarged_w = op->params.conv2d.upsampled_w;
    const gboolean plain = op->params.conv2d.kernel_h == 3 && op->params.conv2d.kernel_w == 3 &&
                           op->params.conv2d.stride == 1 && op->params.conv2d.pad_top == 1 &&
                           op->params.conv2d.pad_left == 1;
    const gboolean twice = plain && out.h == 2 * in.h && out.w == 2 * in.w;
    const gboolean half = plain && in.h == 2 * out.h && in.w == 2 * out.w;

    if (!op->params.conv2d.rotated)
        return twice && enlarged_h == out.h && enlarged_w == out.w ? W2W_GEMM_SUBPIXEL
                                                                   : W2W_GEMM_PLAIN;
    if (half && enlarged_h == in.h && enlarged_w == in.w && op->params.conv2d.zeros_between <= 1)
        return W2W_GEMM_GATHERED;
    if (twice && enlarged_h == 0 && op->params.conv2d.zeros_between == 2)
        return W2W_GEMM_SPREAD;
    return W2W_GEMM_TURNED;
}

/* Four products of the input as it is, one per parity of the output's row and column. */
static void use_phases(Conv2dKernel *kernel)
{
    kernel->seen_h = kernel->out_h = kernel->in.h;
    kernel->seen_w = kernel->out_w = kernel->in.w;
    kernel->zeros_between = 1;
    kernel->kernel_h = kernel->kernel_w = 2;
    /* Sub-pixel: even outputs look one source pixel back, odd ones do not: the phase is added in
     * find_rows(). Spread: an output looks at the pixel that it stems from, and an odd one at the
     * next, too. */
    if (kernel->form == W2W_GEMM_SPREAD)
        kernel->pad_top = kernel->pad_left = 0;
}

W2wKernel *W2W_CPU_SYMBOL(prepare_conv2d)(W2wDevice *device, const W2wOp *op, GError **error)
{
    Conv2dKernel *kernel = g_new0(Conv2dKernel, 1);
    const W2wShape in = op->in[W2W_SLOT_X];

    if (op->params.conv2d.rotated && op->params.conv2d.upsampled_h != 0 &&
        choose_form(op) != W2W_GEMM_GATHERED) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The device \"cpu\" computes the gradient of enlarging and a convolution at "
                    "once only for a factor of 2 and 3×3 taps.");
        g_free(kernel);
        return NULL;
    }
    kernel->parent.parent.free = free_conv2d;
    kernel->parent.rows_func = find_rows;
    kernel->in = in;
    kernel->out_h = op->out.h;
    kernel->out_w = op->out.w;
    kernel->kernel_h = op->params.conv2d.kernel_h;
    kernel->kernel_w = op->params.conv2d.kernel_w;
    kernel->stride = op->params.conv2d.stride;
    kernel->pad_top = op->params.conv2d.pad_top;
    kernel->pad_left = op->params.conv2d.pad_left;
    kernel->seen_h = op->params.conv2d.upsampled_h != 0 ? op->params.conv2d.upsampled_h : in.h;
    kernel->seen_w = op->params.conv2d.upsampled_w != 0 ? op->params.conv2d.upsampled_w : in.w;
    kernel->zeros_between = MAX(op->params.conv2d.zeros_between, 1);
    if (kernel->zeros_between > 1) {
        kernel->seen_h = (in.h - 1) * kernel->zeros_between + 1;
        kernel->seen_w = (in.w - 1) * kernel->zeros_between + 1;
    }
    kernel->form = choose_form(op);
    if (kernel->form == W2W_GEMM_SUBPIXEL || kernel->form == W2W_GEMM_SPREAD)
        use_phases(kernel);
    if (kernel->form == W2W_GEMM_GATHERED) {
        kernel->kernel_h = kernel->kernel_w = 4;
        kernel->stride = 2;
    }
    kernel->zeros = w2w_aligned_alloc0((gsize)kernel->kernel_w * in.c, sizeof(w2w_element),
                                       "a convolution", error);
    if (kernel->zeros == NULL ||
        !W2W_CPU_SYMBOL(gemm_init)(&kernel->parent, device, op, kernel->form, error)) {
        free_conv2d(&kernel->parent.parent);
        return NULL;
    }
    return &kernel->parent.parent;
}
