/* SPDX-License-Identifier: GPL-3.0-or-later */
/* out = first + second; the second may be one row per image, or one image for all of them. */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

typedef struct {
    W2wKernel parent;
    gint64 rows_per_image, n_channels;
    gint64 second_image_rows,
        second_row_step; /* rows from image to image, from row to row; 0: broadcast */
    W2wTaskSplit split;  /* of rows, or of elements where nothing is broadcast */
} AddKernel;

typedef struct {
    const AddKernel *kernel;
    const w2w_element *first, *second;
    w2w_element *out;
} AddJob;

static inline void add_row(const w2w_element *restrict a, const w2w_element *restrict b,
                           w2w_element *restrict out, gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        out[i] = w2w_e_from(w2w_e_get(a[i]) + w2w_e_get(b[i]));
}

static void add_elements(gconstpointer data, guint task, guint thread)
{
    const AddJob *job = data;
    const gint64 begin = w2w_task_begin(&job->kernel->split, task);

    add_row(job->first + begin, job->second + begin, job->out + begin,
            w2w_task_end(&job->kernel->split, task) - begin);
}

static void add_rows(gconstpointer data, guint task, guint thread)
{
    const AddJob *job = data;
    const AddKernel *kernel = job->kernel;
    const gint64 c = kernel->n_channels, end = w2w_task_end(&kernel->split, task);

    for (gint64 row = w2w_task_begin(&kernel->split, task); row < end; row++) {
        const gint64 image = row / kernel->rows_per_image, within = row % kernel->rows_per_image;
        const gint64 second_row =
            image * kernel->second_image_rows + within * kernel->second_row_step;

        add_row(job->first + row * c, job->second + second_row * c, job->out + row * c, c);
    }
}

static gboolean is_elementwise(const AddKernel *kernel)
{
    return kernel->second_row_step == 1 && kernel->second_image_rows == kernel->rows_per_image;
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const AddKernel *kernel = (const AddKernel *)parent;
    const AddJob job = {kernel, operands->in[W2W_SLOT_FIRST], operands->in[W2W_SLOT_SECOND],
                        operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks,
                        is_elementwise(kernel) ? add_elements : add_rows, &job);
}

static void add_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_add)(W2wDevice *device, const W2wOp *op, GError **error)
{
    const W2wShape first = op->in[W2W_SLOT_FIRST], second = op->in[W2W_SLOT_SECOND];
    AddKernel *kernel = g_new0(AddKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = add_free};
    kernel->rows_per_image = (gint64)first.h * first.w;
    kernel->n_channels = first.c;
    kernel->second_row_step = second.h == first.h && second.w == first.w;
    kernel->second_image_rows = second.n == first.n ? (gint64)second.h * second.w : 0;
    kernel->split = is_elementwise(kernel)
                        ? w2w_task_split(w2w_shape_n_elements(first), 1, W2W_TASK_ELEMENTS)
                        : w2w_task_split(w2w_shape_n_rows(first), first.c, W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
