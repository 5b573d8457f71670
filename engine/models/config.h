/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A model's config.json, read so that no field of it can go unnoticed.
 *
 * A model asks for every field it knows, by type and range; a field that the file holds and
 * nobody asked for is an error, so that a setting of some other model, or of a later
 * version, is never silently ignored. As with the weights, the first error is remembered
 * and w2w_config_check() reports it: model code stays free of error handling, and gets
 * its defaults in the meantime.
 *
 * A missing field means diffusers' (transformers') default: old folders are sparse. So does
 * a field that diffusers noted in "_use_default_values". null means what Python makes of
 * it: FALSE for a switch, nothing for an optional setting, an error for everything else.
 * Other fields whose names start with '_' are notes of the tool that wrote the file.
 *
 * Messages name file, field and value. W2W_ERROR_FORMAT: a wrong type or a senseless
 * number; W2W_ERROR_UNSUPPORTED: a setting of another kind of model, or an unknown field.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/device/op.h"

G_BEGIN_DECLS

typedef struct _W2wConfig W2wConfig;

/* Keeps a reference on `object`; `path`: the file that it is from, for messages. */
W2wConfig *w2w_config_new(JsonObject *object, const char *path);
void w2w_config_free(W2wConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wConfig, w2w_config_free)

/* The file, for messages. */
const char *w2w_config_get_path(const W2wConfig *config);

/* Asks for the field, and is there nothing in it? For fields whose null means something of its own.
 */
gboolean w2w_config_is_null_or_missing(W2wConfig *config, const char *field);

/* A whole number from `min` to `max`. */
gint w2w_config_get_int(W2wConfig *config, const char *field, gint missing, gint min, gint max);

/* The same where null (and, as Python has it, 0) means `none`. */
gint w2w_config_get_optional_int(W2wConfig *config, const char *field, gint none, gint max);

/* A finite number from `min` to `max`. */
double w2w_config_get_number(W2wConfig *config, const char *field, double missing, double min,
                             double max);

gboolean w2w_config_get_switch(W2wConfig *config, const char *field, gboolean missing);

/* The position of the string in `choices` (NULL terminated); of `missing` where it is missing. */
guint w2w_config_get_choice(W2wConfig *config, const char *field, const char *const *choices,
                            guint missing);

/* The same where null is allowed too: it counts as the choice after the last. */
guint w2w_config_get_optional_choice(W2wConfig *config, const char *field,
                                     const char *const *choices, guint missing);

/*
 * One whole number for all `n` entries, or a list of exactly `n`. `out` has room for `n`.
 */
void w2w_config_get_level_ints(W2wConfig *config, const char *field, guint n, gint missing,
                               gint min, gint max, gint *out);

/* The same for switches. null is an error here, as it is in diffusers. */
void w2w_config_get_level_switches(W2wConfig *config, const char *field, guint n, gboolean missing,
                                   gboolean *out);

/*
 * A list of `min_n` to `max_n` whole numbers; `missing` where it is missing. Never empty,
 * also after an error.
 */
GArray *w2w_config_get_ints(W2wConfig *config, const char *field, const gint *missing,
                            guint n_missing, guint max_n, gint min, gint max);

/* A list of exactly `n` choices; `missing` (positions, `n_missing` of them) where it is missing. */
void w2w_config_get_level_choices(W2wConfig *config, const char *field, guint n,
                                  const char *const *choices, const guint *missing, guint n_missing,
                                  guint *out);

/* Settings of models that this program does not have: missing or null, else an error. */
void w2w_config_require_null(W2wConfig *config, const char *field);

/* Missing, null or false. */
void w2w_config_require_off(W2wConfig *config, const char *field);

/* Missing or exactly this number. */
void w2w_config_require_number(W2wConfig *config, const char *field, double value);

/* What a field that makes no difference to the numbers may be. */
typedef enum {
    W2W_CONFIG_NULL = 1 << 0,
    W2W_CONFIG_SWITCH = 1 << 1,
    W2W_CONFIG_NUMBER = 1 << 2,
    W2W_CONFIG_STRING = 1 << 3,
} W2wConfigTypes;

/* Knows the field, and that it makes no difference; its type is checked all the same. */
void w2w_config_ignore(W2wConfig *config, const char *field, W2wConfigTypes types);

/* Every string of the list (or the one string) is among `choices`; missing or null is fine. */
void w2w_config_require_each(W2wConfig *config, const char *field, const char *const *choices);

/* "silu", "swish" (the same) or "gelu"; SiLU where it is missing. */
W2wActivation w2w_config_get_activation(W2wConfig *config, const char *field);

/* An error about `field`, whose value is `n_parts`, where it does not divide `n`, a value of
 * `whole`. */
void w2w_config_check_divides(W2wConfig *config, const char *field, gint n_parts, const char *whole,
                              gint n);

/* Remembers an error of the model's own about `field`, unless there is one already. */
void w2w_config_fail(W2wConfig *config, gint code, const char *field, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* TRUE while nothing went wrong yet. */
gboolean w2w_config_is_good(const W2wConfig *config);

/* FALSE and the first error, or that of the first field (by name) that nobody asked for. */
gboolean w2w_config_check(W2wConfig *config, GError **error);

/* "layers_per_block 2, cross_attention_dim not given, …" of these fields, for messages. */
char *w2w_config_describe(const W2wConfig *config, const char *const *fields);

G_END_DECLS
