/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The people of a space's dataset: by row, by name, and those nearest to an identity. */
#pragma once

#include "engine/w2w/space.h"

G_BEGIN_DECLS

/* The index of identity_df.pt and its `file` column; NULL where there is none. Owned. */
const char *w2w_space_get_person_name(const W2wSpace *space, gint64 row);
const char *w2w_space_get_person_file(const W2wSpace *space, gint64 row);

/* The row of the first person of this name, else of this file; −1 and W2W_ERROR_USAGE
 * (_UNSUPPORTED without people or names). */
gint64 w2w_space_find_person(const W2wSpace *space, const char *name, GError **error);

typedef struct {
    gint64 row;
    double distance;
} W2wNeighbour;

/*
 * The `n_wanted` people nearest to `coefficients`, the nearest first (W2wNeighbour; fewer where
 * there are not as many people). Distances are the population's (Mahalanobis): with every
 * component in its own standard deviation,
 *
 *   sqrt(Σ ((c_j − p_j) / s_j)²)   over the components with statistics and s_j > 0
 *
 * so two people drawn at random are about sqrt(2 P) apart. Coefficients beyond n_coefficients are
 * 0, and those beyond P do not count. One walk over proj in blocks of rows.
 */
GArray *w2w_space_find_nearest(const W2wSpace *space, const float *coefficients,
                               guint n_coefficients, guint n_wanted, GError **error);

/*
 * How far from the middle of the population, in the same measure: sqrt(Σ ((c_j − m_j) / s_j)²).
 * `people_within` (may be NULL): the part of the people who are nearer to it, 0 … 1.
 */
gboolean w2w_space_measure_distance(const W2wSpace *space, const float *coefficients,
                                    guint n_coefficients, double *distance, double *people_within,
                                    GError **error);

G_END_DECLS
