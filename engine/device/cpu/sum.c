/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a broadcast addend gets back: (N,H,W,C) summed over its pixels, its images or both, as far
 * as the output has only one of them. Blocks of rows are summed in float, and those in double, so
 * that large feature maps lose nothing.
 */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

#define BLOCK_ROWS   64
#define SLAB_COLUMNS 16 /* a cache line */

typedef struct {
    W2wKernel parent;
    gint64 n_columns, n_slabs;
    gint64 n_summed, summed_stride, row_stride; /* rows of the input: of one sum, of two sums */
    W2wTaskSplit split;                         /* slabs of the output's rows, row after row */
} SumKernel;

typedef struct {
    const SumKernel *kernel;
    const float *x;
    float *out;
} SumJob;

/* Of up to a vector's columns. */
W2W_INLINE void sum_columns(const float *x, gint64 stride, gint64 n_rows, float *out, gsize n)
{
    double totals[W2W_VECTOR_WIDTH] = {0.0};

    for (gint64 begin = 0; begin < n_rows; begin += BLOCK_ROWS) {
        const gint64 end = MIN(begin + BLOCK_ROWS, n_rows);
        w2w_v sum = {0};

        for (gint64 row = begin; row < end; row++)
            sum += n == W2W_VECTOR_WIDTH ? w2w_v_load(x + row * stride)
                                         : w2w_v_load_first(x + row * stride, n);
        for (int i = 0; i < W2W_VECTOR_WIDTH; i++)
            totals[i] += sum[i];
    }
    for (gsize i = 0; i < n; i++)
        out[i] = (float)totals[i];
}

static void sum_slabs(gconstpointer data, guint task, guint thread)
{
    const SumJob *job = data;
    const SumKernel *kernel = job->kernel;
    const gint64 c = kernel->n_columns, end = w2w_task_end(&kernel->split, task);

    for (gint64 slab = w2w_task_begin(&kernel->split, task); slab < end; slab++) {
        const gint64 row = slab / kernel->n_slabs, begin = slab % kernel->n_slabs * SLAB_COLUMNS;
        const gint64 stop = MIN(begin + SLAB_COLUMNS, c), stride = kernel->summed_stride * c;
        const float *x = job->x + row * kernel->row_stride * c;
        float *out = job->out + row * c;
        gint64 i = begin;

        for (; i + W2W_VECTOR_WIDTH <= stop; i += W2W_VECTOR_WIDTH)
            sum_columns(x + i, stride, kernel->n_summed, out + i, W2W_VECTOR_WIDTH);
        if (i < stop)
            sum_columns(x + i, stride, kernel->n_summed, out + i, (gsize)(stop - i));
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const SumKernel *kernel = (const SumKernel *)parent;
    const SumJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, sum_slabs, &job);
}

static void sum_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_sum)(W2wDevice *device, const W2wOp *op, GError **error)
{
    const W2wShape in = op->in[W2W_SLOT_X], out = op->out;
    const gint64 n_pixels = (gint64)in.h * in.w;
    const gboolean over_pixels = out.h != in.h || out.w != in.w;
    SumKernel *kernel = g_new0(SumKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = sum_free};
    kernel->n_columns = out.c;
    kernel->n_slabs = (out.c + SLAB_COLUMNS - 1) / SLAB_COLUMNS;
    kernel->n_summed = (over_pixels ? n_pixels : 1) * (out.n != in.n ? in.n : 1);
    kernel->summed_stride = over_pixels ? 1 : n_pixels; /* an image's pixels follow one another */
    kernel->row_stride = over_pixels ? n_pixels : 1;
    kernel->split = w2w_task_split(w2w_shape_n_rows(out) * kernel->n_slabs,
                                   kernel->n_summed * SLAB_COLUMNS, W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
