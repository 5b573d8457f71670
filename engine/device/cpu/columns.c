/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Some neighbouring channels of a feature map. */
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

typedef struct {
    W2wKernel parent;
    gint64 n_in, n_out, first; /* channels */
    W2wTaskSplit split;
} ColumnsKernel;

typedef struct {
    const ColumnsKernel *kernel;
    const float *x;
    float *out;
} ColumnsJob;

static void copy_rows(gconstpointer data, guint task, guint thread)
{
    const ColumnsJob *job = data;
    const ColumnsKernel *kernel = job->kernel;
    const gint64 end = w2w_task_end(&kernel->split, task);

    for (gint64 row = w2w_task_begin(&kernel->split, task); row < end; row++)
        memcpy(job->out + row * kernel->n_out, job->x + row * kernel->n_in + kernel->first,
               (gsize)kernel->n_out * sizeof(float));
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const ColumnsKernel *kernel = (const ColumnsKernel *)parent;
    const ColumnsJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, copy_rows, &job);
}

static void columns_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_columns)(W2wDevice *device, const W2wOp *op, GError **error)
{
    ColumnsKernel *kernel = g_new0(ColumnsKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = columns_free};
    kernel->n_in = op->in[W2W_SLOT_X].c;
    kernel->n_out = op->out.c;
    kernel->first = op->params.columns.first;
    kernel->split = w2w_task_split(w2w_shape_n_rows(op->out), op->out.c, W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
