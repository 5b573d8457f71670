/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gradient of a group norm, SiLU's in front of it where the norm has one fused.
 *
 * With x̂ = (x − mean) / sqrt(variance + eps) and dy the gradient of x̂ · weight + bias,
 * dx = scale · (dy · weight − mean(dy · weight) − x̂ · mean(dy · weight · x̂)), both means over the
 * group. mean and variance are found again from x, as the forward op finds them: keeping them
 * would be another output. The work is cut as group_split.h says, with one more pass for the two
 * means; that pass leaves dy in `out` where it comes after an exponential.
 */
#include <math.h>
#include <string.h>

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
    gsize coefficients, statistics, partial_sums;
} GroupNormGradientKernel;

typedef struct {
    const GroupNormGradientKernel *kernel;
    const float *x, *d_out, *d_residual; /* d_residual may be NULL */
    float *out;
    char *scratch;
} GradientJob;

/*
 * Per channel of an image: the norm is (x − mean) · scale + offset, and its gradient
 * dy · scale − (x − mean) · slope − constant.
 */
typedef struct {
    float *mean, *scale, *offset, *slope, *constant;
} Coefficients;

/* Of a group: what rounding took from the mean, and 1 / sqrt(variance + eps). */
typedef struct {
    double rest, reciprocal;
} Statistics;

static W2wMoments thread_moments(const GradientJob *job, guint thread)
{
    return w2w_moments_at(job->scratch + thread * job->kernel->thread_scratch,
                          job->kernel->split.n_channels);
}

static Coefficients image_coefficients(const GradientJob *job, gint64 image)
{
    const gint64 c = job->kernel->split.n_channels;
    float *start = (float *)(job->scratch + job->kernel->coefficients) + image * 5 * c;

    return (Coefficients){start, start + c, start + 2 * c, start + 3 * c, start + 4 * c};
}

static Statistics *image_statistics(const GradientJob *job, gint64 image)
{
    return (Statistics *)(job->scratch + job->kernel->statistics) +
           image * job->kernel->split.n_groups;
}

/* What the norm needs of one group, from the sums of x and x². */
static void find_norm(const GradientJob *job, gint64 image, gint64 group, double sum,
                      double squares)
{
    const GroupNormGradientKernel *kernel = job->kernel;
    const gint64 size = kernel->split.group_channels, first = group * size;
    const double n = (double)(kernel->split.n_rows * size), mean = sum / n;
    const double variance = MAX(squares / n - mean * mean, 0.0);
    const float rounded_mean = (float)mean;
    const Coefficients coefficients = image_coefficients(job, image);
    const Statistics statistics = {mean - rounded_mean, 1.0 / sqrt(variance + kernel->eps)};

    image_statistics(job, image)[group] = statistics;
    for (gint64 i = first; i < first + size; i++) {
        const double scale = statistics.reciprocal * kernel->weight[i];

        coefficients.mean[i] = rounded_mean;
        coefficients.scale[i] = (float)scale;
        coefficients.offset[i] = (float)(kernel->bias[i] - statistics.rest * scale);
    }
}

/* … and its gradient, from those of weight · dy and weight · dy · (x − rounded mean). */
static void find_gradient(const GradientJob *job, gint64 image, gint64 group, double sum,
                          double product)
{
    const gint64 size = job->kernel->split.group_channels, first = group * size;
    const double n = (double)(job->kernel->split.n_rows * size);
    const Statistics statistics = image_statistics(job, image)[group];
    const double r = statistics.reciprocal;
    const double slope = r * r * r * (product - statistics.rest * sum) / n;
    const double constant = r * sum / n - statistics.rest * slope;
    const Coefficients coefficients = image_coefficients(job, image);

    for (gint64 i = first; i < first + size; i++) {
        coefficients.slope[i] = (float)slope;
        coefficients.constant[i] = (float)constant;
    }
}

/* n floats of a vector: all of them, which a compiler knows, or the last of a row. */
W2W_INLINE w2w_v load(const float *from, gsize n)
{
    return n == W2W_VECTOR_WIDTH ? w2w_v_load(from) : w2w_v_load_first(from, n);
}

