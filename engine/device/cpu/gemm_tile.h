/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The register tile of gemm.c: W2W_GEMM_ROWS rows × one panel of columns, summed over the depth.
 *
 * Three forms, by what the op files are compiled for:
 *  - float32: rows are read where they lie; weights are float32, or float16 converted exactly;
 *  - bfloat16 without arithmetic for it: a tile's rows are brought together and widened, weights
 *    are widened as they are read, and the tile is the one of float32;
 *  - bfloat16 by pairs (W2W_CPU_PAIRS): rows are brought together as they are, and the one step is
 *    sum += a₁ b₁ + a₀ b₀ of two neighbours in depth: the instruction vdpbf16ps. Where there is no
 *    such instruction the same source does it with what there is, to be tested everywhere.
 *
 * Register use on AVX2: 6 × 2 accumulators, 2 vectors of weights, 1 broadcast: 15 of 16. Each
 * depth step costs 12 multiply-adds and 8 loads, so the tile runs at the multiply-add units' speed
 * as long as weights come from the second level cache (64 bytes in 6 cycles).
 */
#pragma once

#include "engine/device/cpu/gemm.h"

#if defined(__F16C__) || defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#define ROWS    W2W_GEMM_ROWS
#define COLUMNS W2W_GEMM_COLUMNS
#define HALF    W2W_GEMM_HALF_PANEL
#define WIDTH   W2W_VECTOR_WIDTH

#if defined(W2W_CPU_PAIRS)

typedef w2w_element source_element;

/* HALF sums, and HALF pairs of neighbours in depth. */
typedef float tile_v __attribute__((vector_size(4 * HALF)));
typedef guint32 tile_pairs __attribute__((vector_size(4 * HALF)));
/* Sums in memory, at any float's address. */
typedef float tile_v_unaligned __attribute__((vector_size(4 * HALF), aligned(4), may_alias));

#define PANEL_STEP 2 /* in depth, which is padded with a zero */

/* By address: vectors of this size have no agreed way into a function. */
#if defined(__AVX512BF16__)
W2W_INLINE void add_products(tile_v *sum, guint32 pair, const tile_pairs *weights)
{
    *sum = (tile_v)_mm512_dpbf16_ps((__m512)*sum, (__m512bh)_mm512_set1_epi32((gint)pair),
                                    (__m512bh)*weights);
}
#else
/* sum + a · b, where numbers below 2^-126 count as 0, before and after. */
W2W_INLINE void add_product(tile_v *sum, const tile_pairs *a, const tile_pairs *b)
{
    const tile_pairs x = *a & (tile_pairs)((*a & 0x7f800000u) != 0);
    const tile_pairs y = *b & (tile_pairs)((*b & 0x7f800000u) != 0);
    const tile_pairs result = (tile_pairs)(*sum + (tile_v)x * (tile_v)y);

    *sum = (tile_v)(result & (tile_pairs)((result & 0x7f800000u) != 0));
}

/* As Intel's manual defines it: the odd ones first, each sum rounded to nearest. */
W2W_INLINE void add_products(tile_v *sum, guint32 pair, const tile_pairs *weights)
{
    const tile_pairs pairs = pair - (tile_pairs){0};
    const tile_pairs odd = pairs & 0xffff0000u, odd_weights = *weights & 0xffff0000u;
    const tile_pairs even = pairs << 16, even_weights = *weights << 16;

    add_product(sum, &odd, &odd_weights);
    add_product(sum, &even, &even_weights);
}
#endif

