/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gradient of softmax(scale · q kᵀ) v per head, from q, k, v and d_out alone.
 *
 * With P the softmax: dP = d_out vᵀ, dS = P ∘ (dP − rowsum(P ∘ dP)), and d_query = scale · dS k,
 * d_key = scale · dSᵀ q, d_value = Pᵀ d_out. P is not kept from the forward op but made again.
 *
 * A task is one head and one part of its queries. It takes the queries through all keys a block at
 * a time, twice: first scores and dP block by block of keys, kept in the thread's scratch, with the
 * softmax's sums found on the way (attention.c's "online" form, to which rowsum(P ∘ dP) is one more
 * sum); then P and dS of each block of keys, and the products with them. What a task adds up for
 * keys and values is written at its end, or, where a head has several tasks, added in order by a
 * second round of tasks. How heads are cut does not depend on threads, and so no result does.
 */
#include <math.h>
#include <string.h>

#include "engine/device/cpu/attention_tile.h"
#include "engine/device/cpu/cpu.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/cpu/vector_math.h"
#include "engine/memory.h"

#define KEY_BLOCK     96  /* a multiple of PANEL and TILE_ROWS */
#define QUERY_BLOCK   48  /* at most */
#define LEAST_TASKS   16  /* fewer heads than this are cut */
#define LEAST_QUERIES 128 /* of a part of a head: packing its keys must be worth it */

typedef struct {
    W2wKernel parent;
    gint64 n_images, n_heads, n_queries, n_keys, n_channels, head_width;
    float scale;
    gboolean causal;
    gboolean wants_query, wants_key, wants_value;
    gint64 stride; /* of a head's rows in scratch: head_width, padded to whole vectors */
    gint64 n_parts, queries_per_part, queries_per_block;
    gint64 n_key_panels, n_key_blocks;
    gint64 d_key_at, d_value_at;   /* of the output, in elements; d_query comes first */
    gint64 sums_floats;            /* of d_key, and as many of d_value */
    gsize threads_at, thread_size; /* scratch, in bytes; sums of parts come first */
    W2wTaskSplit sum;              /* rows of keys of all images */
} AttentionGradientKernel;

typedef struct {
    const AttentionGradientKernel *kernel;
    const float *query, *key, *value, *d_out;
    float *out;
    char *scratch;
} AttentionGradientJob;

/* What a task works with; all of it the thread's own, but for the sums. */
typedef struct {
    float *keys, *values;      /* in panels (attention_tile.h) */
    float *key_rows;           /* (n_keys, stride) */
    float *d_key, *d_value;    /* (n_keys, padded to whole panels; stride) */
    float *query;              /* (rows, stride), scaled, with zeros up to whole tiles */
    float *d_out;              /* the same, not scaled */
    float *d_query;            /* (rows, stride) */
    float *softmax, *d_scores; /* (key block, rows, KEY_BLOCK): first exp(score − base) and dP */
    float *base;               /* (key block, rows): largest score so far */
    float *largest, *weight;   /* per row: largest score; sum of exponentials relative to it */
    float *product;            /* per row: sum of exponentials · dP */
    float *fade;               /* per row: what sums so far are multiplied by */
} Block;

static gboolean wants_scores(const AttentionGradientKernel *kernel)
{
    return kernel->wants_query || kernel->wants_key;
}

/* Cuts `memory` (NULL: nothing) into what a block is made of; returns its length in floats. */
static gint64 lay_out(const AttentionGradientKernel *kernel, float *memory, Block *block)
{
    const gint64 rows = kernel->queries_per_block, panel_keys = kernel->n_key_panels * PANEL;
    const gint64 n_scores = kernel->n_key_blocks * rows * KEY_BLOCK, n_rows = round_up(rows, WIDTH);
    const struct {
        float **where;
        gint64 n;
    } parts[] = {
        {&block->keys, panel_keys * kernel->head_width},
        {&block->values, wants_scores(kernel) ? panel_keys * kernel->head_width : 0},
        {&block->key_rows, kernel->wants_query ? kernel->n_keys * kernel->stride : 0},
        {&block->query, rows * kernel->stride},
        {&block->d_out, rows * kernel->stride},
        {&block->d_query, kernel->wants_query ? rows * kernel->stride : 0},
        {&block->softmax, n_scores},
        {&block->d_scores, wants_scores(kernel) ? n_scores : 0},
        {&block->base, kernel->n_key_blocks * n_rows},
        {&block->largest, n_rows},
        {&block->weight, n_rows},
        {&block->product, n_rows},
        {&block->fade, n_rows},
        {&block->d_key, kernel->n_parts == 1 ? kernel->sums_floats : 0},
        {&block->d_value, kernel->n_parts == 1 ? kernel->sums_floats : 0},
    };
    gint64 at = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (memory != NULL)
            *parts[i].where = memory + at;
        at += round_up(parts[i].n, W2W_ALIGNMENT / 4);
    }
    return at;
}

