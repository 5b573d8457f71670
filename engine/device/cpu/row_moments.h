/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mean and variance of a row, for layer norm and its gradient.
 *
 * Mean first, then squared distances from it: one pass that sums squares would lose a small
 * variance beside a large mean. What rounding left of the mean shows up as the mean of those
 * distances, and is told as well.
 */
#pragma once

#include <math.h>

#include "engine/device/cpu/vector.h"

typedef struct {
    float mean;        /* rounded */
    double rest;       /* of the mean */
    double reciprocal; /* 1 / sqrt(variance + eps) */
} W2wRowStatistics;

static inline double w2w_row_sum(const w2w_element *x, gint64 n)
{
    w2w_v sum[4] = {{0}};
    double total;
    gint64 i = 0;

    for (; i + 4 * W2W_VECTOR_WIDTH <= n; i += 4 * W2W_VECTOR_WIDTH)
        for (int j = 0; j < 4; j++)
            sum[j] += w2w_e_load(x + i + j * W2W_VECTOR_WIDTH);
    for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH)
        sum[0] += w2w_e_load(x + i);
    total = w2w_v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < n; i++)
        total += w2w_e_get(x[i]);
    return total;
}

/* Sums of x − mean and of its square. */
static inline void w2w_row_moments(const w2w_element *x, gint64 n, float mean, double *first,
                                   double *second)
{
    w2w_v sum[4] = {{0}}, squares[4] = {{0}};
    gint64 i = 0;

    for (; i + 4 * W2W_VECTOR_WIDTH <= n; i += 4 * W2W_VECTOR_WIDTH)
        for (int j = 0; j < 4; j++) {
            const w2w_v d = w2w_e_load(x + i + j * W2W_VECTOR_WIDTH) - mean;

            sum[j] += d;
            squares[j] += d * d;
        }
    for (; i + W2W_VECTOR_WIDTH <= n; i += W2W_VECTOR_WIDTH) {
        const w2w_v d = w2w_e_load(x + i) - mean;

        sum[0] += d;
        squares[0] += d * d;
    }
    *first = w2w_v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    *second = w2w_v_sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
    for (; i < n; i++) {
        const float d = w2w_e_get(x[i]) - mean;

        *first += d;
        *second += d * d;
    }
}

static inline W2wRowStatistics w2w_row_statistics(const w2w_element *x, gint64 n, double eps)
{
    W2wRowStatistics statistics = {.mean = (float)(w2w_row_sum(x, n) / (double)n)};
    double first, second;

    w2w_row_moments(x, n, statistics.mean, &first, &second);
    statistics.rest = first / (double)n;
    statistics.reciprocal =
        1.0 / sqrt(MAX(second / (double)n - statistics.rest * statistics.rest, 0.0) + eps);
    return statistics;
}
