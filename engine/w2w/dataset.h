/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A dataset: the flat weights of many customised models, a row for each, as upstream publishes
 * them (weights_datasets/identities/all_weights.pt, 25.9 GB; dogs/dog_weights.pt) with the
 * rows' names beside them (identity_df.pt, dog_labels.pt). It is mapped; a row is read when it
 * is asked for. Any space of as many weights tells what a row's coefficients are
 * (w2w_space_project()).
 */
#pragma once

#include "engine/progress.h"
#include "engine/w2w/people_table.h"
#include "engine/w2w/space.h"

G_BEGIN_DECLS

typedef struct {
    char *path;        /* of the weights */
    W2wArray *weights; /* (people, weights) */
    W2wPeopleTable *people;
} W2wDataset;

/* The file, or the folder that it lies in. W2W_ERROR_FILE, _FORMAT, _MISMATCH. */
W2wDataset *w2w_dataset_open(const char *path, GError **error);
void w2w_dataset_free(W2wDataset *dataset);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wDataset, w2w_dataset_free)

/* theta (weights) of a row; W2W_ERROR_USAGE where there is no such row. */
gboolean w2w_dataset_get_row(const W2wDataset *dataset, gint64 row, float *theta, GError **error);

/* The row of a person's name or file; −1 and W2W_ERROR_USAGE. */
gint64 w2w_dataset_find(const W2wDataset *dataset, const char *name, GError **error);

/* What a folder has of them, NULL where nothing. Caller frees. */
char *w2w_dataset_find_file(const char *directory);
char *w2w_dataset_find_labels(const char *directory);

/*
 * The people's coefficients of a space that has none, from its dataset: of min(k, people − 1,
 * 1,000) components, in one walk over the dataset. Its rows must be those that mean and std are of
 * (W2W_ERROR_MISMATCH): standardised, their columns add up to 0 and their squares to m − 1.
 * A space does so by itself when it is opened, if that takes seconds (can_compute).
 */
gboolean w2w_space_can_compute_projections(const W2wSpace *space);
gboolean w2w_space_compute_projections(W2wSpace *space, const W2wProgress *progress,
                                       GError **error);

G_END_DECLS