/* --- the register tile --- */

static void score_tile(const float *rows, gint64 stride, const float *panel, gint64 width,
                       float *score)
{
    w2w_v sum[TILE_ROWS][3];

    multiply(rows, stride, 1, panel, PANEL, width, sum, TILE_ROWS, 2);
#pragma GCC unroll 6
    for (int i = 0; i < TILE_ROWS; i++)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++)
            w2w_v_store(score + i * KEY_BLOCK + j * WIDTH, sum[i][j]);
}

/*
 * to += a b, where `a` are columns of a block of scores, or (turned) its rows; `stride` is that of
 * b's rows and of those of `to`.
 */
W2W_INLINE void add_tile(const float *a, const float *b, gint64 stride, gint64 depth, float *to,
                         const gboolean turned, const int rows, const int vectors)
{
    w2w_v sum[TILE_ROWS][3];

    multiply(a, turned ? 1 : KEY_BLOCK, turned ? KEY_BLOCK : 1, b, stride, depth, sum, rows,
             vectors);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++) {
            float *at = to + i * stride + j * WIDTH;

            w2w_v_store(at, w2w_v_load(at) + sum[i][j]);
        }
}

typedef void (*AddTileFunc)(const float *a, const float *b, gint64 stride, gint64 depth, float *to);

#define DEFINE_ADD_TILE(rows, vectors)                                                             \
    static void add_tile_##rows##_##vectors(const float *a, const float *b, gint64 stride,         \
                                            gint64 depth, float *to)                               \
    {                                                                                              \
        add_tile(a, b, stride, depth, to, FALSE, rows, vectors);                                   \
    }                                                                                              \
    static void add_turned_tile_##rows##_##vectors(const float *a, const float *b, gint64 stride,  \
                                                   gint64 depth, float *to)                        \
    {                                                                                              \
        add_tile(a, b, stride, depth, to, TRUE, rows, vectors);                                    \
    }
DEFINE_ADD_TILE(2, 1)
DEFINE_ADD_TILE(2, 2)
DEFINE_ADD_TILE(2, 3)
DEFINE_ADD_TILE(4, 1)
DEFINE_ADD_TILE(4, 2)
DEFINE_ADD_TILE(4, 3)
DEFINE_ADD_TILE(6, 1)
DEFINE_ADD_TILE(6, 2)

/* [turned][rows / 2 − 1][vectors − 1] */
static const AddTileFunc add_tiles[2][3][3] = {
    {{add_tile_2_1, add_tile_2_2, add_tile_2_3},
     {add_tile_4_1, add_tile_4_2, add_tile_4_3},
     {add_tile_6_1, add_tile_6_2, NULL}},
    {{add_turned_tile_2_1, add_turned_tile_2_2, add_turned_tile_2_3},
     {add_turned_tile_4_1, add_turned_tile_4_2, add_turned_tile_4_3},
     {add_turned_tile_6_1, add_turned_tile_6_2, NULL}},
};

/* to (n_rows, stride) += a b; n_rows is even. */
static void add_product(const AttentionGradientKernel *kernel, const float *a, gboolean turned,
                        const float *b, gint64 depth, float *to, gint64 n_rows)
{
    const gint64 n_vectors = kernel->stride / WIDTH, a_row = turned ? 1 : KEY_BLOCK;
    gint64 vectors;

    for (gint64 at = 0; at < n_vectors; at += vectors) {
        gint64 step;

        vectors = tile_vectors(at, n_vectors);
        for (gint64 i = 0; i < n_rows; i += step) {
            step = MIN(vectors < 3 ? TILE_ROWS : WIDE_ROWS, n_rows - i);
            add_tiles[turned][step / 2 - 1][vectors - 1](a + i * a_row, b + at * WIDTH,
                                                         kernel->stride, depth,
                                                         to + i * kernel->stride + at * WIDTH);
        }
    }
}

