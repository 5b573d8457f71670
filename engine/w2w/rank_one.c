/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * With y an eigenvector of (A Aᵀ)(Bᵀ B), of the eigenvalue σ², Aᵀ(Bᵀ B) y points along v and
 * B (A v) along u. Power iteration in the few numbers of y: where two singular values are so near
 * to each other that it does not end, either product is as good as the other.
 */
#include "engine/w2w/rank_one.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

#define MAX_ITERATIONS 20000
/* Of y's direction, from one step to the next. */
#define TOLERANCE 1e-15

void w2w_rank_one_clear(W2wRankOne *found)
{
    w2w_aligned_free(found->u);
    w2w_aligned_free(found->v);
    *found = (W2wRankOne){0};
}

static double normalise(double *x, gsize n)
{
    double largest = 0.0, sum = 0.0;

    for (gsize i = 0; i < n; i++)
        largest = MAX(largest, fabs(x[i]));
    if (!(largest > 0.0))
        return 0.0;
    for (gsize i = 0; i < n; i++) /* squares of tiny factors would vanish */
        sum += (x[i] / largest) * (x[i] / largest);
    sum = largest * sqrt(sum);
    for (gsize i = 0; i < n; i++)
        x[i] /= sum;
    return sum;
}

/* Vectors of n numbers at `stride`, element step `step`: gram[i][j] = sum of their products. */
static void make_gram(const double *values, guint rank, gsize n, gsize stride, gsize step,
                      double *gram)
{
    for (guint i = 0; i < rank; i++) {
        for (guint j = 0; j <= i; j++) {
            double sum = 0.0;

            for (gsize k = 0; k < n; k++)
                sum += values[i * stride + k * step] * values[j * stride + k * step];
            gram[(gsize)i * rank + j] = gram[(gsize)j * rank + i] = sum;
        }
    }
}

static void multiply(const double *matrix, guint rank, const double *x, double *y)
{
    for (guint i = 0; i < rank; i++) {
        y[i] = 0.0;
        for (guint j = 0; j < rank; j++)
            y[i] += matrix[(gsize)i * rank + j] * x[j];
    }
}

/* y: the leading eigenvector of gram_a · gram_b. `work` (2 rank). */
static void iterate(const double *gram_a, const double *gram_b, guint rank, double *y, double *work)
{
    double *next = work + rank;

    for (guint i = 0; i < rank; i++) /* orthogonal to nothing that a file is likely to hold */
        y[i] = 1.0 + fmod(0.6180339887498949 * (i + 1), 1.0);
    normalise(y, rank);
    for (guint step = 0; step < MAX_ITERATIONS; step++) {
        double change = 0.0;

        multiply(gram_b, rank, y, work);
        multiply(gram_a, rank, work, next);
        if (normalise(next, rank) == 0.0)
            return;
        for (guint i = 0; i < rank; i++)
            change = MAX(change, fabs(next[i] - y[i]));
        memcpy(y, next, rank * sizeof *y);
        if (change < TOLERANCE)
            return;
    }
}

/* v = Aᵀ(Bᵀ B) y, u = B (A v), each made of length 1; sigma = |B (A v)|. */
static void find_vectors(const double *a, const double *b, const double *gram_b, guint rank,
                         const double *y, double *work, W2wRankOne *found)
{
    multiply(gram_b, rank, y, work);
    for (gint64 i = 0; i < found->n_in; i++) {
        found->v[i] = 0.0;
        for (guint r = 0; r < rank; r++)
            found->v[i] += a[(gint64)r * found->n_in + i] * work[r];
    }
    normalise(found->v, (gsize)found->n_in);
    for (guint r = 0; r < rank; r++) {
        work[r] = 0.0;
        for (gint64 i = 0; i < found->n_in; i++)
            work[r] += a[(gint64)r * found->n_in + i] * found->v[i];
    }
    for (gint64 o = 0; o < found->n_out; o++) {
        found->u[o] = 0.0;
        for (guint r = 0; r < rank; r++)
            found->u[o] += b[o * rank + r] * work[r];
    }
    found->sigma = normalise(found->u, (gsize)found->n_out);
}

static gboolean find_of_rank_one(const double *a, const double *b, W2wRankOne *found)
{
    memcpy(found->v, a, (gsize)found->n_in * sizeof *a);
    memcpy(found->u, b, (gsize)found->n_out * sizeof *b);
    found->sigma =
        normalise(found->v, (gsize)found->n_in) * normalise(found->u, (gsize)found->n_out);
    found->norm = found->sigma;
    return TRUE;
}

static gboolean find_of_any_rank(const double *a, const double *b, guint rank, W2wRankOne *found,
                                 GError **error)
{
    const gsize n_gram = (gsize)rank * rank;
    W2W_AUTO_ALIGNED double *work =
        w2w_aligned_alloc(2 * n_gram + 3 * rank, sizeof *work, "a LoRA's small matrices", error);
    double *gram_b, *y, sum = 0.0;

    if (work == NULL)
        return FALSE;
    gram_b = work + n_gram;
    y = gram_b + n_gram;
    make_gram(a, rank, (gsize)found->n_in, (gsize)found->n_in, 1, work);
    make_gram(b, rank, (gsize)found->n_out, 1, rank, gram_b);
    for (gsize i = 0; i < n_gram; i++)
        sum += work[i] * gram_b[i];
    found->norm = sqrt(MAX(sum, 0.0));
    iterate(work, gram_b, rank, y, y + rank);
    find_vectors(a, b, gram_b, rank, y, y + rank, found);
    found->outside = sqrt(MAX(sum - found->sigma * found->sigma, 0.0));
    return TRUE;
}

gboolean w2w_rank_one_find(const W2wLoraModule *module, W2wRankOne *found, GError **error)
{
    g_auto(W2wRankOne)
        result = {.n_in = module->a->n_elements / module->rank, .n_out = module->b->shape[0]};
    W2W_AUTO_ALIGNED double *a =
        w2w_aligned_alloc((gsize)module->a->n_elements, sizeof *a, "a LoRA's factor", error);
    W2W_AUTO_ALIGNED double *b = NULL;

    if (a == NULL)
        return FALSE;
    b = w2w_aligned_alloc((gsize)module->b->n_elements, sizeof *b, "a LoRA's factor", error);
    if (b == NULL)
        return FALSE;
    result.u = w2w_aligned_alloc0((gsize)result.n_out, sizeof(double), "a LoRA's factor", error);
    if (result.u == NULL)
        return FALSE;
    result.v = w2w_aligned_alloc0((gsize)result.n_in, sizeof(double), "a LoRA's factor", error);
    if (result.v == NULL)
        return FALSE;
    w2w_array_to_f64(module->a, a);
    w2w_array_to_f64(module->b, b);
    if (!(module->rank == 1 ? find_of_rank_one(a, b, &result)
                            : find_of_any_rank(a, b, module->rank, &result, error)))
        return FALSE;
    if (module->scale < 0.0)
        for (gint64 o = 0; o < result.n_out; o++)
            result.u[o] = -result.u[o];
    result.sigma *= fabs(module->scale);
    result.norm *= fabs(module->scale);
    result.outside *= fabs(module->scale);
    if (!isfinite(result.norm)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "The LoRA's factors of %s give numbers that are far out of range.",
                    module->path);
        return FALSE;
    }
    *found = result;
    result = (W2wRankOne){0};
    return TRUE;
}
