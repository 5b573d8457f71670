/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What edits change: population edits and the paper's euclidean ones (DESIGN's mathematics). */
#include "engine/w2w/edit.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/linear_algebra.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* Rows of proj at a time. */
#define BLOCK_ROWS 128

/* Edits with names looked up, settings of 0 left out. */
typedef struct {
    W2wSpace *space;
    guint n;            /* components with statistics */
    GPtrArray *names;   /* of rows of Q, for messages; owned strings */
    GPtrArray *q;       /* double (n) each: touched attributes, components, protected attributes */
    GArray *targets;    /* double: what each row's score moves by; 0 for the protected */
    guint n_attributes; /* rows of touched attributes: the first ones */
    guint n_set;        /* and of components: after them */
    GArray *settings;   /* double, of the n_set rows */
    gpointer axes;      /* the components' unit vectors; owned */
} Constraints;

static void clear_constraints(Constraints *constraints)
{
    g_clear_pointer(&constraints->names, g_ptr_array_unref);
    g_clear_pointer(&constraints->q, g_ptr_array_unref);
    g_clear_pointer(&constraints->targets, g_array_unref);
    g_clear_pointer(&constraints->settings, g_array_unref);
    w2w_aligned_free(constraints->axes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Constraints, clear_constraints)

static void add_row(Constraints *constraints, char *name, const double *direction, double target)
{
    g_ptr_array_add(constraints->names, name);
    g_ptr_array_add(constraints->q, (gpointer)direction);
    g_array_append_val(constraints->targets, target);
}

static gboolean is_set(const W2wEdits *edits, const char *name)
{
    for (guint i = 0; i < edits->directions->len; i++) {
        const W2wDirectionSetting *setting =
            &g_array_index(edits->directions, W2wDirectionSetting, i);

        if (setting->setting != 0.0 && g_str_equal(setting->name, name))
            return TRUE;
    }
    return FALSE;
}

static gboolean add_attributes(Constraints *constraints, const W2wEdits *edits, GError **error)
{
    for (guint i = 0; i < edits->directions->len; i++) {
        const W2wDirectionSetting *setting =
            &g_array_index(edits->directions, W2wDirectionSetting, i);
        const double *direction = w2w_space_get_direction(constraints->space, setting->name, error);
        W2wScoreRange range;

        if (direction == NULL ||
            !w2w_space_get_score_range(constraints->space, setting->name, &range, error))
            return FALSE;
        if (setting->setting == 0.0)
            continue;
        add_row(constraints, g_strdup(setting->name), direction,
                setting->setting * range.half_range);
        g_array_append_val(constraints->settings, setting->setting);
    }
    constraints->n_attributes = constraints->q->len;
    return TRUE;
}

static gboolean add_components(Constraints *constraints, const W2wEdits *edits, GError **error)
{
    const guint n = constraints->n;
    double *axes = w2w_aligned_alloc0((gsize)edits->components->len * n, sizeof *axes,
                                      "the components of an edit", error);

    constraints->axes = axes;
    if (axes == NULL)
        return FALSE;
    for (guint i = 0; i < edits->components->len; i++) {
        const W2wComponentSetting *setting =
            &g_array_index(edits->components, W2wComponentSetting, i);

        if (setting->component >= n) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "There is no component %u to edit: %s has statistics of the first %u only.",
                        setting->component + 1, constraints->space->directory, n);
            return FALSE;
        }
        if (setting->setting == 0.0)
            continue;
        axes[(gsize)i * n + setting->component] = 1.0;
        add_row(constraints, g_strdup_printf("#%u", setting->component + 1), axes + (gsize)i * n,
                setting->setting * constraints->space->coefficient_std[setting->component]);
        g_array_append_val(constraints->settings, setting->setting);
    }
    constraints->n_set = constraints->q->len;
    return TRUE;
}

