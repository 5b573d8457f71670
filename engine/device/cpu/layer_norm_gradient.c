/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gradient of a layer norm, row by row: with x̂ = (x − mean) · r, r = 1 / sqrt(variance + eps),
 * and g = d_out · weight, d_x = r · (g − mean(g) − x̂ · mean(g · x̂)).
 *
 * mean and variance are found again from x, as the forward op finds them; a row stays in the first
 * cache between the passes.
 */
#include <math.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/row_moments.h"
#include "engine/device/cpu/task_split.h"
#include "engine/memory.h"

typedef struct {
    W2wKernel parent;
    gint64 n_channels;
    double eps;
    W2wTaskSplit split;
    float *weight; /* (C); 1 where the model has none */
} LayerNormGradientKernel;

typedef struct {
    const LayerNormGradientKernel *kernel;
    const float *x, *d_out, *d_residual; /* d_residual may be NULL */
    float *out;
} GradientJob;

/* Sums of g and of g · (x − mean). */
static inline void sum_gradients(const float *x, const float *d_out, const float *weight, gint64 n,
                                 float mean, double *first, double *second)
{
    w2w_v sum[4] = {{0}}, product[4] = {{0}};
    gint64 i = 0;

    for (; i + 4 * W2W_VECTOR_WIDTH <= n; i += 4 * W2W_VECTOR_WIDTH)
        for (int j = 0; j < 4; j++) {
            const gint64 at = i + j * W2W_VECTOR_WIDTH;
            const w2w_v g = w2w_v_load(d_out + at) * w2w_v_load(weight + at);

            sum[j] += g;
            product[j] += g * (w2w_v_load(x + at) - mean);
        }
    for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH) {
        const w2w_v g = w2w_v_load(d_out + i) * w2w_v_load(weight + i);

        sum[0] += g;
        product[0] += g * (w2w_v_load(x + i) - mean);
    }
    *first = w2w_v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    *second = w2w_v_sum((product[0] + product[1]) + (product[2] + product[3]));
    for (; i < n; i++) {
        const float g = d_out[i] * weight[i];

        *first += g;
        *second += g * (x[i] - mean);
    }
}

static void gradient_rows(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const LayerNormGradientKernel *kernel = job->kernel;
    const gint64 n = kernel->n_channels, end = w2w_task_end(&kernel->split, task);
    const float *weight = kernel->weight;

    for (gint64 row = w2w_task_begin(&kernel->split, task); row < end; row++) {
        const float *x = job->x + row * n, *d_out = job->d_out + row * n;
        const float *d_residual = job->d_residual != NULL ? job->d_residual + row * n : NULL;
        float *out = job->out + row * n;
        const W2wRowStatistics s = w2w_row_statistics(x, n, kernel->eps);
        double sum, product;
        float scale, slope, constant;
        gint64 i = 0;

        sum_gradients(x, d_out, weight, n, s.mean, &sum, &product);
        product -= s.rest * sum; /* about the mean itself */
        scale = (float)s.reciprocal;
        slope = (float)(s.reciprocal * s.reciprocal * s.reciprocal * product / (double)n);
        constant = (float)(s.reciprocal * sum / (double)n - s.rest * slope);
        for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH) {
            w2w_v d = w2w_v_load(d_out + i) * w2w_v_load(weight + i) * scale -
                      (w2w_v_load(x + i) - s.mean) * slope - constant;

            if (d_residual != NULL)
                d += w2w_v_load(d_residual + i);
            w2w_v_store(out + i, d);
        }
        for (; i < n; i++)
            out[i] = d_out[i] * weight[i] * scale - (x[i] - s.mean) * slope - constant +
                     (d_residual != NULL ? d_residual[i] : 0.0f);
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const LayerNormGradientKernel *kernel = (const LayerNormGradientKernel *)parent;
    const GradientJob job = {kernel, operands->in[W2W_SLOT_X], operands->in[W2W_SLOT_D_OUT],
                             operands->in[W2W_SLOT_D_RESIDUAL], operands->out};

    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->split.n_tasks, gradient_rows, &job);
}

static void layer_norm_gradient_free(W2wKernel *parent)
{
    w2w_aligned_free(((LayerNormGradientKernel *)parent)->weight);
    g_free(parent);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_layer_norm_gradient)(W2wDevice *device, const W2wOp *op,
                                                       GError **error)
{
    const gint64 n = op->out.c;
    float *weight =
        w2w_aligned_alloc((gsize)n, sizeof *weight, "the weights of a layer norm", error);
    LayerNormGradientKernel *kernel;

    if (weight == NULL)
        return NULL;
    for (gint64 i = 0; i < n; i++)
        weight[i] = op->weight[W2W_WEIGHT] ? (float)w2w_array_get(op->weight[W2W_WEIGHT], i) : 1;
    kernel = g_new0(LayerNormGradientKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = layer_norm_gradient_free};
    kernel->n_channels = n;
    kernel->eps = op->params.layer_norm.eps;
    kernel->split = w2w_task_split(w2w_shape_n_rows(op->out), n, W2W_TASK_ELEMENTS);
    kernel->weight = weight;
    return &kernel->parent;
}
