/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a value is inside: shared by parameter.c (texts and getters) and parameter_wire.c, of
 * nobody else's concern.
 */
#pragma once

#include "engine/job/parameter.h"

G_BEGIN_DECLS

typedef struct {
    GBytes *bytes; /* owned */
    double weight;
} W2wValueItem;

/* Numbers are kept as what their type says; all texts and paths in `text`. */
typedef struct {
    gint64 integer; /* SWITCH too */
    double number;
    char *text;    /* owned; NULL: the default */
    GBytes *bytes; /* owned */
    GArray *items; /* of W2wValueItem; only lists have one */
} W2wValue;

struct _W2wValues {
    const W2wParameter *parameters;
    guint n_parameters;
    W2wValue *values; /* by parameter */
};

static inline W2wValue *w2w_values_at(const W2wValues *values, const W2wParameter *parameter)
{
    return &values->values[parameter - values->parameters];
}

/* W2W_ERROR_USAGE where there is none. */
const W2wParameter *w2w_values_find_parameter(const W2wValues *values, const char *name,
                                              GError **error);

/* W2W_ERROR_USAGE: "The value of … must be …, not “…”." Always FALSE. */
gboolean w2w_value_fail(const W2wParameter *parameter, const char *text, GError **error);

/* What each type insists on. */
gboolean w2w_value_integer_is_valid(const W2wParameter *parameter, gint64 integer);
gboolean w2w_value_number_is_valid(const W2wParameter *parameter, double number);
gboolean w2w_value_text_is_valid(const W2wParameter *parameter, const char *text);
/* Both of an item of a list: W2W_ERROR_USAGE says which of them is wrong. */
gboolean w2w_value_check_item(const W2wParameter *parameter, GBytes *bytes, double weight,
                              GError **error);

/* What is kept from then on. */
void w2w_value_take_text(W2wValue *value, const char *text);
void w2w_value_take_item(W2wValue *value, GBytes *bytes, double weight);
void w2w_value_clear_items(W2wValue *value);

G_END_DECLS
