/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Per image and group of channels: (x − mean) / sqrt(variance + eps) · weight + bias, SiLU fused.
 *
 * Two ways to cut the work, chosen by size alone:
 *  - small feature maps by slabs of whole groups: a task finds the moments of its channels and
 *    normalises them while they are in the cache, and needs nobody else;
 *  - large ones by rows: first the moments of every chunk of rows, then, when all of them are
 *    added up, the normalisation of every chunk. Memory is read in its order, twice.
 *
 * Moments are summed per channel and block of rows in float, about a shift near the block's
 * mean, then moved to zero and added up in double: a small variance beside a large mean
 * survives, and so does a very quiet input beside eps. The same blocks in both ways.
 */
#include <math.h>
#include <string.h>

#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/error.h"
#include "engine/memory.h"

#define BLOCK_ROWS        64
#define COLUMN_ROWS       16
#define FIRST_SHIFT_ROWS  8
#define SLAB_GRANULARITY  16           /* floats: a cache line, so that no two tasks write to one */
#define SLAB_MAX_BYTES    (128 * 1024) /* stays in a second-level cache between the passes */
#define SLAB_MIN_ELEMENTS W2W_TASK_ELEMENTS_EXP
#define MAX_CHUNKS        64 /* per image */

typedef struct {
    W2wKernel parent;
    gint64 n_images, n_rows, n_channels; /* n_rows: of an image */
    gint64 n_groups, group_channels;
    double eps;
    gboolean silu, by_rows;
    gint64 slab_channels, n_slabs;   /* by slabs */
    gint64 rows_per_chunk, n_chunks; /* by rows: whole blocks */
    float *weight, *bias;            /* (C); 1 and 0 where the model has none */
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

/* A thread's scratch: of some channels, sums of x and x² (doubles) and the current shift. */
typedef struct {
    double *sum, *squares;
    float *shift;
} Moments;

/* y = (x − mean) · scale + offset, per channel; offset also holds what rounding took from mean. */
typedef struct {
    float *mean, *scale, *offset;
} Coefficients;

static Moments thread_moments(const GroupNormJob *job, guint thread)
{
    char *scratch = job->scratch + thread * job->kernel->thread_scratch;
    Moments moments = {.sum = (double *)scratch};

    moments.squares = moments.sum + job->kernel->n_channels;
    moments.shift = (float *)(moments.squares + job->kernel->n_channels);
    return moments;
}

static Coefficients image_coefficients(const GroupNormJob *job, gint64 image)
{
    const gint64 c = job->kernel->n_channels;
    float *start = (float *)(job->scratch + job->kernel->coefficients) + image * 3 * c;

    return (Coefficients){start, start + c, start + 2 * c};
}

/* Sums of d = x − shift and d² over the rows of a block, of n_vectors · width channels. */
W2W_INLINE void block_moments(const w2w_element *x, gint64 stride, gint64 n_rows,
                              const float *shift, float *sum, float *squares, const int n_vectors)
{
    w2w_v about[4], s[4] = {{0}}, q[4] = {{0}};

    for (int j = 0; j < n_vectors; j++)
        about[j] = w2w_v_load(shift + j * W2W_VECTOR_WIDTH);
    for (gint64 row = 0; row < n_rows; row++, x += stride)
        for (int j = 0; j < n_vectors; j++) {
            const w2w_v d = w2w_e_load(x + j * W2W_VECTOR_WIDTH) - about[j];

            s[j] += d;
            q[j] += d * d;
        }
    for (int j = 0; j < n_vectors; j++) {
        w2w_v_store(sum + j * W2W_VECTOR_WIDTH, s[j]);
        w2w_v_store(squares + j * W2W_VECTOR_WIDTH, q[j]);
    }
}

/* The last channels, fewer than a vector. */
static void block_moments_rest(const w2w_element *x, gint64 stride, gint64 n_rows,
                               const float *shift, float *sum, float *squares, gint64 n_channels)
{
    memset(sum, 0, (gsize)n_channels * sizeof(float));
    memset(squares, 0, (gsize)n_channels * sizeof(float));
    for (gint64 row = 0; row < n_rows; row++, x += stride)
        for (gint64 i = 0; i < n_channels; i++) {
            const float d = w2w_e_get(x[i]) - shift[i];

            sum[i] += d;
            squares[i] += d * d;
        }
}

/* Takes the sums of a block about the shift to sums about 0; the block's means are the next shift.
 */
static void add_block(Moments moments, gint64 at, gint64 n_channels, gint64 n_rows,
                      const float *restrict sum, const float *restrict squares)
{
    double *restrict total = moments.sum + at, *restrict total_squares = moments.squares + at;
    float *restrict shift = moments.shift + at;
    const double n = (double)n_rows, reciprocal = 1.0 / n;

    for (gint64 i = 0; i < n_channels; i++) {
        const double k = shift[i], s = sum[i];

        total[i] += s + n * k;
        total_squares[i] += squares[i] + k * (2.0 * s + n * k);
        shift[i] = (float)(k + s * reciprocal);
    }
}

static inline void add_scaled(const w2w_element *restrict x, float scale, float *restrict to,
                              gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        to[i] += w2w_e_get(x[i]) * scale;
}

/* Sums over some rows of some channels, from nothing. */
static void sum_moments(const w2w_element *x, gint64 stride, gint64 n_rows, gint64 n_channels,
                        Moments moments)
{
    const gint64 n_first = MIN(n_rows, FIRST_SHIFT_ROWS);

    memset(moments.sum, 0, (gsize)n_channels * sizeof(double));
    memset(moments.squares, 0, (gsize)n_channels * sizeof(double));
    memset(moments.shift, 0, (gsize)n_channels * sizeof(float));
    for (gint64 row = 0; row < n_first; row++)
        add_scaled(x + row * stride, 1.0f / (float)n_first, moments.shift, n_channels);

    for (gint64 begin = 0; begin < n_rows; begin += BLOCK_ROWS) {
        const gint64 n = MIN(BLOCK_ROWS, n_rows - begin);
        const w2w_element *block = x + begin * stride;
        float sum[4 * W2W_VECTOR_WIDTH], squares[4 * W2W_VECTOR_WIDTH];
        gint64 i = 0;

        for (; i + 4 * W2W_VECTOR_WIDTH <= n_channels; i += 4 * W2W_VECTOR_WIDTH) {
            block_moments(block + i, stride, n, moments.shift + i, sum, squares, 4);
            add_block(moments, i, 4 * W2W_VECTOR_WIDTH, n, sum, squares);
        }
        for (; i + 2 * W2W_VECTOR_WIDTH <= n_channels; i += 2 * W2W_VECTOR_WIDTH) {
            block_moments(block + i, stride, n, moments.shift + i, sum, squares, 2);
            add_block(moments, i, 2 * W2W_VECTOR_WIDTH, n, sum, squares);
        }
        for (; i + W2W_VECTOR_WIDTH <= n_channels; i += W2W_VECTOR_WIDTH) {
            block_moments(block + i, stride, n, moments.shift + i, sum, squares, 1);
            add_block(moments, i, W2W_VECTOR_WIDTH, n, sum, squares);
        }
        if (i < n_channels) {
            block_moments_rest(block + i, stride, n, moments.shift + i, sum, squares,
                               n_channels - i);
            add_block(moments, i, n_channels - i, n, sum, squares);
        }
    }
}

/* Of one group, whose first channel is `channel`. */
static void find_coefficients(const GroupNormKernel *kernel, gint64 channel, double sum,
                              double squares, Coefficients coefficients)
{
    const double n = (double)(kernel->n_rows * kernel->group_channels);
    const double mean = sum / n, variance = MAX(squares / n - mean * mean, 0.0);
    const double reciprocal = 1.0 / sqrt(variance + kernel->eps);
    const float rounded_mean = (float)mean;

    for (gint64 i = channel; i < channel + kernel->group_channels; i++) {
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
    const gint64 stride = job->kernel->n_channels;
    const w2w_element *x = job->x + first_row * stride;
    w2w_element *out = job->out + first_row * stride;

    if (job->kernel->silu)
        normalise_with(x, out, stride, n_rows, begin, end, coefficients, TRUE);
    else
        normalise_with(x, out, stride, n_rows, begin, end, coefficients, FALSE);
}

static double sum_of(const double *values, gint64 n)
{
    double sum = 0.0;

    for (gint64 i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

static void slab_task(gconstpointer data, guint task, guint thread)
{
    const GroupNormJob *job = data;
    const GroupNormKernel *kernel = job->kernel;
    const gint64 image = task / kernel->n_slabs, size = kernel->group_channels;
    const gint64 begin = task % kernel->n_slabs * kernel->slab_channels;
    const gint64 end = MIN(begin + kernel->slab_channels, kernel->n_channels);
    const gint64 first_row = image * kernel->n_rows;
    const Moments moments = thread_moments(job, thread);
    const Coefficients coefficients = image_coefficients(job, image);

    sum_moments(job->x + first_row * kernel->n_channels + begin, kernel->n_channels, kernel->n_rows,
                end - begin, moments);
    for (gint64 i = 0; i < end - begin; i += size)
        find_coefficients(kernel, begin + i, sum_of(moments.sum + i, size),
                          sum_of(moments.squares + i, size), coefficients);
    normalise(job, first_row, kernel->n_rows, begin, end, coefficients);
}

/* Two sums per group. */
static double *chunk_sums(const GroupNormJob *job, gint64 chunk)
{
    return (double *)(job->scratch + job->kernel->partial_sums) + chunk * 2 * job->kernel->n_groups;
}

static void chunk_rows(const GroupNormKernel *kernel, guint task, gint64 *begin, gint64 *n)
{
    *begin = task % kernel->n_chunks * kernel->rows_per_chunk;
    *n = MIN(kernel->rows_per_chunk, kernel->n_rows - *begin);
    *begin += task / kernel->n_chunks * kernel->n_rows;
}

static void chunk_moments_task(gconstpointer data, guint task, guint thread)
{
    const GroupNormJob *job = data;
    const GroupNormKernel *kernel = job->kernel;
    const gint64 size = kernel->group_channels;
    const Moments moments = thread_moments(job, thread);
    double *sums = chunk_sums(job, task);
    gint64 begin, n;

    chunk_rows(kernel, task, &begin, &n);
    sum_moments(job->x + begin * kernel->n_channels, kernel->n_channels, n, kernel->n_channels,
                moments);
    for (gint64 group = 0; group < kernel->n_groups; group++) {
        sums[2 * group] = sum_of(moments.sum + group * size, size);
        sums[2 * group + 1] = sum_of(moments.squares + group * size, size);
    }
}

static void chunk_normalise_task(gconstpointer data, guint task, guint thread)
{
    const GroupNormJob *job = data;
    gint64 begin, n;

    chunk_rows(job->kernel, task, &begin, &n);
    normalise(job, begin, n, 0, job->kernel->n_channels,
              image_coefficients(job, task / job->kernel->n_chunks));
}

static void add_chunks(const GroupNormJob *job, gint64 image)
{
    const GroupNormKernel *kernel = job->kernel;

    for (gint64 group = 0; group < kernel->n_groups; group++) {
        double sum = 0.0, squares = 0.0;

        for (gint64 chunk = 0; chunk < kernel->n_chunks; chunk++) {
            const double *sums = chunk_sums(job, image * kernel->n_chunks + chunk) + 2 * group;

            sum += sums[0];
            squares += sums[1];
        }
        find_coefficients(kernel, group * kernel->group_channels, sum, squares,
                          image_coefficients(job, image));
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const GroupNormKernel *kernel = (const GroupNormKernel *)parent;
    const GroupNormJob job = {kernel, operands->in[W2W_SLOT_X], operands->out, operands->scratch};
    W2wThreadPool *pool = w2w_cpu_pool(parent);

    if (!kernel->by_rows) {
        w2w_thread_pool_run(pool, (guint)(kernel->n_images * kernel->n_slabs), slab_task, &job);
        return;
    }
    w2w_thread_pool_run(pool, (guint)(kernel->n_images * kernel->n_chunks), chunk_moments_task,
                        &job);
    for (gint64 image = 0; image < kernel->n_images; image++)
        add_chunks(&job, image);
    w2w_thread_pool_run(pool, (guint)(kernel->n_images * kernel->n_chunks), chunk_normalise_task,
                        &job);
}

static void group_norm_free(W2wKernel *parent)
{
    w2w_aligned_free(((GroupNormKernel *)parent)->weight);
    g_free(parent);
}

static gint64 round_up(gint64 value, gint64 step)
{
    return (value + step - 1) / step * step;
}

/* The narrowest slabs that are whole groups, whole cache lines and worth a task. */
static gint64 choose_slab_channels(const GroupNormKernel *kernel)
{
    gint64 unit = kernel->group_channels, wanted;

    while (unit % SLAB_GRANULARITY != 0)
        unit += kernel->group_channels;
    wanted = (SLAB_MIN_ELEMENTS + kernel->n_rows - 1) / kernel->n_rows;
    return MIN(round_up(wanted, unit), kernel->n_channels);
}

static void plan(GroupNormKernel *kernel)
{
    const gint64 c = kernel->n_channels, n_elements = kernel->n_rows * c;
    const guint n_threads = w2w_thread_pool_get_n_threads(w2w_cpu_pool(&kernel->parent));
    gint64 n_chunks;
    gsize size;

    kernel->slab_channels = choose_slab_channels(kernel);
    kernel->n_slabs = (c + kernel->slab_channels - 1) / kernel->slab_channels;
    kernel->by_rows =
        n_elements > SLAB_MIN_ELEMENTS &&
        (kernel->n_rows * kernel->slab_channels * (gint64)sizeof(w2w_element) > SLAB_MAX_BYTES ||
         (kernel->n_slabs == 1 && kernel->n_rows > BLOCK_ROWS && kernel->n_images == 1));
    n_chunks = CLAMP(n_elements / W2W_TASK_ELEMENTS_EXP, 1, MAX_CHUNKS);
    kernel->rows_per_chunk = round_up((kernel->n_rows + n_chunks - 1) / n_chunks, BLOCK_ROWS);
    kernel->n_chunks = (kernel->n_rows + kernel->rows_per_chunk - 1) / kernel->rows_per_chunk;

    kernel->thread_scratch = (gsize)round_up(c * 20, W2W_ALIGNMENT);
    size = n_threads * kernel->thread_scratch;
    kernel->coefficients = size;
    size += (gsize)round_up(kernel->n_images * c * 12, W2W_ALIGNMENT);
    kernel->partial_sums = size;
    if (kernel->by_rows)
        size += (gsize)(kernel->n_images * kernel->n_chunks * kernel->n_groups * 16);
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
    kernel->n_images = op->out.n;
    kernel->n_rows = (gint64)op->out.h * op->out.w;
    kernel->n_channels = n;
    kernel->n_groups = op->params.group_norm.n_groups;
    kernel->group_channels = n / kernel->n_groups;
    kernel->eps = op->params.group_norm.eps;
    kernel->silu = op->activation == W2W_ACTIVATION_SILU;
    kernel->weight = weights;
    kernel->bias = weights + n;
    plan(kernel);
    return &kernel->parent;
}
