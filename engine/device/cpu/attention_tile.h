/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What attention and its gradient are built of: panels of keys, and a register tile that
 * multiplies with them.
 */
#pragma once

#include "engine/device/cpu/vector.h"

#define WIDTH     W2W_VECTOR_WIDTH
#define TILE_ROWS 6           /* × 2 vectors: 12 sums in registers, as many as 16 allow */
#define WIDE_ROWS 4           /* × 3 vectors, for what is left of an odd number of them */
#define PANEL     (2 * WIDTH) /* keys side by side */

static inline gint64 round_up(gint64 value, gint64 step)
{
    return (value + step - 1) / step * step;
}

/* Vectors of the tile of columns that starts at vector `at`: pairs, but three at the end rather
 * than one. */
static inline gint64 tile_vectors(gint64 at, gint64 n_vectors)
{
    return n_vectors - at == 3 ? 3 : MIN(n_vectors - at, 2);
}

/* panel[k][i] = key i's element k; zeros beyond the last key. */
static inline void pack_key_panel(const w2w_element *key, gint64 stride, gint64 n_keys,
                                  gint64 width, float *panel)
{
    for (gint64 i = 0; i < n_keys; i++, key += stride)
        for (gint64 k = 0; k < width; k++)
            panel[k * PANEL + i] = w2w_e_get(key[k]);
    for (gint64 k = 0; n_keys < PANEL && k < width; k++)
        memset(panel + k * PANEL + n_keys, 0, (gsize)(PANEL - n_keys) * sizeof(float));
}

/*
 * sum[i][j] = Σ_k a[i · a_row + k · a_depth] · b[k · b_depth + j], `vectors` vectors j wide. rows
 * and vectors are constants at every call, so that this unrolls into registers.
 */
W2W_INLINE void multiply(const float *a, gint64 a_row, gint64 a_depth, const float *b,
                         gint64 b_depth, gint64 depth, w2w_v sum[TILE_ROWS][3], const int rows,
                         const int vectors)
{
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++)
            sum[i][j] = (w2w_v){0};
    for (gint64 k = 0; k < depth; k++, a += a_depth, b += b_depth) {
        w2w_v row[3];

#pragma GCC unroll 3
        for (int j = 0; j < vectors; j++)
            row[j] = w2w_v_load(b + j * WIDTH);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
            for (int j = 0; j < vectors; j++)
                sum[i][j] += a[i * a_row] * row[j];
    }
}
