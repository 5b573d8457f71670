/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directions of attributes: least squares over the people, d = P⁺ y, and how far the
 * people's scores d·(c − m) reach. In double throughout.
 *
 * P⁺ is the space's own pinverse_1000pc.pt where it has one, whose directions are then those
 * of the original to the last digits, and cost one walk over the file instead of the 3·10¹⁰
 * multiplications of the normal equations. Without it these are solved: d = (PᵀP)⁻¹ Pᵀ y.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/linear_algebra.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* Rows of proj at a time: 1,000 components of them fit a second-level cache. */
#define BLOCK_ROWS 128

/* What is added to the scaled normal equations' diagonal where components depend on each other. */
#define RIDGE 1e-6

/* h is half of the distance between these quantiles of the people's scores. */
#define LOW_QUANTILE  0.005
#define HIGH_QUANTILE 0.995

/* How far, as a part of its length, P P⁺ P x may be from P x: float32 of an ill-conditioned P. */
#define MAX_PINVERSE_ERROR 1e-2

/* A file of the right shape may still be of other people: a pseudo-inverse has P P⁺ P = P. */
static gboolean check_pinverse(const W2wSpace *space, double *of_people, double *of_components,
                               GError **error)
{
    const guint n = space->n_with_statistics;
    const gsize m = (gsize)space->n_people;
    double difference = 0.0, length = 0.0;

    for (guint j = 0; j < n; j++) /* any mixture of all components does */
        of_components[j] = 1.0 + sin((double)j);
    w2w_matrix_multiply(space->projections, of_components, n, of_people);
    w2w_matrix_multiply(space->pinverse, of_people, space->n_people, of_components);
    w2w_matrix_multiply(space->projections, of_components, n, of_people + m);
    for (gsize i = 0; i < m; i++) {
        difference += pow(of_people[m + i] - of_people[i], 2);
        length += pow(of_people[i], 2);
    }
    if (difference <= MAX_PINVERSE_ERROR * MAX_PINVERSE_ERROR * length)
        return TRUE;
    return w2w_space_fail(space, W2W_SPACE_PINVERSE, W2W_ERROR_MISMATCH, error,
                          "is not the pseudo-inverse of %s beside it. Without it, the directions "
                          "are computed anew.",
                          w2w_space_part_name(space, W2W_SPACE_PROJECTIONS));
}

/* directions (n_attributes, n) = P⁺ y of every attribute */
static gboolean multiply_pinverse(const W2wSpace *space, double *directions, GError **error)
{
    const guint n = space->n_with_statistics;
    W2W_AUTO_ALIGNED double *of_components =
        w2w_aligned_alloc(n, sizeof *of_components, "the directions", error);
    W2W_AUTO_ALIGNED double *of_people = NULL; /* two rows */

    if (of_components == NULL)
        return FALSE;
    of_people =
        w2w_aligned_alloc((gsize)space->n_people, 2 * sizeof *of_people, "the directions", error);
    if (of_people == NULL || !check_pinverse(space, of_people, of_components, error))
        return FALSE;
    for (guint a = 0; a < space->people->labels->len; a++) {
        const gint8 *labels = space->people->labels->pdata[a];

        for (gint64 i = 0; i < space->n_people; i++)
            of_people[i] = labels[i];
        w2w_matrix_multiply(space->pinverse, of_people, space->n_people, directions + (gsize)a * n);
    }
    return TRUE;
}

/* gram (n, n) += PᵀP, lower triangle; right (n_attributes, n) = Pᵀ y of every attribute. */
static void add_normal_equations(const W2wSpace *space, double *rows, double *gram, double *right)
{
    const guint n = space->n_with_statistics;

    for (gint64 first = 0; first < space->n_people; first += BLOCK_ROWS) {
        const gint64 n_rows = MIN(BLOCK_ROWS, space->n_people - first);

        w2w_matrix_read_rows(space->projections, first, n_rows, rows);
        w2w_matrix_add_gram(rows, n_rows, n, gram);
        for (guint a = 0; a < space->people->labels->len; a++) {
            const gint8 *labels = space->people->labels->pdata[a];
            double *sum = right + (gsize)a * n;

            for (gint64 r = 0; r < n_rows; r++)
                for (guint j = 0; j < n; j++)
                    sum[j] += labels[first + r] * rows[(gsize)r * n + j];
        }
    }
}

