/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * d_A = scale · Bᵀ d_outᵀ x and d_B = scale · d_outᵀ (x Aᵀ), summed over all rows.
 *
 * A product with as few columns as a LoRA has ranks is bound by reading x and d_out: both halves
 * are made while a few rows of them are in the first cache. Blocks of rows are summed in float32
 * by tasks of their own, the blocks then in order in double precision: the same bits for any number
 * of threads.
 */
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector.h"

#define WIDTH      W2W_VECTOR_WIDTH
#define TILE_ROWS  8
#define LEAST_ROWS 16 /* of a block */
#define MOST_ROWS  256

typedef struct {
    W2wKernel parent;
    gint64 n_rows, n_in, n_out;
    gint rank;
    float scale;
    gint64 rows_per_block, n_blocks;
    gint64 n_sums;    /* rank · (n_in + n_out) */
    W2wTaskSplit sum; /* of the sums, block after block */
} LoraGradientKernel;

typedef struct {
    const LoraGradientKernel *kernel;
    const float *x, *d_out, *a, *b;
    float *out;
    float *block_sums; /* (n_blocks, n_sums) */
} LoraGradientJob;

/* Σ x[i] · y[i · stride] */
static float dot(const float *x, const float *y, gint64 stride, gint64 n)
{
    w2w_v sum[2] = {{0}, {0}};
    float rest = 0.0f;
    gint64 i = 0;

    for (; stride == 1 && i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        sum[0] += w2w_v_load(x + i) * w2w_v_load(y + i);
        sum[1] += w2w_v_load(x + i + WIDTH) * w2w_v_load(y + i + WIDTH);
    }
    for (; i < n; i++)
        rest += x[i] * y[i * stride];
    return w2w_v_sum(sum[0] + sum[1]) + rest;
}

/*
 * sums[i · stride] += Σ over the tile's rows of factors[row] · rows[row][i]: a factor is 0 where a
 * tile has fewer rows.
 */
static void add_rows(const float *const *rows, const float *factors, gint64 n, float *sums,
                     gint64 stride)
{
    gint64 i = 0;

    for (; stride == 1 && i + WIDTH <= n; i += WIDTH) {
        w2w_v sum = w2w_v_load(sums + i);

#pragma GCC unroll 8
        for (gint row = 0; row < TILE_ROWS; row++)
            sum += factors[row] * w2w_v_load(rows[row] + i);
        w2w_v_store(sums + i, sum);
    }
    for (; i < n; i++) {
        float sum = sums[i * stride];

        for (gint row = 0; row < TILE_ROWS; row++)
            sum += factors[row] * rows[row][i];
        sums[i * stride] = sum;
    }
}

static void sum_block(gconstpointer data, guint task, guint thread)
{
    const LoraGradientJob *job = data;
    const LoraGradientKernel *kernel = job->kernel;
    const gint64 first = task * kernel->rows_per_block;
    const gint64 end = MIN(first + kernel->rows_per_block, kernel->n_rows);
    const gint rank = kernel->rank;
    float *d_a = job->block_sums + task * kernel->n_sums, *d_b = d_a + rank * kernel->n_in;

    memset(d_a, 0, (gsize)kernel->n_sums * sizeof *d_a);
    for (gint64 row = first; row < end; row += TILE_ROWS) {
        const float *x[TILE_ROWS], *d_out[TILE_ROWS];
        const gint64 n = MIN(TILE_ROWS, end - row);

        for (gint64 i = 0; i < TILE_ROWS; i++) { /* the last row stands for those that are not */
            x[i] = job->x + (row + MIN(i, n - 1)) * kernel->n_in;
            d_out[i] = job->d_out + (row + MIN(i, n - 1)) * kernel->n_out;
        }
        for (gint r = 0; r < rank; r++) {
            float a_x[TILE_ROWS] = {0}, b_d_out[TILE_ROWS] = {0};

            for (gint64 i = 0; i < n; i++) {
                a_x[i] = dot(x[i], job->a + r * kernel->n_in, 1, kernel->n_in);
                b_d_out[i] = dot(d_out[i], job->b + r, rank, kernel->n_out);
            }
            add_rows(x, b_d_out, kernel->n_in, d_a + r * kernel->n_in, 1);
            add_rows(d_out, a_x, kernel->n_out, d_b + r, rank);
        }
    }
}

static void add_blocks(gconstpointer data, guint task, guint thread)
{
    const LoraGradientJob *job = data;
    const LoraGradientKernel *kernel = job->kernel;
    const gint64 end = w2w_task_end(&kernel->sum, task);

    for (gint64 i = w2w_task_begin(&kernel->sum, task); i < end; i++) {
        double sum = 0.0;

        for (gint64 block = 0; block < kernel->n_blocks; block++)
            sum += job->block_sums[block * kernel->n_sums + i];
        job->out[i] = (float)(kernel->scale * sum);
    }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const LoraGradientKernel *kernel = (const LoraGradientKernel *)parent;
    const LoraGradientJob job = {
        .kernel = kernel,
        .x = operands->in[W2W_SLOT_X],
        .d_out = operands->in[W2W_SLOT_D_OUT],
        .a = operands->in[W2W_SLOT_LORA_A],
        .b = operands->in[W2W_SLOT_LORA_B],
        .out = operands->out,
        .block_sums = operands->scratch,
    };

    w2w_thread_pool_run(w2w_cpu_pool(parent), (guint)kernel->n_blocks, sum_block, &job);
    w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->sum.n_tasks, add_blocks, &job);
}

static void lora_gradient_free(W2wKernel *kernel)
{
    g_free(kernel);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_lora_gradient)(W2wDevice *device, const W2wOp *op, GError **error)
{
    LoraGradientKernel *kernel = g_new0(LoraGradientKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = lora_gradient_free};
    kernel->n_rows = w2w_shape_n_rows(op->in[W2W_SLOT_X]);
    kernel->n_in = op->in[W2W_SLOT_X].c;
    kernel->n_out = op->in[W2W_SLOT_D_OUT].c;
    kernel->rank = op->in[W2W_SLOT_LORA_A].w;
    kernel->scale = op->params.linear.lora_scale;
    kernel->n_sums = kernel->rank * (kernel->n_in + kernel->n_out);
    kernel->rows_per_block =
        CLAMP(2 * W2W_TASK_ELEMENTS / MAX(kernel->n_sums, 1), LEAST_ROWS, MOST_ROWS);
    kernel->n_blocks = (kernel->n_rows + kernel->rows_per_block - 1) / kernel->rows_per_block;
    kernel->sum = w2w_task_split(kernel->n_sums, kernel->n_blocks, W2W_TASK_ELEMENTS);
    kernel->parent.scratch_size = (gsize)(kernel->n_blocks * kernel->n_sums) * sizeof(float);
    return &kernel->parent;
}