static gboolean add_protected(Constraints *constraints, const W2wEdits *edits, GError **error)
{
    for (guint i = 0; i < edits->protect->len; i++) {
        const char *name = edits->protect->pdata[i];
        const double *direction = w2w_space_get_direction(constraints->space, name, error);

        if (direction == NULL)
            return FALSE;
        if (is_set(edits, name)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "“%s” is both set and protected; it can be only one of them.", name);
            return FALSE;
        }
        add_row(constraints, g_strdup(name), direction, 0.0);
    }
    return TRUE;
}

static gboolean collect(Constraints *constraints, const W2wEdits *edits, GError **error)
{
    constraints->names = g_ptr_array_new_with_free_func(g_free);
    constraints->q = g_ptr_array_new();
    constraints->targets = g_array_new(FALSE, FALSE, sizeof(double));
    constraints->settings = g_array_new(FALSE, FALSE, sizeof(double));
    return w2w_space_require_people(constraints->space, "Editing", error) &&
           add_attributes(constraints, edits, error) && add_components(constraints, edits, error) &&
           add_protected(constraints, edits, error);
}

static gboolean fail_dependent(const Constraints *constraints, guint row, GError **error)
{
    g_autoptr(GString) before = g_string_new(NULL);

    for (guint i = 0; i < row; i++)
        g_string_append_printf(before, "%s%s", i > 0 ? ", " : "",
                               (const char *)constraints->names->pdata[i]);
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "“%s” cannot be moved or held apart from %s in this space: leave one of them out.",
                (const char *)constraints->names->pdata[row],
                row > 0 ? before->str : "the mean person");
    return FALSE;
}

/* delta = S Q (Qᵀ S Q)⁻¹ t */
static gboolean change_population(const Constraints *constraints, double *delta, GError **error)
{
    const guint n = constraints->n, n_rows = constraints->q->len;
    const double *deviation = constraints->space->coefficient_std;
    W2W_AUTO_ALIGNED double *scaled = NULL; /* (n_rows, n): S½ Q */
    W2W_AUTO_ALIGNED double *matrix = NULL; /* (n_rows, n_rows) */
    double *t = (double *)(gpointer)constraints->targets->data;
    g_autoptr(W2wCholesky) cholesky = NULL;
    g_autoptr(GError) local = NULL;
    guint dependent = 0;

    scaled = w2w_aligned_alloc((gsize)n_rows * n, sizeof *scaled, "an edit", error);
    if (scaled == NULL)
        return FALSE;
    matrix = w2w_aligned_alloc((gsize)n_rows * n_rows, sizeof *matrix, "an edit", error);
    if (matrix == NULL)
        return FALSE;
    for (guint i = 0; i < n_rows; i++) {
        const double *direction = constraints->q->pdata[i];

        for (guint j = 0; j < n; j++)
            scaled[(gsize)i * n + j] = deviation[j] * direction[j];
        for (guint l = 0; l <= i; l++)
            matrix[(gsize)i * n_rows + l] =
                w2w_dot(scaled + (gsize)i * n, scaled + (gsize)l * n, n);
    }
    cholesky = w2w_cholesky_new(matrix, n_rows, 0.0, &dependent, &local);
    if (local != NULL) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if (cholesky == NULL)
        return fail_dependent(constraints, dependent, error);
    w2w_cholesky_solve(cholesky, t);
    for (guint i = 0; i < n_rows; i++)
        for (guint j = 0; j < n; j++)
            delta[j] += deviation[j] * scaled[(gsize)i * n + j] * t[i];
    return TRUE;
}

/* The farthest that anybody of the population lies along `unit`: max |p·u|. */
static gboolean find_reach(const W2wSpace *space, const double *unit, double *reach, GError **error)
{
    const guint n = space->n_with_statistics;
    W2W_AUTO_ALIGNED double *rows = w2w_aligned_alloc((gsize)MIN(BLOCK_ROWS, space->n_people) * n,
                                                      sizeof *rows, "an edit", error);

    if (rows == NULL)
        return FALSE;
    *reach = 0.0;
    for (gint64 first = 0; first < space->n_people; first += BLOCK_ROWS) {
        const gint64 n_rows = MIN(BLOCK_ROWS, space->n_people - first);

        w2w_matrix_read_rows(space->projections, first, n_rows, rows);
        for (gint64 r = 0; r < n_rows; r++)
            *reach = MAX(*reach, fabs(w2w_dot(rows + (gsize)r * n, unit, n)));
    }
    return TRUE;
}