/* Solves for all attributes in place: `right` becomes the directions. */
static gboolean solve_directions(const W2wSpace *space, const double *gram, double *right,
                                 GError **error)
{
    const guint n = space->n_with_statistics;
    g_autoptr(GError) local = NULL;
    guint dependent;
    g_autoptr(W2wCholesky) cholesky = w2w_cholesky_new(gram, n, 0.0, &dependent, &local);

    /* Fewer people than components, or a component that nobody has: the ridge decides. */
    if (cholesky == NULL && local == NULL)
        cholesky = w2w_cholesky_new(gram, n, RIDGE, &dependent, &local);
    if (local != NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if (cholesky == NULL)
        return w2w_space_fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_FORMAT, error,
                              "holds coefficients so far out of range that no directions can be "
                              "computed of them.");
    for (guint a = 0; a < space->people->labels->len; a++)
        w2w_cholesky_solve(cholesky, right + (gsize)a * n);
    return TRUE;
}

static int compare_doubles(const void *first, const void *second)
{
    const double a = *(const double *)first, b = *(const double *)second;

    return (a > b) - (a < b);
}

/* Linear interpolation between neighbours, as NumPy's and torch's quantile. */
static double quantile(const double *sorted, gint64 n, double part)
{
    const double position = part * (double)(n - 1);
    const gint64 below = (gint64)floor(position);
    const double fraction = position - (double)below;

    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + fraction * (sorted[below + 1] - sorted[below]);
}

/* scores (n_directions, n_people) of everybody; `rows` is room for a block. */
static void compute_scores(const W2wSpace *space, const double *directions, guint n_directions,
                           double *rows, double *scores)
{
    const guint n = space->n_with_statistics;

    for (gint64 first = 0; first < space->n_people; first += BLOCK_ROWS) {
        const gint64 n_rows = MIN(BLOCK_ROWS, space->n_people - first);

        w2w_matrix_read_rows(space->projections, first, n_rows, rows);
        for (gint64 r = 0; r < n_rows; r++) {
            double *row = rows + (gsize)r * n;

            for (guint j = 0; j < n; j++)
                row[j] -= space->coefficient_mean[j];
            for (guint a = 0; a < n_directions; a++)
                scores[a * space->n_people + first + r] =
                    w2w_dot(row, directions + (gsize)a * n, n);
        }
    }
}

/* directions (n_attributes, n), zeros before, without pinverse; `rows` is room for a block. */
static gboolean solve_normal_equations(const W2wSpace *space, double *rows, double *directions,
                                       GError **error)
{
    const guint n = space->n_with_statistics;
    W2W_AUTO_ALIGNED double *gram =
        w2w_aligned_alloc0((gsize)n * n, sizeof *gram, "the directions", error);

    if (gram == NULL)
        return FALSE;
    add_normal_equations(space, rows, gram, directions);
    return solve_directions(space, gram, directions, error);
}

/* Sorts the scores. */
static W2wScoreRange measure(double *scores, gint64 n_people)
{
    qsort(scores, (size_t)n_people, sizeof(double), compare_doubles);
    return (W2wScoreRange){.half_range = (quantile(scores, n_people, HIGH_QUANTILE) -
                                          quantile(scores, n_people, LOW_QUANTILE)) /
                                         2.0,
                           .min = scores[0],
                           .max = scores[n_people - 1]};
}

gboolean w2w_space_measure_scores(const W2wSpace *space, const double *direction,
                                  W2wScoreRange *range, GError **error)
{
    W2W_AUTO_ALIGNED double *scores = NULL;
    W2W_AUTO_ALIGNED double *rows =
        w2w_aligned_alloc((gsize)MIN(BLOCK_ROWS, space->n_people) * space->n_with_statistics,
                          sizeof *rows, "a direction", error);

    if (rows == NULL)
        return FALSE;
    scores = w2w_aligned_alloc((gsize)space->n_people, sizeof *scores, "a direction", error);
    if (scores == NULL)
        return FALSE;
    compute_scores(space, direction, 1, rows, scores);
    *range = measure(scores, space->n_people);
    return TRUE;
}

