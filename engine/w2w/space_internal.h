/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The space from the inside. space_open.c fills it from files, direction.c computes what
 * depends on the people when it is first asked for, space.c does the rest.
 */
#pragma once

#include "engine/w2w/space.h"

G_BEGIN_DECLS

#define W2W_SPACE_MEAN        "mean.pt"
#define W2W_SPACE_STD         "std.pt"
#define W2W_SPACE_V           "V.pt"
#define W2W_SPACE_PROJECTIONS "proj_1000pc.pt"
#define W2W_SPACE_PINVERSE    "pinverse_1000pc.pt"
#define W2W_SPACE_LABELS      "identity_df.pt"
#define W2W_SPACE_KEYS        "weight_dimensions.pt"
#define W2W_SPACE_ADAPTER     "adapter_config.json"

struct _W2wSpace {
    char *directory;
    gint64 n_weights;
    guint n_components;
    double *mean, *std; /* (n_weights), finite, std >= 0 */
    W2wArray *v;        /* (n_weights, n_components) */
    float lora_scale;
    GArray *keys; /* W2wSpaceKey with owned paths */
    char *fingerprint;

    /* The people; all empty without proj. */
    W2wArray *projections; /* (n_people, n_with_statistics), finite */
    W2wArray *pinverse;    /* (n_with_statistics, n_people), or NULL */
    gint64 n_people;
    guint n_with_statistics;
    double *coefficient_mean, *coefficient_std; /* (n_with_statistics) */
    GPtrArray *attributes;                      /* names, NULL terminated */
    GPtrArray *labels;                          /* gint8 (n_people) each */

    /* Directions of all attributes, computed together: NULL until then. */
    double *directions;    /* (n_attributes, n_with_statistics) */
    W2wScoreRange *ranges; /* (n_attributes) */
};

/* Whole path of one of the space's files, for messages. Caller frees. */
char *w2w_space_file(const W2wSpace *space, const char *name);

/* W2W_ERROR_UNSUPPORTED saying that `what` ("Sampling") needs proj_1000pc.pt, where it is missing.
 */
gboolean w2w_space_require_people(const W2wSpace *space, const char *what, GError **error);

/* -1 and W2W_ERROR_USAGE (or _UNSUPPORTED without labels) where there is no such attribute. */
gint w2w_space_find_attribute(const W2wSpace *space, const char *attribute, GError **error);

/* directions and ranges, if they are not there yet. */
gboolean w2w_space_fit_directions(W2wSpace *space, GError **error);

/* keys checked (pairs of A and B, offsets, sum n) and taken over; `source` names their file. */
gboolean w2w_space_take_keys(W2wSpace *space, GArray *keys, const char *source, GError **error);
GArray *w2w_space_keys_new(void);

G_END_DECLS
