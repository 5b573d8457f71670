/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate of a feed-forward block: of 2C columns, first half · gelu(second half). */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector_math.h"

typedef struct {
    W2wKernel parent;
    gint64 n_channels; /* of the output */
    W2wTaskSplit split;
} GegluKernel;

typedef struct {
    const GegluKernel *kernel;
    const w2w_element *x;
    w2w_element *out;
} GegluJob;

static void geglu_rows(gconstpointer data, guint task, guint thread)
{
    const GegluJob *job = data;
    const gint64 n = job->kernel->n_channels, end = w2w_task_end(&job->kernel->split, task);

    for (gint64 row = w2w_task_begin(&job->kernel->split, task); row < end; row++) {
        const w2w_element *value = job->x + row * 2 * n, *gate = value + n;
        w2w_element *out = job->out + row * n;
        gint64 i = 0;

        for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH)
            w2w_e_store(out + i, w2w_e_load(value + i) * w2w_v_gelu(w2w_e_load(gate + i)));
        if (i < n) {
            const gsize rest = (gsize)(n - i);

            w2w_e_store_first(out + i,
                              w2w_e_load_first(value + i, rest) *
                                  w2w_v_gelu(w2w_e_load_first(gate + i, rest)),
                              rest);
        }
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const GegluKernel *kernel = (const GegluKernel *)parent;
    const GegluJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, geglu_rows, &job);
}

static void geglu_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_geglu)(W2wDevice *device, const W2wOp *op, GError **error)
{
    GegluKernel *kernel = g_new0(GegluKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = geglu_free};
    kernel->n_channels = op->out.c;
    kernel->split = w2w_task_split(w2w_shape_n_rows(op->out), op->out.c, W2W_TASK_ELEMENTS_EXP);
    return &kernel->parent;
}
