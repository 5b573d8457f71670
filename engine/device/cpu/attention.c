/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * softmax(scale · q kᵀ) v per head, without ever holding all scores.
 *
 * First all keys and values are packed into panels that the register tile reads in order: keys
 * transposed, a panel's width of them side by side. Then every task takes a block of queries of
 * one head through the keys, block by block: scores of the block, their exponentials relative
 * to the largest score so far, and those times the values; sums of earlier blocks are scaled
 * down when a larger score turns up (the "online" softmax: Milakov and Gimelshein, 2018, and
 * FlashAttention, Dao et al., 2022). A query's result does not depend on how queries are
 * blocked or on threads. What is masked is −∞ among the scores, hence exactly 0 after.
 */
#include <math.h>
#include <string.h>

#include "engine/device/cpu/attention_tile.h"
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/memory.h"

#define KEY_BLOCK   128  /* a multiple of PANEL */
#define QUERY_BLOCK 48   /* at most; scores of a block stay in the first cache */
#define PACK_FLOATS 8192 /* worth a task */
/* Keys and values of all heads that fit here are shared by all; else head after head. */
#define SECOND_CACHE_BYTES (256 * 1024)

typedef struct {
    W2wKernel parent;
    gint64 n_images, n_heads, n_queries, n_keys, n_channels, head_width;
    float scale;
    gboolean causal;
    gint64 head_vectors; /* of values: head_width, padded to whole vectors */
    gint64 queries_per_block, n_query_blocks;
    gboolean
        heads_first; /* next after a block is the same queries' next head, not the next block */
    gint64 keys_per_pack, n_packs; /* tasks of the first phase, per head */
    gint64 head_key_floats, head_value_floats;
    gsize values_at, threads_at, thread_size; /* scratch, in bytes; keys come first */
} AttentionKernel;

typedef struct {
    const AttentionKernel *kernel;
    const w2w_element *query, *key, *value;
    w2w_element *out;
    char *scratch;
} AttentionJob;

/* A thread's scratch: one block of queries on its way through the keys. */
typedef struct {
    float *query;   /* (rows, head_width), scaled */
    float *score;   /* (rows, KEY_BLOCK) */
    float *sum;     /* (rows, head_vectors · WIDTH): of weighted values */
    float *largest; /* per row: score so far */
    float *fade;    /* per row: what earlier sums are multiplied by */
    float *weight;  /* per row: sum of exponentials */
} Block;

/* --- packing --- */

static float *packed_keys(const AttentionJob *job, gint64 head)
{
    return (float *)job->scratch + head * job->kernel->head_key_floats;
}

static float *packed_values(const AttentionJob *job, gint64 head)
{
    return (float *)(job->scratch + job->kernel->values_at) + head * job->kernel->head_value_floats;
}

static void pack_value(const AttentionKernel *kernel, const w2w_element *value, gint64 index,
                       float *packed)
{
    gint64 vectors;

    for (gint64 at = 0; at < kernel->head_vectors; at += vectors) {
        float *tile = packed + at * WIDTH * kernel->n_keys;
        gint64 n;

        vectors = tile_vectors(at, kernel->head_vectors);
        n = MIN(vectors * WIDTH, kernel->head_width - at * WIDTH);
        tile += index * vectors * WIDTH;
        for (gint64 i = 0; i < n; i++)
            tile[i] = w2w_e_get(value[at * WIDTH + i]);
        if (n < vectors * WIDTH)
            memset(tile + n, 0, (gsize)(vectors * WIDTH - n) * sizeof(float));
    }
}

static void pack_task(gconstpointer data, guint task, guint thread)
{
    const AttentionJob *job = data;
    const AttentionKernel *kernel = job->kernel;
    const gint64 head = task / kernel->n_packs, stride = kernel->n_channels;
    const gint64 first = task % kernel->n_packs * kernel->keys_per_pack;
    const gint64 last = MIN(first + kernel->keys_per_pack, kernel->n_keys);
    const gint64 origin = head / kernel->n_heads * kernel->n_keys * stride +
                          head % kernel->n_heads * kernel->head_width;

    for (gint64 i = first; i < last; i += PANEL)
        pack_key_panel(job->key + origin + i * stride, stride, MIN(PANEL, last - i),
                       kernel->head_width, packed_keys(job, head) + i * kernel->head_width);
    for (gint64 i = first; i < last; i++)
        pack_value(kernel, job->value + origin + i * stride, i, packed_values(job, head));
}

