/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cholesky's factorisation, row by row: its inner loop is a dot product of two rows. */
#include "engine/w2w/linear_algebra.h"

#include <math.h>

#include "engine/memory.h"

struct _W2wCholesky {
    guint n;
    double *factor; /* (n, n), lower triangle */
    double *scale;  /* (n) */
};

double w2w_dot(const double *a, const double *b, guint n)
{
    double sum[4] = {0.0, 0.0, 0.0, 0.0};
    guint i = 0;

    for (; i + 4 <= n; i += 4)
        for (guint lane = 0; lane < 4; lane++)
            sum[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* FALSE where a pivot is too small: *dependent is its row. */
static gboolean factorise(W2wCholesky *cholesky, const double *matrix, double ridge,
                          guint *dependent)
{
    const guint n = cholesky->n;

    for (guint i = 0; i < n; i++) {
        const double diagonal = matrix[(gsize)i * n + i];

        /* A row of zeros is dependent too, unless the ridge carries it. */
        cholesky->scale[i] = diagonal > 0.0 ? 1.0 / sqrt(diagonal) : 0.0;
        if (!isfinite(cholesky->scale[i]))
            cholesky->scale[i] = 0.0;
    }
    for (guint i = 0; i < n; i++) {
        double *row = cholesky->factor + (gsize)i * n;

        for (guint j = 0; j <= i; j++) {
            const double *other = cholesky->factor + (gsize)j * n;
            double rest = cholesky->scale[i] * matrix[(gsize)i * n + j] * cholesky->scale[j];

            if (j < i) {
                row[j] = (rest - w2w_dot(row, other, j)) / other[j];
                continue;
            }
            rest += ridge - w2w_dot(row, row, i);
            if (!(rest > W2W_CHOLESKY_MIN_PIVOT)) {
                *dependent = i;
                return FALSE;
            }
            row[i] = sqrt(rest);
        }
    }
    return TRUE;
}

W2wCholesky *w2w_cholesky_new(const double *matrix, guint n, double ridge, guint *dependent,
                              GError **error)
{
    g_autoptr(W2wCholesky) cholesky = g_new0(W2wCholesky, 1);

    cholesky->n = n;
    cholesky->factor = w2w_aligned_alloc((gsize)n * n, sizeof(double), "a linear system", error);
    if (cholesky->factor == NULL)
        return NULL;
    cholesky->scale = w2w_aligned_alloc(n, sizeof(double), "a linear system", error);
    if (cholesky->scale == NULL || !factorise(cholesky, matrix, ridge, dependent))
        return NULL;
    return g_steal_pointer(&cholesky);
}

void w2w_cholesky_free(W2wCholesky *cholesky)
{
    if (cholesky == NULL)
        return;
    w2w_aligned_free(cholesky->factor);
    w2w_aligned_free(cholesky->scale);
    g_free(cholesky);
}

void w2w_cholesky_solve(const W2wCholesky *cholesky, double *x)
{
    const guint n = cholesky->n;

    for (guint i = 0; i < n; i++) {
        const double *row = cholesky->factor + (gsize)i * n;

        x[i] = (cholesky->scale[i] * x[i] - w2w_dot(row, x, i)) / row[i];
    }
    for (guint i = n; i-- > 0;) {
        const double *row = cholesky->factor + (gsize)i * n;

        x[i] /= row[i];
        for (guint j = 0; j < i; j++)
            x[j] -= row[j] * x[i];
    }
    for (guint i = 0; i < n; i++)
        x[i] *= cholesky->scale[i];
}