W2W_INLINE void store(float *to, w2w_v value, gsize n)
{
    if (n == W2W_VECTOR_WIDTH)
        w2w_v_store(to, value);
    else
        w2w_v_store_first(to, value, n);
}

/* Adds dy and dy · (x − mean) of a block of rows; channels i … of the image, `at` of the sums. */
W2W_INLINE void add_block(const GradientJob *job, Coefficients c, gint64 first_row, gint64 n_rows,
                          gint64 i, W2wMoments sums, gint64 at, gsize n, const int n_vectors,
                          const gboolean silu)
{
    const gint64 stride = job->kernel->split.n_channels;
    const gint64 begin = first_row * stride + i, end = begin + n_rows * stride;
    w2w_v mean[2], scale[2], offset[2], sum[2] = {{0}}, product[2] = {{0}};

    for (int j = 0; j < n_vectors; j++) {
        mean[j] = load(c.mean + i + j * W2W_VECTOR_WIDTH, n);
        scale[j] = load(c.scale + i + j * W2W_VECTOR_WIDTH, n);
        offset[j] = load(c.offset + i + j * W2W_VECTOR_WIDTH, n);
    }
    for (gint64 pixel = begin; pixel < end; pixel += stride)
        for (int j = 0; j < n_vectors; j++) {
            const gint64 here = pixel + j * W2W_VECTOR_WIDTH;
            const w2w_v d = load(job->x + here, n) - mean[j];
            w2w_v dy = load(job->d_out + here, n);

            if (silu) {
                dy *= w2w_v_d_silu(d * scale[j] + offset[j], 1.0f);
                store(job->out + here, dy, n);
            }
            sum[j] += dy;
            product[j] += dy * d;
        }
    for (int j = 0; j < n_vectors; j++)
        for (gsize k = 0; k < n; k++) {
            sums.sum[at + j * W2W_VECTOR_WIDTH + (gint64)k] += sum[j][k];
            sums.squares[at + j * W2W_VECTOR_WIDTH + (gint64)k] += product[j][k];
        }
}

W2W_INLINE void sum_gradients_with(const GradientJob *job, Coefficients c, gint64 first_row,
                                   gint64 n_rows, gint64 begin, gint64 end, W2wMoments sums,
                                   const gboolean silu)
{
    memset(sums.sum, 0, (gsize)(end - begin) * sizeof(double));
    memset(sums.squares, 0, (gsize)(end - begin) * sizeof(double));
    for (gint64 row = 0; row < n_rows; row += W2W_BLOCK_ROWS) {
        const gint64 n = MIN(W2W_BLOCK_ROWS, n_rows - row);
        gint64 i = begin;

        for (; i + 2 * W2W_VECTOR_WIDTH <= end; i += 2 * W2W_VECTOR_WIDTH)
            add_block(job, c, first_row + row, n, i, sums, i - begin, W2W_VECTOR_WIDTH, 2, silu);
        for (; i + W2W_VECTOR_WIDTH <= end; i += W2W_VECTOR_WIDTH)
            add_block(job, c, first_row + row, n, i, sums, i - begin, W2W_VECTOR_WIDTH, 1, silu);
        if (i < end)
            add_block(job, c, first_row + row, n, i, sums, i - begin, (gsize)(end - i), 1, silu);
    }
}

/* Of channels [begin, end) of some rows: sum dy, squares dy · (x − mean), weighted. */
static void sum_gradients(const GradientJob *job, Coefficients coefficients, gint64 first_row,
                          gint64 n_rows, gint64 begin, gint64 end, W2wMoments sums)
{
    const float *weight = job->kernel->weight + begin;

    if (job->kernel->silu)
        sum_gradients_with(job, coefficients, first_row, n_rows, begin, end, sums, TRUE);
    else
        sum_gradients_with(job, coefficients, first_row, n_rows, begin, end, sums, FALSE);
    for (gint64 i = 0; i < end - begin; i++) {
        sums.sum[i] *= weight[i];
        sums.squares[i] *= weight[i];
    }
}

