/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gradient of the masked loss by its prediction:
 * d_loss[image] · 2 mask² (prediction − target) / (H·W·C).
 */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

typedef struct {
    W2wKernel parent;
    gint64 rows_per_image, n_channels;
    W2wTaskSplit split; /* of all images' rows */
} MaskedMseGradientKernel;

typedef struct {
    const MaskedMseGradientKernel *kernel;
    const float *prediction, *target, *mask, *d_loss;
    float *out;
} GradientJob;

static void gradient_rows(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const gint64 c = job->kernel->n_channels, n_rows = job->kernel->rows_per_image;
    const gint64 end = w2w_task_end(&job->kernel->split, task);
    const double share = 2.0 / (double)(n_rows * c);

    for (gint64 row = w2w_task_begin(&job->kernel->split, task); row < end; row++) {
        const double mask = job->mask[row];
        const float factor = (float)(share * job->d_loss[row / n_rows] * mask * mask);

        for (gint64 i = row * c; i < (row + 1) * c; i++)
            job->out[i] = factor * (job->prediction[i] - job->target[i]);
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const MaskedMseGradientKernel *kernel = (const MaskedMseGradientKernel *)parent;
    const GradientJob job = {
        .kernel = kernel,
        .prediction = operands->in[W2W_SLOT_PREDICTION],
        .target = operands->in[W2W_SLOT_TARGET],
        .mask = operands->in[W2W_SLOT_MASK],
        .d_loss = operands->in[W2W_SLOT_D_LOSS],
        .out = operands->out,
    };

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, gradient_rows, &job);
}

static void masked_mse_gradient_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_masked_mse_gradient)(W2wDevice *device, const W2wOp *op,
                                                       GError **error)
{
    MaskedMseGradientKernel *kernel = g_new0(MaskedMseGradientKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = masked_mse_gradient_free};
    kernel->rows_per_image = (gint64)op->out.h * op->out.w;
    kernel->n_channels = op->out.c;
    kernel->split = w2w_task_split(w2w_shape_n_rows(op->out), op->out.c, W2W_TASK_ELEMENTS);
    return &kernel->parent;
}