/* --- the register tile --- */

static void score_tile(const float *query, gint64 width, const float *panel, float *score)
{
    w2w_v sum[TILE_ROWS][3];

    multiply(query, width, 1, panel, PANEL, width, sum, TILE_ROWS, 2);
#pragma GCC unroll 6
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++)
            w2w_v_store(score + i * KEY_BLOCK + j * WIDTH, sum[i][j]);
}

/* to = fade · to + weights · values; without what was there before in the first block of keys. */
W2W_INLINE void value_tile(const float *weights, const float *values, gint64 n_keys, float *to,
                           gint64 stride, const float *fade, gboolean first, const int rows,
                           const int vectors)
{
    w2w_v sum[TILE_ROWS][3];

    multiply(weights, KEY_BLOCK, 1, values, vectors * WIDTH, n_keys, sum, rows, vectors);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            float *at = to + i * stride + j * WIDTH;

            if (!first)
                sum[i][j] += w2w_v_load(at) * fade[i];
            w2w_v_store(at, sum[i][j]);
        }
}

#define DEFINE_VALUE_TILE(rows, vectors)                                                           \
    static void value_tile_##rows##_##vectors(const float *weights, const float *values,           \
                                              gint64 n_keys, float *to, gint64 stride,             \
                                              const float *fade, gboolean first)                   \
    {                                                                                              \
        value_tile(weights, values, n_keys, to, stride, fade, first, rows, vectors);               \
    }
DEFINE_VALUE_TILE(6, 1)
DEFINE_VALUE_TILE(6, 2)
DEFINE_VALUE_TILE(4, 3)
DEFINE_VALUE_TILE(2, 3)

/* --- one block of queries --- */

static Block thread_block(const AttentionJob *job, guint thread)
{
    const AttentionKernel *kernel = job->kernel;
    const gint64 rows = kernel->queries_per_block;
    Block block;

    block.score = (float *)(job->scratch + kernel->threads_at + thread * kernel->thread_size);
    block.sum = block.score + rows * KEY_BLOCK;
    block.query = block.sum + rows * kernel->head_vectors * WIDTH;
    block.largest = block.query + rows * kernel->head_width;
    block.fade = block.largest + round_up(rows, WIDTH);
    block.weight = block.fade + round_up(rows, WIDTH);
    return block;
}

static inline void scale_row(const w2w_element *restrict x, float scale, float *restrict out,
                             gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        out[i] = w2w_e_get(x[i]) * scale;
}

static inline void divide_row(const float *restrict x, float divisor, w2w_element *restrict out,
                              gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        out[i] = w2w_e_from(x[i] / divisor);
}

/* Copies and scales the queries; rows of zeros up to a whole number of tiles. */
static void begin_block(const AttentionKernel *kernel, Block block, const w2w_element *query,
                        gint64 n_rows, gint64 n_padded)
{
    const gint64 width = kernel->head_width;

    for (gint64 i = 0; i < n_rows; i++)
        scale_row(query + i * kernel->n_channels, kernel->scale, block.query + i * width, width);
    memset(block.query + n_rows * width, 0, (gsize)((n_padded - n_rows) * width) * sizeof(float));
    for (gint64 i = 0; i < round_up(n_padded, WIDTH); i++) {
        block.largest[i] = -INFINITY;
        block.fade[i] = block.weight[i] = 0.0f;
    }
}

static void find_scores(const AttentionKernel *kernel, Block block, const float *keys,
                        gint64 n_keys, gint64 n_padded)
{
    for (gint64 key = 0; key < n_keys; key += PANEL)
        for (gint64 i = 0; i < n_padded; i += TILE_ROWS)
            score_tile(block.query + i * kernel->head_width, kernel->head_width,
                       keys + key * kernel->head_width, block.score + i * KEY_BLOCK + key);
}

/* Scores beyond the keys that row i sees become −∞, up to a whole vector. */
static void mask_scores(const AttentionKernel *kernel, Block block, gint64 first_query,
                        gint64 first_key, gint64 n_keys, gint64 n_rows)
{
    for (gint64 i = 0; i < n_rows; i++) {
        gint64 visible = n_keys;

        if (kernel->causal)
            visible = CLAMP(first_query + i + 1 - first_key, 0, n_keys);
        for (gint64 key = visible; key < round_up(n_keys, WIDTH); key++)
            block.score[i * KEY_BLOCK + key] = -INFINITY;
    }
}