/* --- one block of queries --- */

/* Rows of one head, times `scale`, into rows of whole vectors; zeros in what is over. */
static void copy_rows(const AttentionGradientKernel *kernel, const float *from, float scale,
                      gint64 n_rows, gint64 n_padded, float *to)
{
    const gint64 width = kernel->head_width, stride = kernel->stride;

    for (gint64 i = 0; i < n_rows; i++, from += kernel->n_channels, to += stride) {
        for (gint64 k = 0; k < width; k++)
            to[k] = from[k] * scale;
        for (gint64 k = width; k < stride; k++)
            to[k] = 0.0f;
    }
    if (n_padded > n_rows)
        memset(to, 0, (gsize)((n_padded - n_rows) * stride) * sizeof *to);
}

/* rows · panelsᵀ for one block of keys. */
static void multiply_panels(const AttentionGradientKernel *kernel, const float *rows,
                            gint64 n_padded, const float *panels, gint64 n_keys, float *scores)
{
    for (gint64 key = 0; key < n_keys; key += PANEL)
        for (gint64 i = 0; i < n_padded; i += TILE_ROWS)
            score_tile(rows + i * kernel->stride, kernel->stride, panels + key * kernel->head_width,
                       kernel->head_width, scores + i * KEY_BLOCK + key);
}

/* Scores beyond the keys that row i sees become −∞, up to a whole panel. */
static void mask_scores(const AttentionGradientKernel *kernel, float *scores, gint64 first_query,
                        gint64 first_key, gint64 n_keys, gint64 n_rows)
{
    for (gint64 i = 0; i < n_rows; i++) {
        gint64 visible = n_keys;

        if (kernel->causal)
            visible = CLAMP(first_query + i + 1 - first_key, 0, n_keys);
        for (gint64 key = visible; key < round_up(n_keys, PANEL); key++)
            scores[i * KEY_BLOCK + key] = -INFINITY;
    }
}

/* The first time through the keys: scores become exponentials relative to the largest so far. */
static void add_to_sums(const AttentionGradientKernel *kernel, Block block, float *scores,
                        const float *d_scores, float *base, gint64 n_keys, gint64 n_padded)
{
    for (gint64 i = 0; i < n_padded; i++) {
        const float *score = scores + i * KEY_BLOCK;
        w2w_v largest = w2w_v_set(block.largest[i]);

        for (gint64 key = 0; key < n_keys; key += WIDTH)
            largest = w2w_v_max(w2w_v_load(score + key), largest);
        block.fade[i] = block.largest[i];
        base[i] = block.largest[i] = w2w_v_largest(largest);
    }
    for (gint64 i = n_padded; i % WIDTH != 0; i++)
        block.fade[i] = base[i] = block.largest[i] = 0.0f;
    for (gint64 i = 0; i < n_padded; i += WIDTH)
        w2w_v_store(block.fade + i,
                    w2w_v_exp(w2w_v_load(block.fade + i) - w2w_v_load(block.largest + i)));
    for (gint64 i = 0; i < n_padded; i++) {
        float *score = scores + i * KEY_BLOCK;
        const float *d_score = d_scores + i * KEY_BLOCK;
        w2w_v sum = {0}, product = {0};

        for (gint64 key = 0; key < n_keys; key += WIDTH) {
            const w2w_v e = w2w_v_exp(w2w_v_load(score + key) - base[i]);

            sum += e;
            if (wants_scores(kernel))
                product += e * w2w_v_load(d_score + key);
            w2w_v_store(score + key, e);
        }
        block.weight[i] = block.weight[i] * block.fade[i] + w2w_v_sum(sum);
        block.product[i] = block.product[i] * block.fade[i] + w2w_v_sum(product);
    }
}

