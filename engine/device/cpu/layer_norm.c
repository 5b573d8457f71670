/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Per row: (x − mean) / sqrt(variance + eps) · weight + bias.
 *
 * Mean first, then squared distances from it: one pass that sums squares would lose a small
 * variance beside a large mean. The row stays in the first cache between the passes. What
 * rounding left of the mean shows up as the mean of those distances, and is taken off as well.
 */
#include <math.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"
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

static inline double row_sum(const w2w_element *x, gint64 n)
{
    w2w_v sum[4] = {{0}};
    double total;
    gint64 i = 0;

    for (; i + 4 * W2W_VECTOR_WIDTH <= n; i += 4 * W2W_VECTOR_WIDTH)
        for (int j = 0; j < 4; j++)
            sum[j] += w2w_e_load(x + i + j * W2W_VECTOR_WIDTH);
    for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH)
        sum[0] += w2w_e_load(x + i);
    total = w2w_v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < n; i++)
        total += w2w_e_get(x[i]);
    return total;
}

/* Sums of x − mean and of its square. */
static inline void row_moments(const w2w_element *x, gint64 n, float mean, double *first,
                               double *second)
{
    w2w_v sum[4] = {{0}}, squares[4] = {{0}};
    gint64 i = 0;

    for (; i + 4 * W2W_VECTOR_WIDTH <= n; i += 4 * W2W_VECTOR_WIDTH)
        for (int j = 0; j < 4; j++) {
            const w2w_v d = w2w_e_load(x + i + j * W2W_VECTOR_WIDTH) - mean;

            sum[j] += d;
            squares[j] += d * d;
        }
    for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH) {
        const w2w_v d = w2w_e_load(x + i) - mean;

        sum[0] += d;
        squares[0] += d * d;
    }
    *first = w2w_v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    *second = w2w_v_sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
    for (; i < n; i++) {
        const float d = w2w_e_get(x[i]) - mean;

        *first += d;
        *second += d * d;
    }
}

static void layer_norm_rows(gconstpointer data, guint task, guint thread)
{
    const LayerNormJob *job = data;
    const LayerNormKernel *kernel = job->kernel;
    const gint64 n = kernel->n_channels, end = w2w_task_end(&kernel->split, task);

    for (gint64 row = w2w_task_begin(&kernel->split, task); row < end; row++) {
        const w2w_element *x = job->x + row * n;
        w2w_element *out = job->out + row * n;
        const float mean = (float)(row_sum(x, n) / (double)n);
        double first, second, rest;
        float scale, shift;
        gint64 i = 0;

        row_moments(x, n, mean, &first, &second);
        rest = first / (double)n;
        scale = (float)(1.0 / sqrt(MAX(second / (double)n - rest * rest, 0.0) + kernel->eps));
        shift = (float)rest;
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