/* Scores become exponentials relative to the largest so far. */
static void find_weights(Block block, gint64 n_keys, gint64 n_rows)
{
    for (gint64 i = 0; i < n_rows; i++) {
        const float *score = block.score + i * KEY_BLOCK;
        w2w_v largest = w2w_v_set(block.largest[i]);

        for (gint64 key = 0; key < n_keys; key += WIDTH)
            largest = w2w_v_max(w2w_v_load(score + key), largest);
        block.fade[i] = block.largest[i];
        block.largest[i] = w2w_v_largest(largest);
    }
    for (gint64 i = n_rows; i % WIDTH != 0; i++)
        block.fade[i] = block.largest[i] = 0.0f;
    for (gint64 i = 0; i < n_rows; i += WIDTH)
        w2w_v_store(block.fade + i,
                    w2w_v_exp(w2w_v_load(block.fade + i) - w2w_v_load(block.largest + i)));
    for (gint64 i = 0; i < n_rows; i++) {
        float *score = block.score + i * KEY_BLOCK;
        const float largest = block.largest[i];
        w2w_v sum = {0};

        for (gint64 key = 0; key < n_keys; key += WIDTH) {
            const w2w_v e = w2w_v_exp(w2w_v_load(score + key) - largest);

            sum += e;
            w2w_v_store(score + key, e);
        }
        block.weight[i] = block.weight[i] * block.fade[i] + w2w_v_sum(sum);
    }
}

static void add_values(const AttentionKernel *kernel, Block block, const float *values,
                       gint64 first_key, gint64 n_keys, gint64 n_padded)
{
    const gint64 stride = kernel->head_vectors * WIDTH;
    const gboolean first = first_key == 0;
    gint64 vectors;

    for (gint64 at = 0; at < kernel->head_vectors; at += vectors) {
        const float *tile = values + at * WIDTH * kernel->n_keys;
        gint64 step;

        vectors = tile_vectors(at, kernel->head_vectors);
        tile += first_key * vectors * WIDTH;
        for (gint64 i = 0; i < n_padded; i += step) {
            const float *weights = block.score + i * KEY_BLOCK, *fade = block.fade + i;
            float *to = block.sum + i * stride + at * WIDTH;

            step = vectors < 3 ? TILE_ROWS : MIN(WIDE_ROWS, n_padded - i);
            if (vectors == 2)
                value_tile_6_2(weights, tile, n_keys, to, stride, fade, first);
            else if (vectors == 1)
                value_tile_6_1(weights, tile, n_keys, to, stride, fade, first);
            else if (step == WIDE_ROWS)
                value_tile_4_3(weights, tile, n_keys, to, stride, fade, first);
            else
                value_tile_2_3(weights, tile, n_keys, to, stride, fade, first);
        }
    }
}

static void end_block(const AttentionKernel *kernel, Block block, w2w_element *out, gint64 n_rows)
{
    for (gint64 i = 0; i < n_rows; i++)
        divide_row(block.sum + i * kernel->head_vectors * WIDTH, block.weight[i],
                   out + i * kernel->n_channels, kernel->head_width);
}

static void attend_task(gconstpointer data, guint task, guint thread)
{
    const AttentionJob *job = data;
    const AttentionKernel *kernel = job->kernel;
    const gint64 image_blocks = kernel->n_heads * kernel->n_query_blocks;
    const gint64 image = task / image_blocks, within = task % image_blocks;
    const gint64 head =
        image * kernel->n_heads +
        (kernel->heads_first ? within % kernel->n_heads : within / kernel->n_query_blocks);
    const gint64 first_query =
        kernel->queries_per_block *
        (kernel->heads_first ? within / kernel->n_heads : within % kernel->n_query_blocks);
    const gint64 n_rows = MIN(kernel->queries_per_block, kernel->n_queries - first_query);
    const gint64 n_padded = round_up(n_rows, TILE_ROWS);
    const gint64 n_visible =
        kernel->causal ? MIN(first_query + n_rows, kernel->n_keys) : kernel->n_keys;
    const gint64 origin =
        (head / kernel->n_heads * kernel->n_queries + first_query) * kernel->n_channels +
        head % kernel->n_heads * kernel->head_width;
    const Block block = thread_block(job, thread);

    begin_block(kernel, block, job->query + origin, n_rows, n_padded);
    for (gint64 key = 0; key < n_visible; key += KEY_BLOCK) {
        const gint64 n_keys = MIN(KEY_BLOCK, n_visible - key);

        find_scores(kernel, block, packed_keys(job, head) + key * kernel->head_width, n_keys,
                    n_padded);
        mask_scores(kernel, block, first_query, key, n_keys, n_rows);
        find_weights(block, n_keys, n_rows);
        add_values(kernel, block, packed_values(job, head), key, n_keys, n_padded);
    }
    end_block(kernel, block, job->out + origin, n_rows);
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const AttentionKernel *kernel = (const AttentionKernel *)parent;
    const AttentionJob job = {
        .kernel = kernel,
        .query = operands->in[W2W_SLOT_QUERY],
        .key = operands->in[W2W_SLOT_KEY],
        .value = operands->in[W2W_SLOT_VALUE],
        .out = operands->out,
        .scratch = operands->scratch,
    };
    const gint64 n_heads = kernel->n_images * kernel->n_heads;

    w2w_thread_pool_run(w2w_cpu_pool(parent), (guint)(n_heads * kernel->n_packs), pack_task, &job);
    w2w_thread_pool_run(w2w_cpu_pool(parent), (guint)(n_heads * kernel->n_query_blocks),
                        attend_task, &job);
}