/* The second time: exponentials become the softmax, and dP dS. */
static void finish_scores(const AttentionGradientKernel *kernel, Block block, float *softmax,
                          float *d_scores, const float *base, gint64 n_keys, gint64 n_padded)
{
    for (gint64 i = 0; i < n_padded; i += WIDTH)
        w2w_v_store(block.fade + i,
                    w2w_v_exp(w2w_v_load(base + i) - w2w_v_load(block.largest + i)) /
                        w2w_v_load(block.weight + i));
    for (gint64 i = 0; i < n_padded; i++) {
        float *p = softmax + i * KEY_BLOCK, *d = d_scores + i * KEY_BLOCK;
        const float factor = block.fade[i], mean = block.product[i] / block.weight[i];

        for (gint64 key = 0; key < n_keys; key += WIDTH) {
            const w2w_v value = w2w_v_load(p + key) * factor;

            w2w_v_store(p + key, value);
            if (wants_scores(kernel))
                w2w_v_store(d + key, value * (w2w_v_load(d + key) - mean));
        }
    }
}

static void take_queries(const AttentionGradientJob *job, Block block, gint64 image, gint64 head,
                         gint64 first_query, gint64 n_rows)
{
    const AttentionGradientKernel *kernel = job->kernel;
    const gint64 n_padded = round_up(n_rows, TILE_ROWS);
    const gint64 origin =
        (image * kernel->n_queries + first_query) * kernel->n_channels + head * kernel->head_width;
    const gint64 n_visible =
        kernel->causal ? MIN(first_query + n_rows, kernel->n_keys) : kernel->n_keys;
    const gint64 block_scores = kernel->queries_per_block * KEY_BLOCK;
    const gint64 block_rows = round_up(kernel->queries_per_block, WIDTH);

    copy_rows(kernel, job->query + origin, kernel->scale, n_rows, n_padded, block.query);
    copy_rows(kernel, job->d_out + origin, 1.0f, n_rows, n_padded, block.d_out);
    for (gint64 i = 0; i < round_up(n_padded, WIDTH); i++) {
        block.largest[i] = -INFINITY;
        block.weight[i] = block.product[i] = 0.0f;
    }
    for (gint64 key = 0, b = 0; key < n_visible; key += KEY_BLOCK, b++) {
        const gint64 n_keys = MIN(KEY_BLOCK, n_visible - key);
        float *scores = block.softmax + b * block_scores;
        float *d_scores = block.d_scores + b * block_scores;

        multiply_panels(kernel, block.query, n_padded, block.keys + key * kernel->head_width,
                        n_keys, scores);
        mask_scores(kernel, scores, first_query, key, n_keys, n_padded);
        if (wants_scores(kernel))
            multiply_panels(kernel, block.d_out, n_padded, block.values + key * kernel->head_width,
                            n_keys, d_scores);
        add_to_sums(kernel, block, scores, d_scores, block.base + b * block_rows,
                    round_up(n_keys, PANEL), n_padded);
    }
    for (gint64 i = n_padded; i % WIDTH != 0; i++)
        block.weight[i] = 1.0f;
    if (kernel->wants_query)
        memset(block.d_query, 0, (gsize)(n_padded * kernel->stride) * sizeof(float));
    for (gint64 key = 0, b = 0; key < n_visible; key += KEY_BLOCK, b++) {
        const gint64 n_keys = MIN(KEY_BLOCK, n_visible - key), n_wide = round_up(n_keys, PANEL);
        float *softmax = block.softmax + b * block_scores;
        float *d_scores = block.d_scores + b * block_scores;

        finish_scores(kernel, block, softmax, d_scores, block.base + b * block_rows, n_wide,
                      n_padded);
        if (kernel->wants_value)
            add_product(kernel, softmax, TRUE, block.d_out, n_rows,
                        block.d_value + key * kernel->stride, n_wide);
        if (kernel->wants_key)
            add_product(kernel, d_scores, TRUE, block.query, n_rows,
                        block.d_key + key * kernel->stride, n_wide);
        if (kernel->wants_query)
            add_product(kernel, d_scores, FALSE, block.key_rows + key * kernel->stride, n_keys,
                        block.d_query, n_padded);
    }
    for (gint64 i = 0; kernel->wants_query && i < n_rows; i++)
        for (gint64 k = 0; k < kernel->head_width; k++)
            job->out[origin + i * kernel->n_channels + k] =
                block.d_query[i * kernel->stride + k] * kernel->scale;
}

/* --- tasks --- */