/* rows[i]: all of the depth, padded. `rows` and `vectors` are constants at every call. */
W2W_INLINE void accumulate(const source_element *const *pointers, gint n_taps, gint depth,
                           const void *panel, float *sums, const int rows, const int vectors,
                           const gboolean half)
{
    const guint16 *packed = panel;
    tile_v sum[ROWS][2];

#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            sum[i][j] = (tile_v){0};
    for (gint k = 0; k < depth; k += 2, packed += 2 * COLUMNS) {
        tile_pairs weights[2];

#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            memcpy(&weights[j], packed + 2 * j * HALF, sizeof weights[j]);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            guint32 pair;

            memcpy(&pair, pointers[i] + k, sizeof pair);
#pragma GCC unroll 2
            for (int j = 0; j < vectors; j++)
                add_products(&sum[i][j], pair, &weights[j]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            *(tile_v_unaligned *)(sums + i * COLUMNS + j * HALF) = sum[i][j];
}

#else /* not by pairs */

typedef float source_element;

#define PANEL_STEP 1

/* One step in depth of packed weights: float32, or 16 bits converted exactly. */
W2W_INLINE w2w_v load_weights(const void *panel, gsize at, gboolean half)
{
#if defined(W2W_CPU_BF16)
    if (half)
        return w2w_e_load((const w2w_element *)panel + at);
#elif defined(__F16C__)
    if (half)
        return (w2w_v)_mm256_cvtph_ps(
            _mm_loadu_si128((const __m128i *)((const guint16 *)panel + at)));
#endif
    return w2w_v_load((const float *)panel + at);
}

/*
 * sums[row][vector] = products over the whole depth. `rows`, `vectors` and `half` are constants at
 * every call, so that this unrolls into registers.
 */
W2W_INLINE void accumulate(const source_element *const *pointers, gint n_taps, gint n_channels,
                           const void *panel, float *sums, const int rows, const int vectors,
                           const gboolean half)
{
    w2w_v sum[ROWS][2];
    gsize at = 0;

#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            sum[i][j] = (w2w_v){0};
    for (gint tap = 0; tap < n_taps; tap++) {
        const source_element *const *row = pointers + tap * ROWS;

        for (gint k = 0; k < n_channels; k++, at += COLUMNS) {
            w2w_v weights[2];

#pragma GCC unroll 2
            for (int j = 0; j < vectors; j++)
                weights[j] = load_weights(panel, at + j * WIDTH, half);
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
                for (int j = 0; j < vectors; j++)
                    sum[i][j] += row[i][k] * weights[j];
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            w2w_v_store(sums + i * COLUMNS + j * WIDTH, sum[i][j]);
}

#endif

typedef void (*AccumulateFunc)(const source_element *const *pointers, gint n_taps, gint n_channels,
                               const void *panel, float *sums);

#define DEFINE_ACCUMULATE(rows, vectors, half)                                                     \
    static void accumulate_##rows##_##vectors##_##half(const source_element *const *pointers,      \
                                                       gint n_taps, gint n_channels,               \
                                                       const void *panel, float *sums)             \
    {                                                                                              \
        accumulate(pointers, n_taps, n_channels, panel, sums, rows, vectors, half);                \
    }
#define DEFINE_ROWS(rows)                                                                          \
    DEFINE_ACCUMULATE(rows, 1, 0)                                                                  \
    DEFINE_ACCUMULATE(rows, 2, 0)                                                                  \
    DEFINE_ACCUMULATE(rows, 1, 1)                                                                  \
    DEFINE_ACCUMULATE(rows, 2, 1)
DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)

#define LIST_ROWS(rows)                                                                            \
    {                                                                                              \
        {accumulate_##rows##_1_0, accumulate_##rows##_2_0},                                        \
        {                                                                                          \
            accumulate_##rows##_1_1, accumulate_##rows##_2_1                                       \
        }                                                                                          \
    }
/* [rows − 1][half][vectors − 1], where a vector is half of a panel's columns */
static const AccumulateFunc accumulate_funcs[ROWS][2][2] = {
    LIST_ROWS(1), LIST_ROWS(2), LIST_ROWS(3), LIST_ROWS(4), LIST_ROWS(5), LIST_ROWS(6),
};

/* --- where things lie --- */

/* Steps of a panel's depth, in elements. */
W2W_INLINE gsize padded_depth(gsize depth)
{
    return (depth + PANEL_STEP - 1) / PANEL_STEP * PANEL_STEP;
}

/* Of a column's element k within its panel. */
W2W_INLINE gsize place_in_panel(gsize k, gint column)
{
    return (k / PANEL_STEP * COLUMNS + (gsize)column) * PANEL_STEP + k % PANEL_STEP;
}

/* What a tile is summed from. */
typedef struct {
    gint n_taps, n_channels;
    const source_element *const *rows; /* [tap][ROWS] */
} Source;

#if defined(W2W_CPU_BF16)
/* Room for a thread's rows, in elements. */
static gsize thread_elements(const W2wGemmKernel *kernel)
{
    return (gsize)(kernel->depth + WIDTH) / WIDTH * WIDTH * ROWS;
}

W2W_INLINE void copy_row(const w2w_element *from, gint n, source_element *to)
{
#if defined(W2W_CPU_PAIRS)
    memcpy(to, from, (gsize)n * sizeof *to);
#else
    gint k = 0;

    for (; k + WIDTH <= n; k += WIDTH)
        w2w_v_store(to + k, w2w_e_load(from + k));
    for (; k < n; k++)
        to[k] = w2w_e_get(from[k]);
#endif
}

/* All taps of a row as one, in `memory` (thread_elements()); `rows` (ROWS) gets their addresses. */
static Source bring_together(const W2wGemmTile *tile, gint n_rows, source_element *memory,
                             const source_element **rows)
{
    const gint depth = tile->n_taps * tile->n_channels;
    const gsize n_padded = padded_depth((gsize)depth);

    for (gint i = 0; i < n_rows; i++, memory += n_padded) {
        rows[i] = memory;
        memory[n_padded - 1] = 0; /* unless the last tap has it */
        for (gint tap = 0; tap < tile->n_taps; tap++)
            copy_row(tile->rows[tap * ROWS + i], tile->n_channels,
                     memory + (gsize)tap * tile->n_channels);
    }
    return (Source){1, depth, rows};
}
#endif
