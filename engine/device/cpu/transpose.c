/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * (1,1,R,C) → (1,1,C,R). In squares that a first-level cache holds; a single row or column lies
 * in memory as it will.
 */
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

#define SQUARE 16

typedef struct {
    W2wKernel parent;
    gint64 n_rows, n_columns; /* of the input */
    W2wTaskSplit split;       /* bands of SQUARE columns of it */
} TransposeKernel;

typedef struct {
    const TransposeKernel *kernel;
    const float *x;
    float *out;
} TransposeJob;

static void transpose_bands(gconstpointer data, guint task, guint thread)
{
    const TransposeJob *job = data;
    const gint64 n_rows = job->kernel->n_rows, n_columns = job->kernel->n_columns;
    const gint64 end = MIN(w2w_task_end(&job->kernel->split, task) * SQUARE, n_columns);

    for (gint64 column = w2w_task_begin(&job->kernel->split, task) * SQUARE; column < end;
         column += SQUARE)
        for (gint64 row = 0; row < n_rows; row += SQUARE)
            for (gint64 i = column; i < MIN(column + SQUARE, end); i++)
                for (gint64 j = row; j < MIN(row + SQUARE, n_rows); j++)
                    job->out[i * n_rows + j] = job->x[j * n_columns + i];
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const TransposeKernel *kernel = (const TransposeKernel *)parent;
    const TransposeJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    if (kernel->n_rows == 1 || kernel->n_columns == 1)
        memcpy(job.out, job.x, (gsize)(kernel->n_rows * kernel->n_columns) * sizeof(float));
    else
        w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, transpose_bands, &job);
}

static void transpose_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_transpose)(W2wDevice *device, const W2wOp *op, GError **error)
{
    TransposeKernel *kernel = g_new0(TransposeKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = transpose_free};
    kernel->n_rows = op->in[W2W_SLOT_X].w;
    kernel->n_columns = op->in[W2W_SLOT_X].c;
    kernel->split = w2w_task_split((kernel->n_columns + SQUARE - 1) / SQUARE,
                                   kernel->n_rows * SQUARE, W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
