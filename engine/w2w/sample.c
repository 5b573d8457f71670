/* SPDX-License-Identifier: GPL-3.0-or-later */
/* People: those of the dataset, and new ones drawn from the population. */
#include <math.h>

#include "engine/diffusion/generator.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

gboolean w2w_space_get_person(const W2wSpace *space, gint64 row, float *coefficients,
                              GError **error)
{
    W2W_AUTO_ALIGNED double *values = NULL;

    if (!w2w_space_require_people(space, "Taking a person of the dataset", error))
        return FALSE;
    if (row < 0 || row >= space->n_people) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "There is no person %" G_GINT64_FORMAT " in %s: they are numbered from 0 to "
                    "%" G_GINT64_FORMAT ".",
                    row, space->directory, space->n_people - 1);
        return FALSE;
    }
    values = w2w_aligned_alloc(space->n_with_statistics, sizeof *values, "a person", error);
    if (values == NULL)
        return FALSE;
    w2w_matrix_read_rows(space->projections, row, 1, values);
    for (guint j = 0; j < space->n_with_statistics; j++)
        coefficients[j] = (float)values[j];
    return TRUE;
}

gboolean w2w_space_sample(const W2wSpace *space, double factor, guint64 seed, float *coefficients,
                          GError **error)
{
    g_autoptr(W2wGenerator) generator = NULL;

    if (!w2w_space_require_people(space, "Sampling", error))
        return FALSE;
    if (!(factor >= 0.0 && factor <= G_MAXFLOAT)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The sampling factor is %g; 0 or more was expected.", factor);
        return FALSE;
    }
    generator = w2w_generator_new(seed);
    w2w_generator_randn(generator, space->n_with_statistics, coefficients);
    for (guint j = 0; j < space->n_with_statistics; j++) {
        const double value = space->coefficient_mean[j] +
                             factor * space->coefficient_std[j] * (double)coefficients[j];

        if (!(fabs(value) <= G_MAXFLOAT)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The sampling factor %g is too large for this space.", factor);
            return FALSE;
        }
        coefficients[j] = (float)value;
    }
    return TRUE;
}
