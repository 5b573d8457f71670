/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The space from the inside. space_folder.c and space_file.c find its parts in upstream's files or
 * in one of our own, space_open.c checks them against each other, direction.c computes what
 * depends on the people when it is first asked for, direction_store.c keeps the directions
 * that users add, space.c does the rest.
 */
#pragma once

#include "engine/error.h"
#include "engine/w2w/people_table.h"
#include "engine/w2w/space.h"

G_BEGIN_DECLS

typedef enum {
    W2W_SPACE_MEAN,
    W2W_SPACE_STD,
    W2W_SPACE_V,
    W2W_SPACE_PROJECTIONS,
    W2W_SPACE_PINVERSE,
    W2W_SPACE_LABELS,
    W2W_SPACE_KEYS,
    W2W_SPACE_ADAPTER,
    W2W_SPACE_DATASET,
    W2W_N_SPACE_PARTS,
} W2wSpacePart;

/* Upstream's alpha over rank, for spaces that do not say. */
#define W2W_SPACE_DEFAULT_SCALE 27.0f

/* No space that we write has statistics of more components: upstream's number. */
#define W2W_SPACE_MAX_WITH_STATISTICS 1000

struct _W2wSpace {
    char *directory;               /* or the file */
    gboolean is_file;              /* our own form */
    const char *const *part_names; /* of the parts, in folder or file */
    gint64 n_weights;
    guint n_components;
    double *mean, *std; /* (n_weights), finite, std >= 0 */
    W2wArray *v;        /* (n_weights, n_components) */
    float lora_scale;
    GArray *keys; /* W2wSpaceKey with owned paths */
    char *card;   /* JSON, or NULL */
    char *fingerprint;
    GArray *missing; /* W2wSpaceMissing */

    /* The people; all empty without proj. */
    W2wArray *projections; /* (n_people, n_with_statistics), finite */
    W2wArray *pinverse;    /* (n_with_statistics, n_people), or NULL */
    gint64 n_people;
    guint n_with_statistics;
    double *coefficient_mean, *coefficient_std; /* (n_with_statistics) */
    W2wPeopleTable *people;                     /* never NULL */

    /* The rows that the space was made of, (people, n_weights), or NULL. */
    W2wArray *dataset;

    /* Directions of all attributes, computed together: NULL until then. */
    double *directions;    /* (n_attributes, n_with_statistics) */
    W2wScoreRange *ranges; /* (n_attributes) */

    struct _W2wDirectionStore *added; /* never NULL */
};

/* "mean.pt", or “mean”, for messages; and with the folder or file that it is in (caller frees). */
const char *w2w_space_part_name(const W2wSpace *space, W2wSpacePart part);
char *w2w_space_describe_part(const W2wSpace *space, W2wSpacePart part);

/* "PART detail", as an error; always FALSE. */
gboolean w2w_space_fail(const W2wSpace *space, W2wSpacePart part, W2wError code, GError **error,
                        const char *format, ...) G_GNUC_PRINTF(5, 6);

/* --- opening: from an array to a part of the space, checked --- */

gboolean w2w_space_read_folder(W2wSpace *space, GError **error);
gboolean w2w_space_read_file(W2wSpace *space, GError **error);

/* In this order; each borrows the array. */
gboolean w2w_space_take_mean(W2wSpace *space, const W2wArray *array, GError **error);
gboolean w2w_space_take_std(W2wSpace *space, const W2wArray *array, GError **error);
gboolean w2w_space_take_v(W2wSpace *space, W2wArray *array, GError **error);
gboolean w2w_space_take_dataset(W2wSpace *space, W2wArray *array, GError **error);
gboolean w2w_space_take_projections(W2wSpace *space, W2wArray *array, GError **error);
gboolean w2w_space_take_pinverse(W2wSpace *space, W2wArray *array, GError **error);

/* keys checked (pairs of A and B, offsets, sum n) and taken over; `source` names their file. */
gboolean w2w_space_take_keys(W2wSpace *space, GArray *keys, const char *source, GError **error);
GArray *w2w_space_keys_new(void);

void w2w_space_add_missing(W2wSpace *space, W2wSpacePart part);

/* --- people and directions --- */

/* W2W_ERROR_UNSUPPORTED saying that `what` ("Sampling") needs proj_1000pc.pt, where it is missing.
 */
gboolean w2w_space_require_people(const W2wSpace *space, const char *what, GError **error);

/* The attribute's number, −1 where there is none. */
gint w2w_space_find_attribute(const W2wSpace *space, const char *attribute);

/* directions and ranges, if they are not there yet. */
gboolean w2w_space_fit_directions(W2wSpace *space, GError **error);

/* How everybody's scores along one direction (n_with_statistics) lie. */
gboolean w2w_space_measure_scores(const W2wSpace *space, const double *direction,
                                  W2wScoreRange *range, GError **error);

/* Of a direction that a user added; NULL, without an error, where there is none of this name. */
const double *w2w_space_find_added(W2wSpace *space, const char *name, W2wScoreRange *range,
                                   gboolean *is_there, GError **error);
struct _W2wDirectionStore *w2w_direction_store_new(void);
void w2w_direction_store_free(struct _W2wDirectionStore *store);

/* W2W_ERROR_USAGE that names all directions there are, or _UNSUPPORTED where there can be none. */
void w2w_space_fail_unknown(W2wSpace *space, const char *name, GError **error);

G_END_DECLS