gboolean w2w_space_fit_directions(W2wSpace *space, GError **error)
{
    const guint n = space->n_with_statistics, n_attributes = space->people->labels->len;
    W2W_AUTO_ALIGNED double *rows = NULL;
    W2W_AUTO_ALIGNED double *scores = NULL;
    W2W_AUTO_ALIGNED double *directions = NULL;

    if (space->directions != NULL)
        return TRUE;
    rows = w2w_aligned_alloc((gsize)MIN(BLOCK_ROWS, space->n_people) * n, sizeof *rows,
                             "the directions", error);
    if (rows == NULL)
        return FALSE;
    directions =
        w2w_aligned_alloc0((gsize)n_attributes * n, sizeof *directions, "the directions", error);
    if (directions == NULL)
        return FALSE;
    scores = w2w_aligned_alloc((gsize)n_attributes * (gsize)space->n_people, sizeof *scores,
                               "the people's scores", error);
    if (scores == NULL)
        return FALSE;
    if (space->pinverse != NULL ? !multiply_pinverse(space, directions, error)
                                : !solve_normal_equations(space, rows, directions, error))
        return FALSE;
    compute_scores(space, directions, n_attributes, rows, scores);
    space->ranges =
        w2w_try_malloc0(n_attributes, sizeof *space->ranges, "the attributes' ranges", error);
    if (space->ranges == NULL)
        return FALSE;
    for (guint a = 0; a < n_attributes; a++)
        space->ranges[a] = measure(scores + a * space->n_people, space->n_people);
    space->directions = g_steal_pointer(&directions);
    return TRUE;
}

/* The direction, and its range where that is asked for. */
static const double *look_up(W2wSpace *space, const char *name, W2wScoreRange *range,
                             GError **error)
{
    const gint i = w2w_space_find_attribute(space, name);
    gboolean is_there = FALSE;
    const double *direction;

    if (i < 0) {
        direction = w2w_space_find_added(space, name, range, &is_there, error);
        if (!is_there)
            w2w_space_fail_unknown(space, name, error);
        return direction;
    }
    if (!w2w_space_fit_directions(space, error))
        return NULL;
    if (range != NULL)
        *range = space->ranges[i];
    return space->directions + (gsize)i * space->n_with_statistics;
}

const double *w2w_space_get_direction(W2wSpace *space, const char *name, GError **error)
{
    return look_up(space, name, NULL, error);
}

gboolean w2w_space_get_score_range(W2wSpace *space, const char *name, W2wScoreRange *range,
                                   GError **error)
{
    return look_up(space, name, range, error) != NULL;
}

gboolean w2w_direction_debias(double *direction, guint n, const double *const *others,
                              guint n_others, GError **error)
{
    g_autofree double *gram =
        w2w_try_malloc0((gsize)n_others * n_others, sizeof(double), "protected directions", error);
    g_autofree double *parts =
        gram != NULL ? w2w_try_malloc(n_others, sizeof(double), "protected directions", error)
                     : NULL;
    g_autoptr(W2wCholesky) cholesky = NULL;
    guint dependent = 0;

    if (parts == NULL)
        return FALSE;
    if (n_others == 0)
        return TRUE;
    for (guint i = 0; i < n_others; i++) {
        for (guint j = 0; j <= i; j++)
            gram[(gsize)i * n_others + j] = w2w_dot(others[i], others[j], n);
        parts[i] = w2w_dot(others[i], direction, n);
    }
    cholesky = w2w_cholesky_new(gram, n_others, 0.0, &dependent, error);
    if (cholesky == NULL) {
        if (error == NULL || *error == NULL)
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The protected direction %u depends on those before it.", dependent + 1);
        return FALSE;
    }
    w2w_cholesky_solve(cholesky, parts);
    for (guint i = 0; i < n_others; i++)
        for (guint j = 0; j < n; j++)
            direction[j] -= parts[i] * others[i][j];
    return TRUE;
}
