/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A parameter is declared once: from the declaration come the command line's flag and its
 * help, the man page, the worker's argument, the GIMP procedure's argument with its range,
 * and the slider in the dialog.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    W2W_PARAMETER_INT,    /* fits 32 bits */
    W2W_PARAMETER_DOUBLE, /* finite */
    W2W_PARAMETER_STRING, /* UTF-8 */
    W2W_PARAMETER_CHOICE, /* one of `choices` */
    W2W_PARAMETER_SEED,  /* 0 … W2W_SEED_MAX; −1: left to the job, which reports what it took */
    W2W_PARAMETER_EDITS, /* the text form of W2wEdits; on the command line also --direction,
                            --component, --protect */
    W2W_PARAMETER_IDENTITY, /* the bytes of an identity file; a path on the command line, a layer in
                               GIMP */
    W2W_PARAMETER_PATH,     /* a file or folder in the file system's own encoding */
    W2W_PARAMETER_SWITCH,   /* off or on; `number` is the default, 0 or 1 */
    W2W_PARAMETER_PICTURE,  /* the bytes of a PNG file; a path on the command line */
    W2W_PARAMETER_IDENTITIES, /* a list of IDENTITY with weights; on the command line repeated,
                                 --name FILE[:WEIGHT] */
    W2W_PARAMETER_LORAS,      /* a list of paths with strengths; repeated, --name FILE[:STRENGTH] */
    W2W_PARAMETER_PICTURES,   /* a list of PICTURE, without weights; repeated, --name FILE */
} W2wParameterType;

typedef enum {
    W2W_PARAMETER_REQUIRED = 1 << 0,
    W2W_PARAMETER_FROM_WORLD = 1 << 1, /* left out (0, ""), the world's card decides */
    W2W_PARAMETER_FILES_ONLY = 1 << 2, /* of use only where results become files, not layers */
} W2wParameterFlags;

/* 2^53 − 1: what every front-end can carry, JSON and Scheme included. */
#define W2W_SEED_MAX G_GINT64_CONSTANT(9007199254740991)

typedef struct {
    const char *name; /* "guidance-scale": flag, argument, key */
    char short_name;  /* 'n' for -n, or 0 */
    W2wParameterType type;
    W2wParameterFlags flags;
    double minimum, maximum, number;  /* range and default of INT, DOUBLE and SEED; range of the
                                         weights of a list (both 0: any number; both
                                         the same: no weights) */
    const char *string;               /* default of strings and choices; NULL is "" */
    const char *const *choices;       /* NULL terminated */
    const char *const *choice_labels; /* for people, same order, translatable; NULL: the choices */
    const char *label;                /* "_Guidance scale": with mnemonic, translatable */
    const char *blurb;                /* one sentence, translatable */
} W2wParameter;

/*
 * Values of a table of parameters, as every front-end collects them. The table must outlive
 * them. On the wire they are a dictionary of GVariants:
 *   INT "i", DOUBLE "d", SEED "x", SWITCH "b", STRING, CHOICE and EDITS "s", IDENTITY, PICTURE
 *   and PATH "ay" (a path ends in NUL), IDENTITIES and LORAS "a(ayd)", PICTURES "aay".
 */
typedef struct _W2wValues W2wValues;

/* The weight of an item of a list that was given none. */
#define W2W_DEFAULT_WEIGHT 1.0

/* All at their defaults. */
W2wValues *w2w_values_new(const W2wParameter *parameters, guint n_parameters);
void w2w_values_free(W2wValues *values);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wValues, w2w_values_free)

/*
 * From text ("0.8"; a full stop in every language), checked against type, range and choices.
 * A SWITCH is "true" or "false". A PATH is taken as it stands; LORAS are added to by
 * "PATH[:STRENGTH]". What is the contents of a file has no text form. W2W_ERROR_USAGE.
 */
gboolean w2w_values_set_text(W2wValues *values, const char *name, const char *text, GError **error);

/*
 * From the wire (a{sv}): unknown names, wrong types and ranges are W2W_ERROR_USAGE; then no
 * value has changed.
 */
gboolean w2w_values_set_variant(W2wValues *values, GVariant *dictionary, GError **error);
/* IDENTITY, PICTURE; NULL takes it away. */
gboolean w2w_values_set_bytes(W2wValues *values, const char *name, GBytes *bytes, GError **error);

/* Appends to a list. `bytes`: an identity or PNG file, or for LORAS a path with its final NUL. The
 * weight of a picture is W2W_DEFAULT_WEIGHT. */
gboolean w2w_values_add_item(W2wValues *values, const char *name, GBytes *bytes, double weight,
                             GError **error);
GVariant *w2w_values_to_variant(const W2wValues *values); /* a{sv}, only what was set to something
                                                             else than the default; floating */

/* Is there something beside the default? Numbers, choices and switches always have a value. */
gboolean w2w_values_is_given(const W2wValues *values, const W2wParameter *parameter);

/* W2W_ERROR_USAGE names the first REQUIRED parameter that was not given (or is empty). */
gboolean w2w_values_check_required(const W2wValues *values, GError **error);

/* What follows asserts that the table has a parameter of this name and type. */
gint64 w2w_values_get_int(const W2wValues *values, const char *name); /* INT and SEED */
double w2w_values_get_double(const W2wValues *values, const char *name);
const char *w2w_values_get_string(const W2wValues *values,
                                  const char *name); /* STRING, CHOICE, EDITS, PATH; never NULL */
guint w2w_values_get_choice(const W2wValues *values, const char *name); /* index into choices */
GBytes *w2w_values_get_bytes(const W2wValues *values,
                             const char *name); /* IDENTITY, PICTURE; NULL if not given; borrowed */
gboolean w2w_values_get_switch(const W2wValues *values, const char *name);
guint w2w_values_get_n_items(const W2wValues *values, const char *name); /* of a list */
/* Borrowed; for LORAS the path with its final NUL. `weight` may be NULL; i < n_items. */
GBytes *w2w_values_get_item(const W2wValues *values, const char *name, guint i, double *weight);

/* Does it hold several, so that its option may be repeated? */
gboolean w2w_parameter_is_list(const W2wParameter *parameter);

/*
 * "FILE:0.8" as name and weight: at the last colon, if a number follows it and the whole is not the
 * name of a file that is there; else the whole is the name and the weight W2W_DEFAULT_WEIGHT.
 * Caller frees the name.
 */
char *w2w_parameter_split_weight(const char *text, double *weight);

/* NULL where the table has none of this name. */
const W2wParameter *w2w_parameter_lookup(const W2wParameter *parameters, guint n_parameters,
                                         const char *name);

G_END_DECLS
