/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loss of each image: mean of (mask · (prediction − target))². Its numbers are few (latents)
 * and everything that is trained hangs on their sum: it is taken in double, chunk by chunk, the
 * same ones whatever the number of threads.
 */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

#define CHUNK_ELEMENTS 4096

typedef struct {
    W2wKernel parent;
    gint64 n_images, n_channels;
    W2wTaskSplit split; /* of an image's rows; its chunks' sums are in the scratch memory */
} MaskedMseKernel;

typedef struct {
    const MaskedMseKernel *kernel;
    const float *prediction, *target, *mask;
    double *sums;
} MaskedMseJob;

static void sum_chunk(gconstpointer data, guint task, guint thread)
{
    const MaskedMseJob *job = data;
    const W2wTaskSplit *split = &job->kernel->split;
    const guint chunk = task % split->n_tasks;
    const gint64 c = job->kernel->n_channels, first_row = task / split->n_tasks * split->n_rows;
    const gint64 end = first_row + w2w_task_end(split, chunk);
    double sum = 0.0;

    for (gint64 row = first_row + w2w_task_begin(split, chunk); row < end; row++) {
        const float *prediction = job->prediction + row * c, *target = job->target + row * c;
        double squares = 0.0;

        for (gint64 i = 0; i < c; i++) {
            const double d = (double)prediction[i] - (double)target[i];

            squares += d * d;
        }
        sum += squares * job->mask[row] * job->mask[row];
    }
    job->sums[task] = sum;
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const MaskedMseKernel *kernel = (const MaskedMseKernel *)parent;
    const MaskedMseJob job = {kernel, operands->in[W2W_SLOT_PREDICTION],
                              operands->in[W2W_SLOT_TARGET], operands->in[W2W_SLOT_MASK],
                              operands->scratch};
    const guint n_chunks = kernel->split.n_tasks;
    const double n = (double)(kernel->split.n_rows * kernel->n_channels);
    float *out = operands->out;

    w2w_thread_pool_run(w2w_cpu_pool(parent), (guint)kernel->n_images * n_chunks, sum_chunk, &job);
    for (gint64 image = 0; image < kernel->n_images; image++) {
        double sum = 0.0;

        for (guint chunk = 0; chunk < n_chunks; chunk++)
            sum += job.sums[image * n_chunks + chunk];
        out[image] = (float)(sum / n);
    }
}

static void masked_mse_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_masked_mse)(W2wDevice *device, const W2wOp *op, GError **error)
{
    const W2wShape shape = op->in[W2W_SLOT_PREDICTION];
    MaskedMseKernel *kernel = g_new0(MaskedMseKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = masked_mse_free};
    kernel->n_images = shape.n;
    kernel->n_channels = shape.c;
    kernel->split = w2w_task_split((gint64)shape.h * shape.w, shape.c, CHUNK_ELEMENTS);
    kernel->parent.scratch_size = (gsize)shape.n * kernel->split.n_tasks * sizeof(double);
    return &kernel->parent;
}
