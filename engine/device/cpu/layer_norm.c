/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Per row: (x − mean) / sqrt(variance + eps) · weight + bias.
 * The row stays in the first cache between the passes of row_moments.h and this one.
 */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/row_moments.h"
#include "engine/device/cpu/task_split.h"
#include "engine/memory.h"

typedef struct {
    W2wKernel parent;
    gint64 n_channels;
    double eps;
    W2wTaskSplit split;
    float *weight, *bias; /* (C); 1 and 0 where the model has none */
} LayerNormKernel;

typedef struct {
    const LayerNormKernel *kernel;
    const w2w_element *x;
    w2w_element *out;
} LayerNormJob;

static void layer_norm_rows(gconstpointer data, guint task, guint thread)
{
    const LayerNormJob *job = data;
    const LayerNormKernel *kernel = job->kernel;
    const gint64 n = kernel->n_channels, end = w2w_task_end(&kernel->split, task);

    for (gint64 row = w2w_task_begin(&kernel->split, task); row < end; row++) {
        const w2w_element *x = job->x + row * n;
        w2w_element *out = job->out + row * n;
        const W2wRowStatistics statistics = w2w_row_statistics(x, n, kernel->eps);
        const float mean = statistics.mean, shift = (float)statistics.rest;
        const float scale = (float)statistics.reciprocal;
        gint64 i = 0;

        for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH)
            w2w_e_store(out + i, (w2w_e_load(x + i) - mean - shift) * scale *
                                         w2w_v_load(kernel->weight + i) +
                                     w2w_v_load(kernel->bias + i));
        for (; i < n; i++)
            out[i] = w2w_e_from((w2w_e_get(x[i]) - mean - shift) * scale * kernel->weight[i] +
                                kernel->bias[i]);
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const LayerNormKernel *kernel = (const LayerNormKernel *)parent;
    const LayerNormJob job = {kernel, operands->in[W2W_SLOT_X], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, layer_norm_rows, &job);
}

static void layer_norm_free(W2wKernel *parent)
{
    w2w_aligned_free(((LayerNormKernel *)parent)->weight);
    g_free(parent);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_layer_norm)(W2wDevice *device, const W2wOp *op, GError **error)
{
    const gint64 n = op->out.c;
    float *weights =
        w2w_aligned_alloc((gsize)n, 2 * sizeof(float), "the weights of a layer norm", error);
    LayerNormKernel *kernel;

    if (weights == NULL)
        return NULL;
    for (gint64 i = 0; i < n; i++) {
        weights[i] = op->weight[W2W_WEIGHT] ? (float)w2w_array_get(op->weight[W2W_WEIGHT], i) : 1;
        weights[n + i] = op->weight[W2W_BIAS] ? (float)w2w_array_get(op->weight[W2W_BIAS], i) : 0;
    }
    kernel = g_new0(LayerNormKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = layer_norm_free};
    kernel->n_channels = n;
    kernel->eps = op->params.layer_norm.eps;
    kernel->split = w2w_task_split(w2w_shape_n_rows(op->out), n, W2W_TASK_ELEMENTS);
    kernel->weight = weights;
    kernel->bias = weights + n;
    return &kernel->parent;
}
