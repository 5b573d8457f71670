/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nearest neighbours: pixel (y, x) is pixel (⌊y·h/out_h⌋, ⌊x·w/out_w⌋) of the input. */
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

typedef struct {
    W2wKernel parent;
    W2wShape in, out;
    W2wTaskSplit split; /* rows of pixels of all images */
} UpsampleKernel;

typedef struct {
    const UpsampleKernel *kernel;
    const w2w_element *x;
    w2w_element *out;
} UpsampleJob;

static void upsample_rows(gconstpointer data, guint task, guint thread)
{
    const UpsampleJob *job = data;
    const W2wShape in = job->kernel->in, out = job->kernel->out;
    const gint64 end = w2w_task_end(&job->kernel->split, task);
    const gint64 c = out.c;

    for (gint64 row = w2w_task_begin(&job->kernel->split, task); row < end; row++) {
        const gint64 image = row / out.h, y = row % out.h * in.h / out.h;
        const w2w_element *from = job->x + (image * in.h + y) * in.w * c;
        w2w_element *to = job->out + row * out.w * c;

        for (gint64 x = 0; x < out.w; x++, to += c)
            memcpy(to, from + x * in.w / out.w * c, (gsize)c * sizeof(w2w_element));
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const UpsampleKernel *kernel = (const UpsampleKernel *)parent;
    const UpsampleJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, upsample_rows, &job);
}

static void upsample_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_upsample)(W2wDevice *device, const W2wOp *op, GError **error)
{
    UpsampleKernel *kernel = g_new0(UpsampleKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = upsample_free};
    kernel->in = op->in[W2W_SLOT_X];
    kernel->out = op->out;
    kernel->split = w2w_task_split((gint64)op->out.n * op->out.h, (gint64)op->out.w * op->out.c,
                                   W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
