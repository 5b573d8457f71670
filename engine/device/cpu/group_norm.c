/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Per image and group of channels: (x − mean) / sqrt(variance + eps) · weight + bias, SiLU fused.
 *
 * The work is cut as group_split.h says; the moments are channel_moments.h's.
 */
#include <math.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/group_split.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/error.h"
#include "engine/memory.h"

#define COLUMN_ROWS 16

typedef struct {
    W2wKernel parent;
    W2wGroupSplit split;
    double eps;
    gboolean silu;
    float *weight, *bias; /* (C); 1 and 0 where the model has none */
    /* Scratch memory, offsets in bytes. */
    gsize thread_scratch; /* size of each thread's, which come first */
    gsize coefficients, partial_sums;
} GroupNormKernel;

typedef struct {
    const GroupNormKernel *kernel;
    const w2w_element *x;
    w2w_element *out;
    char *scratch;
} GroupNormJob;

/* y = (x − mean) · scale + offset, per channel; offset also holds what rounding took from mean. */
typedef struct {
    float *mean, *scale, *offset;
} Coefficients;

static W2wMoments thread_moments(const GroupNormJob *job, guint thread)
{
    return w2w_moments_at(job->scratch + thread * job->kernel->thread_scratch,
                          job->kernel->split.n_channels);
}

static Coefficients image_coefficients(const GroupNormJob *job, gint64 image)
{
    const gint64 c = job->kernel->split.n_channels;
    float *start = (float *)(job->scratch + job->kernel->coefficients) + image * 3 * c;

    return (Coefficients){start, start + c, start + 2 * c};
}

/* Of one group, whose first channel is `channel`. */
static void find_coefficients(const GroupNormKernel *kernel, gint64 channel, double sum,
                              double squares, Coefficients coefficients)
{
    const double n = (double)(kernel->split.n_rows * kernel->split.group_channels);
    const double mean = sum / n, variance = MAX(squares / n - mean * mean, 0.0);
    const double reciprocal = 1.0 / sqrt(variance + kernel->eps);
    const float rounded_mean = (float)mean;

    for (gint64 i = channel; i < channel + kernel->split.group_channels; i++) {
        const double scale = reciprocal * kernel->weight[i];

        coefficients.mean[i] = rounded_mean;
        coefficients.scale[i] = (float)scale;
        coefficients.offset[i] = (float)(kernel->bias[i] - (mean - rounded_mean) * scale);
    }
}

W2W_INLINE w2w_v apply(w2w_v x, w2w_v mean, w2w_v scale, w2w_v offset, const gboolean silu)
{
    const w2w_v y = (x - mean) * scale + offset;

    return silu ? w2w_v_silu(y) : y;
}

/*
 * Channels [begin, end) of some rows, a few rows at a time down each column of vectors: its
 * coefficients stay in registers, and the rows in the cache.
 */
W2W_INLINE void normalise_with(const w2w_element *x, w2w_element *out, gint64 stride, gint64 n_rows,
                               gint64 begin, gint64 end, Coefficients c, const gboolean silu)
{
    for (gint64 first = 0; first < n_rows; first += COLUMN_ROWS) {
        const gint64 from = first * stride, to = MIN(first + COLUMN_ROWS, n_rows) * stride;
        gint64 i = begin;

        for (; i + W2W_VECTOR_WIDTH <= end; i += W2W_VECTOR_WIDTH) {
            const w2w_v mean = w2w_v_load(c.mean + i), scale = w2w_v_load(c.scale + i),
                        offset = w2w_v_load(c.offset + i);

            for (gint64 at = from + i; at < to; at += stride)
                w2w_e_store(out + at, apply(w2w_e_load(x + at), mean, scale, offset, silu));
        }
        if (i < end) {
            const gsize n = (gsize)(end - i);
            const w2w_v mean = w2w_v_load_first(c.mean + i, n),
                        scale = w2w_v_load_first(c.scale + i, n),
                        offset = w2w_v_load_first(c.offset + i, n);

            for (gint64 at = from + i; at < to; at += stride)
                w2w_e_store_first(out + at,
                                  apply(w2w_e_load_first(x + at, n), mean, scale, offset, silu), n);
        }
    }
}

static void normalise(const GroupNormJob *job, gint64 first_row, gint64 n_rows, gint64 begin,
                      gint64 end, Coefficients coefficients)
{
    const gint64 stride = job->kernel->split.n_channels;
    const w2w_element *x = job->x + first_row * stride;
    w2w_element *out = job->out + first_row * stride;

    if (job->kernel->silu)
        normalise_with(x, out, stride, n_rows, begin, end, coefficients, TRUE);
    else
        normalise_with(x, out, stride, n_rows, begin, end, coefficients, FALSE);
}

static void slab_task(gconstpointer data, guint task, guint thread)
{
    const GroupNormJob *job = data;
    const GroupNormKernel *kernel = job->kernel;
    const W2wGroupSplit *split = &kernel->split;
    const W2wMoments moments = thread_moments(job, thread);
    gint64 begin, end;
    const gint64 image = w2w_group_slab(split, task, &begin, &end);
    const gint64 first_row = image * split->n_rows, size = split->group_channels;
    const Coefficients coefficients = image_coefficients(job, image);

    w2w_sum_moments(job->x + first_row * split->n_channels + begin, split->n_channels,
                    split->n_rows, end - begin, moments);
    for (gint64 i = 0; i < end - begin; i += size)
        find_coefficients(kernel, begin + i, w2w_group_sum(moments.sum + i, size),
                          w2w_group_sum(moments.squares + i, size), coefficients);
    normalise(job, first_row, split->n_rows, begin, end, coefficients);
}