/* One column of vectors down some rows. */
W2W_INLINE void write_column(const GradientJob *job, Coefficients c, gint64 first_row,
                             gint64 n_rows, gint64 i, gsize n)
{
    const float *dy = job->kernel->silu ? job->out : job->d_out;
    const gint64 stride = job->kernel->split.n_channels;
    const gint64 begin = first_row * stride + i, end = begin + n_rows * stride;
    const w2w_v mean = load(c.mean + i, n), scale = load(c.scale + i, n),
                slope = load(c.slope + i, n), constant = load(c.constant + i, n);

    if (job->d_residual != NULL)
        for (gint64 at = begin; at < end; at += stride)
            store(job->out + at,
                  load(dy + at, n) * scale - (load(job->x + at, n) - mean) * slope - constant +
                      load(job->d_residual + at, n),
                  n);
    else
        for (gint64 at = begin; at < end; at += stride)
            store(job->out + at,
                  load(dy + at, n) * scale - (load(job->x + at, n) - mean) * slope - constant, n);
}

static void write_gradients(const GradientJob *job, Coefficients c, gint64 first_row, gint64 n_rows,
                            gint64 begin, gint64 end)
{
    for (gint64 row = 0; row < n_rows; row += COLUMN_ROWS) {
        const gint64 n = MIN(COLUMN_ROWS, n_rows - row);
        gint64 i = begin;

        for (; i + W2W_VECTOR_WIDTH <= end; i += W2W_VECTOR_WIDTH)
            write_column(job, c, first_row + row, n, i, W2W_VECTOR_WIDTH);
        if (i < end)
            write_column(job, c, first_row + row, n, i, (gsize)(end - i));
    }
}

static void slab_task(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const W2wGroupSplit *split = &job->kernel->split;
    const W2wMoments moments = thread_moments(job, thread);
    gint64 begin, end;
    const gint64 image = w2w_group_slab(split, task, &begin, &end);
    const gint64 first_row = image * split->n_rows, size = split->group_channels;
    const Coefficients coefficients = image_coefficients(job, image);

    w2w_sum_moments(job->x + first_row * split->n_channels + begin, split->n_channels,
                    split->n_rows, end - begin, moments);
    for (gint64 i = 0; i < end - begin; i += size)
        find_norm(job, image, (begin + i) / size, w2w_group_sum(moments.sum + i, size),
                  w2w_group_sum(moments.squares + i, size));
    sum_gradients(job, coefficients, first_row, split->n_rows, begin, end, moments);
    for (gint64 i = 0; i < end - begin; i += size)
        find_gradient(job, image, (begin + i) / size, w2w_group_sum(moments.sum + i, size),
                      w2w_group_sum(moments.squares + i, size));
    write_gradients(job, coefficients, first_row, split->n_rows, begin, end);
}

/* Two sums per group. */
static double *chunk_sums(const GradientJob *job, gint64 chunk)
{
    return (double *)(job->scratch + job->kernel->partial_sums) +
           chunk * 2 * job->kernel->split.n_groups;
}

static void keep_chunk_sums(const GradientJob *job, guint task, W2wMoments moments)
{
    const gint64 size = job->kernel->split.group_channels;
    double *sums = chunk_sums(job, task);

    for (gint64 group = 0; group < job->kernel->split.n_groups; group++) {
        sums[2 * group] = w2w_group_sum(moments.sum + group * size, size);
        sums[2 * group + 1] = w2w_group_sum(moments.squares + group * size, size);
    }
}

static void chunk_moments_task(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const gint64 c = job->kernel->split.n_channels;
    const W2wMoments moments = thread_moments(job, thread);
    gint64 first_row, n;

    w2w_group_chunk(&job->kernel->split, task, &first_row, &n);
    w2w_sum_moments(job->x + first_row * c, c, n, c, moments);
    keep_chunk_sums(job, task, moments);
}

static void chunk_sums_task(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    const W2wMoments sums = thread_moments(job, thread);
    gint64 first_row, n;
    const gint64 image = w2w_group_chunk(&job->kernel->split, task, &first_row, &n);

    sum_gradients(job, image_coefficients(job, image), first_row, n, 0,
                  job->kernel->split.n_channels, sums);
    keep_chunk_sums(job, task, sums);
}