static void attention_free(W2wKernel *kernel)
{
    g_free(kernel);
}

static void plan(AttentionKernel *kernel)
{
    const gint64 n_threads = w2w_thread_pool_get_n_threads(w2w_cpu_pool(&kernel->parent));
    const gint64 n_heads = kernel->n_images * kernel->n_heads;
    /* Three tasks per thread even out what other programs take away. */
    const gint64 wanted = n_heads * kernel->n_queries / (3 * n_threads);
    const gint64 most = CLAMP(wanted, 2 * TILE_ROWS, QUERY_BLOCK);
    const gint64 rows = kernel->n_queries / ((kernel->n_queries + most - 1) / most);
    gint64 thread_floats;

    kernel->head_vectors = (kernel->head_width + WIDTH - 1) / WIDTH;
    kernel->queries_per_block = round_up(MAX(rows, 1), TILE_ROWS);
    kernel->n_query_blocks =
        (kernel->n_queries + kernel->queries_per_block - 1) / kernel->queries_per_block;
    kernel->keys_per_pack = round_up(PACK_FLOATS / (2 * kernel->head_width) + 1, PANEL);
    kernel->n_packs = (kernel->n_keys + kernel->keys_per_pack - 1) / kernel->keys_per_pack;
    kernel->head_key_floats =
        round_up(round_up(kernel->n_keys, PANEL) * kernel->head_width, W2W_ALIGNMENT / 4);
    kernel->head_value_floats =
        round_up(kernel->n_keys * kernel->head_vectors * WIDTH, W2W_ALIGNMENT / 4);

    kernel->heads_first = kernel->n_heads * (kernel->head_key_floats + kernel->head_value_floats) *
                              (gint64)sizeof(float) <=
                          SECOND_CACHE_BYTES;

    thread_floats = kernel->queries_per_block *
                        (KEY_BLOCK + kernel->head_vectors * WIDTH + kernel->head_width) +
                    3 * round_up(kernel->queries_per_block, WIDTH);
    kernel->thread_size = (gsize)round_up(thread_floats, W2W_ALIGNMENT / 4) * sizeof(float);
    kernel->values_at = (gsize)(n_heads * kernel->head_key_floats) * sizeof(float);
    kernel->threads_at =
        kernel->values_at + (gsize)(n_heads * kernel->head_value_floats) * sizeof(float);
    kernel->parent.scratch_size = kernel->threads_at + (gsize)n_threads * kernel->thread_size;
}

W2wKernel *W2W_CPU_SYMBOL(prepare_attention)(W2wDevice *device, const W2wOp *op, GError **error)
{
    const W2wShape key = op->in[W2W_SLOT_KEY];
    AttentionKernel *kernel = g_new0(AttentionKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = attention_free};
    kernel->n_images = op->out.n;
    kernel->n_heads = op->params.attention.n_heads;
    kernel->n_queries = (gint64)op->out.h * op->out.w;
    kernel->n_keys = (gint64)key.h * key.w;
    kernel->n_channels = op->out.c;
    kernel->head_width = op->out.c / kernel->n_heads;
    kernel->scale = op->params.attention.scale;
    kernel->causal = op->params.attention.causal;
    plan(kernel);
    return &kernel->parent;
}