/* Two sums per group. */
static double *chunk_sums(const GroupNormJob *job, gint64 chunk)
{
    return (double *)(job->scratch + job->kernel->partial_sums) +
           chunk * 2 * job->kernel->split.n_groups;
}

static void chunk_moments_task(gconstpointer data, guint task, guint thread)
{
    const GroupNormJob *job = data;
    const W2wGroupSplit *split = &job->kernel->split;
    const gint64 size = split->group_channels;
    const W2wMoments moments = thread_moments(job, thread);
    double *sums = chunk_sums(job, task);
    gint64 first_row, n;

    w2w_group_chunk(split, task, &first_row, &n);
    w2w_sum_moments(job->x + first_row * split->n_channels, split->n_channels, n, split->n_channels,
                    moments);
    for (gint64 group = 0; group < split->n_groups; group++) {
        sums[2 * group] = w2w_group_sum(moments.sum + group * size, size);
        sums[2 * group + 1] = w2w_group_sum(moments.squares + group * size, size);
    }
}

static void chunk_normalise_task(gconstpointer data, guint task, guint thread)
{
    const GroupNormJob *job = data;
    gint64 first_row, n;
    const gint64 image = w2w_group_chunk(&job->kernel->split, task, &first_row, &n);

    normalise(job, first_row, n, 0, job->kernel->split.n_channels, image_coefficients(job, image));
}

static void add_chunks(const GroupNormJob *job, gint64 image)
{
    const W2wGroupSplit *split = &job->kernel->split;

    for (gint64 group = 0; group < split->n_groups; group++) {
        double sum = 0.0, squares = 0.0;

        for (gint64 chunk = 0; chunk < split->n_chunks; chunk++) {
            const double *sums = chunk_sums(job, image * split->n_chunks + chunk) + 2 * group;

            sum += sums[0];
            squares += sums[1];
        }
        find_coefficients(job->kernel, group * split->group_channels, sum, squares,
                          image_coefficients(job, image));
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const GroupNormKernel *kernel = (const GroupNormKernel *)parent;
    const GroupNormJob job = {kernel, operands->in[W2W_SLOT_X], operands->out, operands->scratch};
    const guint n_tasks = w2w_group_n_tasks(&kernel->split);
    W2wThreadPool *pool = w2w_cpu_pool(parent);

    if (!kernel->split.by_rows) {
        w2w_thread_pool_run(pool, n_tasks, slab_task, &job);
        return;
    }
    w2w_thread_pool_run(pool, n_tasks, chunk_moments_task, &job);
    for (gint64 image = 0; image < kernel->split.n_images; image++)
        add_chunks(&job, image);
    w2w_thread_pool_run(pool, n_tasks, chunk_normalise_task, &job);
}

static void group_norm_free(W2wKernel *parent)
{
    w2w_aligned_free(((GroupNormKernel *)parent)->weight);
    g_free(parent);
}

static void place_scratch(GroupNormKernel *kernel)
{
    const W2wGroupSplit *split = &kernel->split;
    const gint64 c = split->n_channels;
    const guint n_threads = w2w_thread_pool_get_n_threads(w2w_cpu_pool(&kernel->parent));
    gsize size;

    kernel->thread_scratch = (gsize)w2w_round_up(c * (gint64)W2W_MOMENTS_BYTES, W2W_ALIGNMENT);
    size = n_threads * kernel->thread_scratch;
    kernel->coefficients = size;
    size += (gsize)w2w_round_up(split->n_images * c * 12, W2W_ALIGNMENT);
    kernel->partial_sums = size;
    if (split->by_rows)
        size += (gsize)(split->n_images * split->n_chunks * split->n_groups * 16);
    kernel->parent.scratch_size = size;
}

W2wKernel *W2W_CPU_SYMBOL(prepare_group_norm)(W2wDevice *device, const W2wOp *op, GError **error)
{
    const gint64 n = op->out.c;
    float *weights;
    GroupNormKernel *kernel;

    if (op->activation != W2W_ACTIVATION_NONE && op->activation != W2W_ACTIVATION_SILU) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The device \"cpu\" fuses no activation but SiLU into a group norm.");
        return NULL;
    }
    weights = w2w_aligned_alloc((gsize)n, 2 * sizeof(float), "the weights of a group norm", error);
    if (weights == NULL)
        return NULL;
    for (gint64 i = 0; i < n; i++) {
        weights[i] = op->weight[W2W_WEIGHT] ? (float)w2w_array_get(op->weight[W2W_WEIGHT], i) : 1;
        weights[n + i] = op->weight[W2W_BIAS] ? (float)w2w_array_get(op->weight[W2W_BIAS], i) : 0;
    }
    kernel = g_new0(GroupNormKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = group_norm_free};
    kernel->split = w2w_group_split(op->out, op->params.group_norm.n_groups, sizeof(w2w_element));
    kernel->eps = op->params.group_norm.eps;
    kernel->silu = op->activation == W2W_ACTIVATION_SILU;
    kernel->weight = weights;
    kernel->bias = weights + n;
    place_scratch(kernel);
    return &kernel->parent;
}
