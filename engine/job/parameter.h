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
} W2wParameterType;

typedef enum {
    W2W_PARAMETER_REQUIRED = 1 << 0,
    W2W_PARAMETER_FROM_WORLD = 1 << 1, /* left out (0, ""), the world's card decides */
} W2wParameterFlags;

/* 2^53 − 1: what every front-end can carry, JSON and Scheme included. */
#define W2W_SEED_MAX G_GINT64_CONSTANT(9007199254740991)

typedef struct {
    const char *name; /* "guidance-scale": flag, argument, key */
    char short_name;  /* 'n' for -n, or 0 */
    W2wParameterType type;
    W2wParameterFlags flags;
    double minimum, maximum, number;  /* range and default of INT, DOUBLE and SEED */
    const char *string;               /* default of strings and choices; NULL is "" */
    const char *const *choices;       /* NULL terminated */
    const char *const *choice_labels; /* for people, same order, translatable; NULL: the choices */
    const char *label;                /* "_Guidance scale": with mnemonic, translatable */
    const char *blurb;                /* one sentence, translatable */
} W2wParameter;

/*
 * Values of a table of parameters, as every front-end collects them. The table must outlive
 * them. On the wire they are a dictionary of GVariants:
 *   INT "i", DOUBLE "d", SEED "x", STRING, CHOICE and EDITS "s", IDENTITY and PATH "ay".
 */
typedef struct _W2wValues W2wValues;

/* All at their defaults. */
W2wValues *w2w_values_new(const W2wParameter *parameters, guint n_parameters);
void w2w_values_free(W2wValues *values);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wValues, w2w_values_free)

/*
 * From text ("0.8"; a full stop in every language), checked against type, range and choices.
 * A PATH is taken as it stands; an IDENTITY has no text form. W2W_ERROR_USAGE.
 */
gboolean w2w_values_set_text(W2wValues *values, const char *name, const char *text, GError **error);

/*
 * From the wire (a{sv}): unknown names, wrong types and ranges are W2W_ERROR_USAGE; then no
 * value has changed.
 */
gboolean w2w_values_set_variant(W2wValues *values, GVariant *dictionary, GError **error);
gboolean w2w_values_set_bytes(W2wValues *values, const char *name, GBytes *bytes, GError **error);
GVariant *w2w_values_to_variant(const W2wValues *values); /* a{sv}, only what was set to something
                                                             else than the default; floating */

/* W2W_ERROR_USAGE names the first REQUIRED parameter that was not given (or is empty). */
gboolean w2w_values_check_required(const W2wValues *values, GError **error);

/* What follows asserts that the table has a parameter of this name and type. */
gint64 w2w_values_get_int(const W2wValues *values, const char *name); /* INT and SEED */
double w2w_values_get_double(const W2wValues *values, const char *name);
const char *w2w_values_get_string(const W2wValues *values,
                                  const char *name); /* STRING, CHOICE, EDITS, PATH; never NULL */
guint w2w_values_get_choice(const W2wValues *values, const char *name); /* index into choices */
GBytes *w2w_values_get_bytes(const W2wValues *values,
                             const char *name); /* IDENTITY; NULL if not given; borrowed */

/* NULL where the table has none of this name. */
const W2wParameter *w2w_parameter_lookup(const W2wParameter *parameters, guint n_parameters,
                                         const char *name);

G_END_DECLS