/* Settings add up: setting · reach · unit direction; a component's axis in its deviations. */
static gboolean change_euclidean(const Constraints *constraints, double *delta, GError **error)
{
    const guint n = constraints->n, n_set = constraints->n_set;
    const guint n_protected = constraints->q->len - n_set;
    const double *const *protect = (const double *const *)(constraints->q->pdata + n_set);
    g_autofree double *direction = w2w_try_malloc(n, sizeof(double), "a direction", error);

    if (direction == NULL)
        return FALSE;
    for (guint i = 0; i < n_set; i++) {
        const double *original = constraints->q->pdata[i];
        double step, length;

        memcpy(direction, original, n * sizeof *direction);
        if (!w2w_direction_debias(direction, n, protect, n_protected, error))
            return FALSE;
        length = sqrt(w2w_dot(direction, direction, n));
        if (!(length > 1e-9 * sqrt(w2w_dot(original, original, n))))
            return fail_dependent(constraints, i, error);
        if (i < constraints->n_attributes) {
            for (guint j = 0; j < n; j++)
                direction[j] /= length;
            if (!find_reach(constraints->space, direction, &step, error))
                return FALSE;
            step *= g_array_index(constraints->settings, double, i);
        } else {
            step = g_array_index(constraints->targets, double, i);
        }
        for (guint j = 0; j < n; j++)
            delta[j] += step * direction[j];
    }
    return TRUE;
}

gboolean w2w_edits_get_change(const W2wEdits *edits, W2wSpace *space, W2wMetric metric,
                              double *delta, GError **error)
{
    g_auto(Constraints) constraints = {.space = space, .n = space->n_with_statistics};

    for (guint j = 0; j < space->n_components; j++)
        delta[j] = 0.0;
    if (edits->directions->len + edits->components->len + edits->protect->len == 0)
        return TRUE;
    if (!collect(&constraints, edits, error))
        return FALSE;
    if (constraints.n_set == 0)
        return TRUE;
    if (metric == W2W_METRIC_EUCLIDEAN ? !change_euclidean(&constraints, delta, error)
                                       : !change_population(&constraints, delta, error))
        return FALSE;
    for (guint j = 0; j < constraints.n; j++) {
        if (!(fabs(delta[j]) <= G_MAXFLOAT)) {
            g_set_error_literal(error, W2W_ERROR, W2W_ERROR_USAGE,
                                "The settings are too large for this space.");
            return FALSE;
        }
    }
    return TRUE;
}

W2wAttributeShift *w2w_edits_get_shifts(W2wSpace *space, const float *before, guint n_before,
                                        const float *after, guint n_after, GError **error)
{
    const guint n = space->n_with_statistics;
    const char *const *names = w2w_space_get_direction_names(space);
    const guint n_names = g_strv_length((char **)names);
    g_autofree W2wAttributeShift *shifts = g_new0(W2wAttributeShift, MAX(n_names, 1));

    if (!w2w_space_require_people(space, "Comparing identities", error))
        return NULL;
    for (guint i = 0; i < n_names; i++) {
        W2wScoreRange range;
        const double *direction = w2w_space_get_direction(space, names[i], error);
        double score_before = 0.0, score_after = 0.0;

        if (direction == NULL || !w2w_space_get_score_range(space, names[i], &range, error))
            return NULL;
        for (guint j = 0; j < n; j++) {
            const double mean = space->coefficient_mean[j];

            score_before += direction[j] * ((j < n_before ? (double)before[j] : 0.0) - mean);
            score_after += direction[j] * ((j < n_after ? (double)after[j] : 0.0) - mean);
        }
        if (range.half_range > 0.0) {
            shifts[i].before = score_before / range.half_range;
            shifts[i].after = score_after / range.half_range;
        }
        shifts[i].outside = score_after < range.min || score_after > range.max;
    }
    return g_steal_pointer(&shifts);
}
