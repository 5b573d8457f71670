/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sums of x and x² of every channel over many rows, for the mean and the variance of groups of
 * channels (group norm and its gradient).
 *
 * They are summed per channel and block of rows in float, about a shift near the block's mean,
 * then moved to zero and added up in double: a small variance beside a large mean survives, and so
 * does a very quiet input beside eps. The blocks are the same however the work is cut.
 */
#pragma once

#include "engine/device/cpu/vector.h"

#define W2W_BLOCK_ROWS       64
#define W2W_FIRST_SHIFT_ROWS 8

/* Of some channels: sums of x and x², and the current shift. */
typedef struct {
    double *sum, *squares;
    float *shift;
} W2wMoments;

/* Bytes that they take for each channel. */
#define W2W_MOMENTS_BYTES (2 * sizeof(double) + sizeof(float))

/* In memory that is aligned for doubles. */
W2W_INLINE W2wMoments w2w_moments_at(void *memory, gint64 n_channels)
{
    double *sum = memory;

    return (W2wMoments){sum, sum + n_channels, (float *)(sum + 2 * n_channels)};
}

/* Sums of d = x − shift and d² over the rows of a block, of n_vectors · width channels. */
W2W_INLINE void w2w_block_moments(const w2w_element *x, gint64 stride, gint64 n_rows,
                                  const float *shift, float *sum, float *squares,
                                  const int n_vectors)
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
W2W_INLINE void w2w_block_moments_rest(const w2w_element *x, gint64 stride, gint64 n_rows,
                                       const float *shift, float *sum, float *squares,
                                       gint64 n_channels)
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
W2W_INLINE void w2w_add_block(W2wMoments moments, gint64 at, gint64 n_channels, gint64 n_rows,
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

W2W_INLINE void w2w_add_scaled(const w2w_element *restrict x, float scale, float *restrict to,
                               gint64 n)
{
    for (gint64 i = 0; i < n; i++)
        to[i] += w2w_e_get(x[i]) * scale;
}

/* Sums over some rows of some channels, from nothing. */
static inline void w2w_sum_moments(const w2w_element *x, gint64 stride, gint64 n_rows,
                                   gint64 n_channels, W2wMoments moments)
{
    const gint64 n_first = MIN(n_rows, W2W_FIRST_SHIFT_ROWS);

    memset(moments.sum, 0, (gsize)n_channels * sizeof(double));
    memset(moments.squares, 0, (gsize)n_channels * sizeof(double));
    memset(moments.shift, 0, (gsize)n_channels * sizeof(float));
    for (gint64 row = 0; row < n_first; row++)
        w2w_add_scaled(x + row * stride, 1.0f / (float)n_first, moments.shift, n_channels);

    for (gint64 begin = 0; begin < n_rows; begin += W2W_BLOCK_ROWS) {
        const gint64 n = MIN(W2W_BLOCK_ROWS, n_rows - begin);
        const w2w_element *block = x + begin * stride;
        float sum[4 * W2W_VECTOR_WIDTH], squares[4 * W2W_VECTOR_WIDTH];
        gint64 i = 0;

        for (; i + 4 * W2W_VECTOR_WIDTH <= n_channels; i += 4 * W2W_VECTOR_WIDTH) {
            w2w_block_moments(block + i, stride, n, moments.shift + i, sum, squares, 4);
            w2w_add_block(moments, i, 4 * W2W_VECTOR_WIDTH, n, sum, squares);
        }
        for (; i + 2 * W2W_VECTOR_WIDTH <= n_channels; i += 2 * W2W_VECTOR_WIDTH) {
            w2w_block_moments(block + i, stride, n, moments.shift + i, sum, squares, 2);
            w2w_add_block(moments, i, 2 * W2W_VECTOR_WIDTH, n, sum, squares);
        }
        for (; i + W2W_VECTOR_WIDTH <= n_channels; i += W2W_VECTOR_WIDTH) {
            w2w_block_moments(block + i, stride, n, moments.shift + i, sum, squares, 1);
            w2w_add_block(moments, i, W2W_VECTOR_WIDTH, n, sum, squares);
        }
        if (i < n_channels) {
            w2w_block_moments_rest(block + i, stride, n, moments.shift + i, sum, squares,
                                   n_channels - i);
            w2w_add_block(moments, i, n_channels - i, n, sum, squares);
        }
    }
}