/* Sums of part `part` of a head over its queries: of d_key and, sums_floats behind, of d_value. */
static float *part_sums(const AttentionGradientJob *job, gint64 head, gint64 part)
{
    const AttentionGradientKernel *kernel = job->kernel;

    return (float *)job->scratch + (head * kernel->n_parts + part) * 2 * kernel->sums_floats;
}

static void pack_head(const AttentionGradientJob *job, Block block, gint64 origin)
{
    const AttentionGradientKernel *kernel = job->kernel;
    const gint64 stride = kernel->n_channels, width = kernel->head_width;

    for (gint64 i = 0; i < kernel->n_keys; i += PANEL) {
        const gint64 n = MIN(PANEL, kernel->n_keys - i);

        pack_key_panel(job->key + origin + i * stride, stride, n, width, block.keys + i * width);
        if (wants_scores(kernel))
            pack_key_panel(job->value + origin + i * stride, stride, n, width,
                           block.values + i * width);
    }
    if (kernel->wants_query)
        copy_rows(kernel, job->key + origin, 1.0f, kernel->n_keys, kernel->n_keys, block.key_rows);
}

/* Rows of the sums of one head to where they belong in the output, added up over its parts. */
static void write_sums(const AttentionGradientKernel *kernel, const float *sums, gint64 n_rows,
                       float *out)
{
    const gint64 part_floats = 2 * kernel->sums_floats;

    for (gint64 i = 0; i < n_rows; i++, sums += kernel->stride, out += kernel->n_channels)
        for (gint64 k = 0; k < kernel->head_width; k++) {
            float sum = sums[k];

            for (gint64 part = 1; part < kernel->n_parts; part++)
                sum += sums[part * part_floats + k];
            out[k] = sum;
        }
}

static void run_part(gconstpointer data, guint task, guint thread)
{
    const AttentionGradientJob *job = data;
    const AttentionGradientKernel *kernel = job->kernel;
    const gint64 head_index = task / kernel->n_parts, part = task % kernel->n_parts;
    const gint64 image = head_index / kernel->n_heads, head = head_index % kernel->n_heads;
    const gint64 end = MIN((part + 1) * kernel->queries_per_part, kernel->n_queries);
    const gint64 origin = image * kernel->n_keys * kernel->n_channels + head * kernel->head_width;
    const gsize sums_size = (gsize)kernel->sums_floats * sizeof(float);
    Block block;

    lay_out(kernel, (float *)(job->scratch + kernel->threads_at + thread * kernel->thread_size),
            &block);
    if (kernel->n_parts > 1) {
        block.d_key = part_sums(job, head_index, part);
        block.d_value = block.d_key + kernel->sums_floats;
    }
    pack_head(job, block, origin);
    if (kernel->wants_key)
        memset(block.d_key, 0, sums_size);
    if (kernel->wants_value)
        memset(block.d_value, 0, sums_size);
    for (gint64 query = part * kernel->queries_per_part; query < end;
         query += kernel->queries_per_block)
        take_queries(job, block, image, head, query, MIN(kernel->queries_per_block, end - query));
    if (kernel->n_parts > 1)
        return;
    if (kernel->wants_key)
        write_sums(kernel, block.d_key, kernel->n_keys, job->out + kernel->d_key_at + origin);
    if (kernel->wants_value)
        write_sums(kernel, block.d_value, kernel->n_keys, job->out + kernel->d_value_at + origin);
}

static void add_parts(gconstpointer data, guint task, guint thread)
{
    const AttentionGradientJob *job = data;
    const AttentionGradientKernel *kernel = job->kernel;
    const gint64 end = w2w_task_end(&kernel->sum, task);

    for (gint64 row = w2w_task_begin(&kernel->sum, task); row < end; row++)
        for (gint64 head = 0; head < kernel->n_heads; head++) {
            const gint64 image = row / kernel->n_keys;
            const gint64 at = row * kernel->n_channels + head * kernel->head_width;
            const float *sums = part_sums(job, image * kernel->n_heads + head, 0) +
                                row % kernel->n_keys * kernel->stride;

            if (kernel->wants_key)
                write_sums(kernel, sums, 1, job->out + kernel->d_key_at + at);
            if (kernel->wants_value)
                write_sums(kernel, sums + kernel->sums_floats, 1,
                           job->out + kernel->d_value_at + at);
        }
}

