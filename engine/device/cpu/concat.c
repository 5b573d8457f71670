/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The channels of two feature maps side by side. */
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

typedef struct {
    W2wKernel parent;
    gint64 n_first, n_second; /* channels */
    W2wTaskSplit split;
} ConcatKernel;

typedef struct {
    const ConcatKernel *kernel;
    const w2w_element *first, *second;
    w2w_element *out;
} ConcatJob;

static void concat_rows(gconstpointer data, guint task, guint thread)
{
    const ConcatJob *job = data;
    const gint64 n_first = job->kernel->n_first, n_second = job->kernel->n_second;
    const gint64 end = w2w_task_end(&job->kernel->split, task);

    for (gint64 row = w2w_task_begin(&job->kernel->split, task); row < end; row++) {
        w2w_element *out = job->out + row * (n_first + n_second);

        memcpy(out, job->first + row * n_first, (gsize)n_first * sizeof(w2w_element));
        memcpy(out + n_first, job->second + row * n_second, (gsize)n_second * sizeof(w2w_element));
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const ConcatKernel *kernel = (const ConcatKernel *)parent;
    const ConcatJob job = {kernel, operands->in[W2W_SLOT_FIRST], operands->in[W2W_SLOT_SECOND],
                           operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, concat_rows, &job);
}

static void concat_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_concat)(W2wDevice *device, const W2wOp *op, GError **error)
{
    ConcatKernel *kernel = g_new0(ConcatKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = concat_free};
    kernel->n_first = op->in[W2W_SLOT_FIRST].c;
    kernel->n_second = op->in[W2W_SLOT_SECOND].c;
    kernel->split = w2w_task_split(w2w_shape_n_rows(op->out), op->out.c, W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
