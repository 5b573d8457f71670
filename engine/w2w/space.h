/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * w2w space (weights2weights, arXiv 2406.09413): the weights of many customised models,
 * flattened, standardised, and their principal components.
 *
 *   theta = mean + std ⊙ (V c)          V (n, k) orthonormal columns, c (k) the coefficients
 *
 * Components beyond the dataset's (P, "with statistics") have no population: they are never
 * sampled and take no part in directions. Files are upstream's (mean.pt, std.pt, V.pt,
 * proj_1000pc.pt, pinverse_1000pc.pt, identity_df.pt, weight_dimensions.pt, adapter_config.json,
 * all_weights.pt), or one of our own (space_file.h); all but the first three may be missing, and
 * what still works works. V is mapped and read in order, never copied whole. A space is used by one
 * thread at a time.
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

typedef struct _W2wSpace W2wSpace;

/*
 * W2W_ERROR_FILE (missing), _FORMAT, _UNSUPPORTED (rank above 1 …), _MISMATCH where files
 * contradict each other (it names both). mean, std and proj are read and must be finite; V is only
 * mapped, and what it gives is checked where it is used. Without proj_1000pc.pt the people's
 * coefficients are computed from all_weights.pt where that takes seconds (dataset.h).
 * `path`: a folder, or a file of our own form.
 */
W2wSpace *w2w_space_open(const char *path, GError **error);
void w2w_space_free(W2wSpace *space);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wSpace, w2w_space_free)

gint64 w2w_space_get_n_weights(const W2wSpace *space);        /* n */
guint w2w_space_get_n_components(const W2wSpace *space);      /* k: columns of V */
guint w2w_space_get_n_with_statistics(const W2wSpace *space); /* columns of proj; 0 without it */
gint64 w2w_space_get_n_people(const W2wSpace *space);         /* rows of proj; 0 without it */
float w2w_space_get_lora_scale(
    const W2wSpace *space); /* alpha / rank; upstream's 27 without adapter_config.json */

/* The folder or file, as it was opened; owned. */
const char *w2w_space_get_directory(const W2wSpace *space);

/* Optional parts that it lacks, and what they are needed for; owned. */
typedef struct {
    const char *name;       /* "proj_1000pc.pt" */
    const char *needed_for; /* "people, sampling, edits and directions" */
} W2wSpaceMissing;
const W2wSpaceMissing *w2w_space_get_missing(const W2wSpace *space, guint *n_missing);

/* The world's card that a file of our own form carries (JSON), or NULL; owned. */
const char *w2w_space_get_card(const W2wSpace *space);

/*
 * What identity files name: SHA-256 (hex, owned) over what gives coefficients their meaning, which
 * is n, k, the LoRA scale, mean, std and V, of whose first and middle row the first 256 numbers are
 * read: it may have 4 GB, in rows or in columns, and mean and std alone tell two datasets apart.
 * Files that may be missing (proj, labels, keys) have no part in it. As doubles, little endian, so
 * that dtype and layout do not matter.
 */
const char *w2w_space_get_fingerprint(W2wSpace *space);

/* One LoRA factor inside of the flat vector. */
typedef struct {
    const char *path; /* "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q" */
    gboolean is_b;    /* lora_B (out,1), else lora_A (1,in) */
    gint64 offset, length;
} W2wSpaceKey;
const W2wSpaceKey *w2w_space_get_keys(const W2wSpace *space, guint *n_keys);

/*
 * Without weight_dimensions.pt there are no keys until the model gives them: targets to_q and to_v
 * of all attentions in sorted order with their widths (paths are copied, offsets computed). FALSE,
 * W2W_ERROR_MISMATCH when they do not add up to n.
 */
gboolean w2w_space_set_keys(W2wSpace *space, const W2wSpaceKey *keys, guint n_keys, GError **error);

/* The population's, per component (n_with_statistics numbers): mean, standard deviation (m − 1). */
const double *w2w_space_get_coefficient_mean(const W2wSpace *space);
const double *w2w_space_get_coefficient_std(const W2wSpace *space);

/* The people's coefficients (n_people, n_with_statistics), or NULL. Borrowed; any strides. */
W2wArray *w2w_space_get_projections(const W2wSpace *space);

/*
 * Label columns of identity_df.pt that hold 1 and −1 (both, and nothing else), in the file's order;
 * NULL terminated. None without proj_1000pc.pt: they need the people's coefficients.
 */
const char *const *w2w_space_get_attributes(const W2wSpace *space);

/* The people's labels of one attribute: n_people numbers, 1 or −1; owned. W2W_ERROR_USAGE. */
const gint8 *w2w_space_get_labels(const W2wSpace *space, const char *attribute, GError **error);

/*
 * theta (n) of coefficients (n_coefficients ≤ n_components; the rest counts as 0). Sums are
 * doubles. W2W_ERROR_MISMATCH (too many), _USAGE (not finite), _FORMAT (V is damaged), _MEMORY.
 */
gboolean w2w_space_unproject(const W2wSpace *space, const float *coefficients, guint n_coefficients,
                             float *theta, GError **error);

/* coefficients (n_components) of theta (n): Vᵀ((theta − mean) ⊘ std); std 0 counts as no deviation.
 */
gboolean w2w_space_project(const W2wSpace *space, const float *theta, float *coefficients,
                           GError **error);

/*
 * d_coefficients (the first n_coefficients ≤ n_components) of d_theta (n), the gradients of
 * something that depends on theta: Vᵀ(std ⊙ d_theta). W2W_ERROR_FORMAT (V is damaged, or a gradient
 * is not finite), _MEMORY.
 */
gboolean w2w_space_project_gradient(const W2wSpace *space, const float *d_theta,
                                    guint n_coefficients, float *d_coefficients, GError **error);

/*
 * All directions by name: the attributes first, then those that were added (direction.h).
 * NULL terminated; valid until the next call for this space.
 */
const char *const *w2w_space_get_direction_names(W2wSpace *space);

/*
 * A direction by name (n_with_statistics numbers; owned, valid as long as the space).
 *
 * An attribute's: least squares d over the people, P d ≈ y, by the space's own pinverse_1000pc.pt
 * where it has one (W2W_ERROR_MISMATCH where that is of other people); the first call
 * computes all attributes' directions and ranges and keeps them. An added one's: as it was stored.
 * W2W_ERROR_USAGE names the directions that there are.
 */
const double *w2w_space_get_direction(W2wSpace *space, const char *name, GError **error);

/* What the people's scores d·(c − m) look like. */
typedef struct {
    double half_range; /* half of the distance between their 0.5 % and 99.5 % quantiles */
    double min, max;
} W2wScoreRange;
gboolean w2w_space_get_score_range(W2wSpace *space, const char *name, W2wScoreRange *range,
                                   GError **error);

/* Person `row` of the dataset: n_with_statistics numbers into `coefficients`. W2W_ERROR_USAGE. */
gboolean w2w_space_get_person(const W2wSpace *space, gint64 row, float *coefficients,
                              GError **error);

/*
 * A new person: c = m + factor · s ⊙ randn, torch's CPU generator seeded with `seed`.
 * n_with_statistics numbers. Factor 0 is the mean person; below 0 is W2W_ERROR_USAGE.
 */
gboolean w2w_space_sample(const W2wSpace *space, double factor, guint64 seed, float *coefficients,
                          GError **error);

G_END_DECLS
