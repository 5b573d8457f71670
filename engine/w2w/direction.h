/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directions that a user adds to a space: made of two groups of identities, kept as small files,
 * and from then on found by name like the attributes (w2w_space_get_direction()).
 *
 * The mathematics. With x̄₊ and x̄₋ the means of the two groups and S = diag(s²) the variances of
 * the population's components:
 *
 *   d = 2 S⁻¹ (x̄₊ − x̄₋) / ((x̄₊ − x̄₋)ᵀ S⁻¹ (x̄₊ − x̄₋))
 *
 * This is Fisher's discriminant with the population's variances. Least squares, which
 * attributes use, is singular for a handful of identities in hundreds of components; the
 * population's covariance is known, and diagonal as principal components are. A population edit
 * moves along S d, which is the difference of the two means: just what the groups show. Scores
 * differ by 2 between the groups' means, as labels of 1 and −1 would; half range and range are
 * those of the people's scores. Components without variance (s = 0) have no part. (Shrinking the
 * difference towards 0, per component or as a whole, brought it no nearer to the attributes'
 * directions in groups of 3 to 100 of the embedded world's people.)
 *
 * Files: a safetensors with "direction" (n_with_statistics) in float64 and as metadata the format
 * "w2w-direction", a version, the name, the space's fingerprint and a recipe. They lie in
 * $XDG_DATA_HOME/w2w/directions/<fingerprint of the space>/NAME.safetensors, or in the
 * folder directions/ of a world.
 */
#pragma once

#include "engine/w2w/identity.h"

G_BEGIN_DECLS

/*
 * n_with_statistics numbers; free with w2w_aligned_free(). W2W_ERROR_USAGE where a group is empty
 * or the means are equal; W2W_ERROR_UNSUPPORTED without people.
 */
double *w2w_direction_from_groups(const W2wSpace *space, W2wIdentity *const *with, guint n_with,
                                  W2wIdentity *const *without, guint n_without, GError **error);

/*
 * W2W_ERROR_USAGE for a name that edits or files cannot have, and for one that a direction has
 * already (case counts as nothing).
 */
gboolean w2w_space_check_new_direction(W2wSpace *space, const char *name, GError **error);

/* Stores it among the user's; the path of its file, which the caller frees. `recipe` may be NULL.
 */
char *w2w_space_add_direction(W2wSpace *space, const char *name, const double *direction,
                              const char *recipe, GError **error);

/* Removes one of the user's for good. W2W_ERROR_USAGE for attributes and the world's own. */
gboolean w2w_space_remove_direction(W2wSpace *space, const char *name, GError **error);

/* Reads also the files in `folder` (a world's directions/; it need not exist). */
void w2w_space_add_direction_folder(W2wSpace *space, const char *folder);

/* The file of an added direction; NULL for attributes and unknown names. Owned. */
const char *w2w_space_get_direction_file(W2wSpace *space, const char *name);

/* Sentences about files that hold no direction of this space; NULL terminated, owned, valid until
 * the next call of w2w_space_get_direction_names(). */
const char *const *w2w_space_get_direction_problems(W2wSpace *space);

G_END_DECLS
