/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gradient of nearest neighbours: pixel (y, x) is the sum of the pixels (i, j) with
 * ⌊i·h/in_h⌋ = y and ⌊j·w/in_w⌋ = x, a rectangle; an empty one where the forward op shrank.
 */
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

typedef struct {
    W2wKernel parent;
    W2wShape in, out;   /* in: larger, the gradient of the forward op's output */
    W2wTaskSplit split; /* rows of pixels of all images */
} UpsampleGradientKernel;

typedef struct {
    const UpsampleGradientKernel *kernel;
    const float *d_out;
    float *out;
} GradientJob;

/* The first i with ⌊i · n / n_large⌋ ≥ at. */
static inline gint64 first_of(gint64 at, gint64 n, gint64 n_large)
{
    return (at * n_large + n - 1) / n;
}

static inline void add_row(float *restrict to, const float *restrict from, gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        to[i] += from[i];
}

static void gradient_rows(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const W2wShape in = job->kernel->in, out = job->kernel->out;
    const gint64 end = w2w_task_end(&job->kernel->split, task), c = out.c;

    for (gint64 row = w2w_task_begin(&job->kernel->split, task); row < end; row++) {
        const gint64 image = row / out.h, y = row % out.h;
        const gint64 y_begin = first_of(y, out.h, in.h), y_end = first_of(y + 1, out.h, in.h);
        float *to = job->out + row * out.w * c;

        for (gint64 x = 0; x < out.w; x++, to += c) {
            const gint64 x_begin = first_of(x, out.w, in.w), x_end = first_of(x + 1, out.w, in.w);

            memset(to, 0, (gsize)c * sizeof *to);
            for (gint64 i = y_begin; i < y_end; i++)
                for (gint64 j = x_begin; j < x_end; j++)
                    add_row(to, job->d_out + ((image * in.h + i) * in.w + j) * c, c);
        }
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const UpsampleGradientKernel *kernel = (const UpsampleGradientKernel *)parent;
    const GradientJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, gradient_rows, &job);
}

static void upsample_gradient_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_upsample_gradient)(W2wDevice *device, const W2wOp *op,
                                                     GError **error)
{
    UpsampleGradientKernel *kernel = g_new0(UpsampleGradientKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = upsample_gradient_free};
    kernel->in = op->in[W2W_SLOT_X];
    kernel->out = op->out;
    kernel->split =
        w2w_task_split((gint64)op->out.n * op->out.h,
                       w2w_shape_n_elements(kernel->in) / MAX((gint64)op->out.n * op->out.h, 1),
                       W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
