/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A direction from two groups of identities; direction.h has the mathematics. */
#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/direction.h"
#include "engine/w2w/linear_algebra.h"
#include "engine/w2w/space_internal.h"

/* sum (n) += sign / n_identities · each identity's coefficients */
static void add_mean(double *sum, guint n, W2wIdentity *const *identities, guint n_identities,
                     double sign)
{
    for (guint i = 0; i < n_identities; i++) {
        const W2wIdentity *identity = identities[i];

        for (guint j = 0; j < MIN(n, identity->n_coefficients); j++)
            sum[j] += sign * identity->coefficients[j] / n_identities;
    }
}

double *w2w_direction_from_groups(const W2wSpace *space, W2wIdentity *const *with, guint n_with,
                                  W2wIdentity *const *without, guint n_without, GError **error)
{
    const guint n = space->n_with_statistics;
    const double *std = space->coefficient_std;
    double *direction;
    double square = 0.0;

    if (!w2w_space_require_people(space, "A direction", error))
        return NULL;
    if (n_with == 0 || n_without == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A direction needs two groups: identities that show it, and some that do not.");
        return NULL;
    }
    direction = w2w_aligned_alloc0(n, sizeof *direction, "a direction", error);
    if (direction == NULL)
        return NULL;
    add_mean(direction, n, with, n_with, 1.0);
    add_mean(direction, n, without, n_without, -1.0);
    for (guint j = 0; j < n; j++) {
        square += std[j] > 0.0 ? direction[j] * direction[j] / (std[j] * std[j]) : 0.0;
        direction[j] = std[j] > 0.0 ? direction[j] / (std[j] * std[j]) : 0.0;
    }
    for (guint j = 0; j < n; j++)
        direction[j] *= 2.0 / square;
    if (square > 0.0 && isfinite(w2w_dot(direction, direction, n)))
        return direction;
    w2w_aligned_free(direction);
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "The two groups have the same mean, so nothing tells them apart.");
    return NULL;
}