static void run(const W2wKernel *parent, const W2wOperands *operands)
{
    const AttentionGradientKernel *kernel = (const AttentionGradientKernel *)parent;
    const AttentionGradientJob job = {
        .kernel = kernel,
        .query = operands->in[W2W_SLOT_QUERY],
        .key = operands->in[W2W_SLOT_KEY],
        .value = operands->in[W2W_SLOT_VALUE],
        .d_out = operands->in[W2W_SLOT_ATTENTION_D_OUT],
        .out = operands->out,
        .scratch = operands->scratch,
    };
    const gint64 n_tasks = kernel->n_images * kernel->n_heads * kernel->n_parts;

    w2w_thread_pool_run(w2w_cpu_pool(parent), (guint)n_tasks, run_part, &job);
    if (kernel->n_parts > 1 && (kernel->wants_key || kernel->wants_value))
        w2w_thread_pool_run(w2w_cpu_pool(parent), kernel->sum.n_tasks, add_parts, &job);
}

static void attention_gradient_free(W2wKernel *kernel)
{
    g_free(kernel);
}

static void plan(AttentionGradientKernel *kernel)
{
    const gint64 n_heads = kernel->n_images * kernel->n_heads;
    const guint n_threads = w2w_thread_pool_get_n_threads(w2w_cpu_pool(&kernel->parent));
    const gint64 parts = CLAMP(LEAST_TASKS / n_heads, 1, MAX(kernel->n_queries / LEAST_QUERIES, 1));
    gint64 n_blocks;
    Block block;

    kernel->queries_per_part = MAX((kernel->n_queries + parts - 1) / parts, 1);
    kernel->n_parts = (kernel->n_queries + kernel->queries_per_part - 1) / kernel->queries_per_part;
    n_blocks = (kernel->queries_per_part + QUERY_BLOCK - 1) / QUERY_BLOCK;
    kernel->queries_per_block =
        round_up((kernel->queries_per_part + n_blocks - 1) / n_blocks, TILE_ROWS);
    kernel->stride = round_up(kernel->head_width, WIDTH);
    kernel->n_key_panels = (kernel->n_keys + PANEL - 1) / PANEL;
    kernel->n_key_blocks = (kernel->n_keys + KEY_BLOCK - 1) / KEY_BLOCK;
    kernel->sums_floats =
        round_up(kernel->n_key_panels * PANEL * kernel->stride, W2W_ALIGNMENT / 4);
    kernel->thread_size = (gsize)lay_out(kernel, NULL, &block) * sizeof(float);
    if (kernel->n_parts > 1)
        kernel->threads_at =
            (gsize)(n_heads * kernel->n_parts * 2 * kernel->sums_floats) * sizeof(float);
    kernel->parent.scratch_size = kernel->threads_at + n_threads * kernel->thread_size;
    kernel->sum = w2w_task_split(kernel->n_images * kernel->n_keys,
                                 kernel->n_channels * (kernel->n_parts + 1), W2W_TASK_ELEMENTS);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_attention_gradient)(W2wDevice *device, const W2wOp *op,
                                                      GError **error)
{
    const W2wShape query = op->in[W2W_SLOT_QUERY], key = op->in[W2W_SLOT_KEY];
    AttentionGradientKernel *kernel = g_new0(AttentionGradientKernel, 1);

    kernel->parent = (W2wKernel){.device = device, .run = run, .free = attention_gradient_free};
    kernel->n_images = query.n;
    kernel->n_heads = op->params.attention.n_heads;
    kernel->n_queries = (gint64)query.h * query.w;
    kernel->n_keys = (gint64)key.h * key.w;
    kernel->n_channels = query.c;
    kernel->head_width = query.c / kernel->n_heads;
    kernel->scale = op->params.attention.scale;
    kernel->causal = op->params.attention.causal;
    kernel->wants_query = op->params.attention.wanted[W2W_SLOT_QUERY];
    kernel->wants_key = op->params.attention.wanted[W2W_SLOT_KEY];
    kernel->wants_value = op->params.attention.wanted[W2W_SLOT_VALUE];
    kernel->d_key_at = kernel->wants_query ? w2w_shape_n_elements(query) : 0;
    kernel->d_value_at = kernel->d_key_at + (kernel->wants_key ? w2w_shape_n_elements(key) : 0);
    plan(kernel);
    return &kernel->parent;
}