static void chunk_write_task(gconstpointer data, guint task, guint thread)
{
    const GradientJob *job = data;
    gint64 first_row, n;
    const gint64 image = w2w_group_chunk(&job->kernel->split, task, &first_row, &n);

    write_gradients(job, image_coefficients(job, image), first_row, n, 0,
                    job->kernel->split.n_channels);
}

/* Adds up what all chunks of each image kept, and hands it to `find`, group by group. */
static void add_chunks(const GradientJob *job,
                       void (*find)(const GradientJob *job, gint64 image, gint64 group,
                                    double first, double second))
{
    const W2wGroupSplit *split = &job->kernel->split;

    for (gint64 image = 0; image < split->n_images; image++)
        for (gint64 group = 0; group < split->n_groups; group++) {
            double first = 0.0, second = 0.0;

            for (gint64 chunk = 0; chunk < split->n_chunks; chunk++) {
                const double *sums = chunk_sums(job, image * split->n_chunks + chunk) + 2 * group;

                first += sums[0];
                second += sums[1];
            }
            find(job, image, group, first, second);
        }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const GroupNormGradientKernel *kernel = (const GroupNormGradientKernel *)parent;
    const GradientJob job = {
        .kernel = kernel,
        .x = operands->in[W2W_SLOT_X],
        .d_out = operands->in[W2W_SLOT_D_OUT],
        .d_residual = operands->in[W2W_SLOT_D_RESIDUAL],
        .out = operands->out,
        .scratch = operands->scratch,
    };
    const guint n_tasks = w2w_group_n_tasks(&kernel->split);
    W2wThreadPool *pool = w2w_cpu_pool(parent);

    if (!kernel->split.by_rows) {
        w2w_thread_pool_run(pool, n_tasks, slab_task, &job);
        return;
    }
    w2w_thread_pool_run(pool, n_tasks, chunk_moments_task, &job);
    add_chunks(&job, find_norm);
    w2w_thread_pool_run(pool, n_tasks, chunk_sums_task, &job);
    add_chunks(&job, find_gradient);
    w2w_thread_pool_run(pool, n_tasks, chunk_write_task, &job);
}

static void group_norm_gradient_free(W2wKernel *parent)
{
    w2w_aligned_free(((GroupNormGradientKernel *)parent)->weight);
    g_free(parent);
}

static void place_scratch(GroupNormGradientKernel *kernel)
{
    const W2wGroupSplit *split = &kernel->split;
    const gint64 c = split->n_channels;
    const guint n_threads = w2w_thread_pool_get_n_threads(w2w_cpu_pool(&kernel->parent));
    gsize size;

    kernel->thread_scratch = (gsize)w2w_round_up(c * (gint64)W2W_MOMENTS_BYTES, W2W_ALIGNMENT);
    size = n_threads * kernel->thread_scratch;
    kernel->coefficients = size;
    size += (gsize)w2w_round_up(split->n_images * c * 20, W2W_ALIGNMENT);
    kernel->statistics = size;
    size += (gsize)(split->n_images * split->n_groups) * sizeof(Statistics);
    kernel->partial_sums = size;
    if (split->by_rows)
        size += (gsize)(split->n_images * split->n_chunks * split->n_groups * 16);
    kernel->parent.scratch_size = size;
}

W2wKernel *W2W_CPU_SYMBOL(prepare_group_norm_gradient)(W2wDevice *device, const W2wOp *op,
                                                       GError **error)
{
    const gint64 n = op->out.c;
    float *weights;
    GroupNormGradientKernel *kernel;

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
    kernel = g_new0(GroupNormGradientKernel, 1);
    kernel->parent = (W2wKernel){.device = device, .run = run, .free = group_norm_gradient_free};
    kernel->split = w2w_group_split(op->out, op->params.group_norm.n_groups, 3 * sizeof(float));
    kernel->eps = op->params.group_norm.eps;
    kernel->silu = op->activation == W2W_ACTIVATION_SILU;
    kernel->weight = weights;
    kernel->bias = weights + n;
    place_scratch(kernel);
    return &kernel->parent;
}
