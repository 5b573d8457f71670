/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON files, as a json-glib tree built by a strict parser of our own.
 *
 * json-glib's parser recurses with the nesting of its input, lets the last of two
 * equal keys win, and refuses what Python's json writes for floats that are not
 * finite; files come from strangers and from Python. So the text is read here,
 * without recursion, and json-glib serves as the tree that everyone knows.
 *
 * Refused, with file, line and column: anything RFC 8259 does not allow, nesting
 * beyond W2W_JSON_MAX_DEPTH, equal keys in one object (by name), text that is not
 * UTF-8, NUL characters (also as \u0000), unpaired surrogates. Beyond RFC 8259 the
 * bare words NaN, Infinity and -Infinity are numbers: diffusers writes
 * "lambda_min_clipped": -Infinity. Whole numbers that fit 64 bits become
 * G_TYPE_INT64; all others G_TYPE_DOUBLE.
 */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

#define W2W_JSON_MAX_DEPTH 64
#define W2W_JSON_MAX_BYTES (100 * 1000 * 1000)
/* Trees take some 200 bytes a value; the largest real file (a vocabulary) has 50,000. */
#define W2W_JSON_MAX_VALUES (1000 * 1000)

/* An object at the top; the message names `path`. Caller unrefs. W2W_ERROR_FILE, W2W_ERROR_FORMAT.
 */
JsonObject *w2w_json_load(const char *path, GError **error);

/* The same with anything at the top (lists of test cases). Caller unrefs. */
JsonNode *w2w_json_load_any(const char *path, GError **error);

/* The same from memory. `length` bytes, no NUL needed; `name` stands for the file in messages. */
JsonObject *w2w_json_parse(const char *text, gsize length, const char *name, GError **error);
JsonNode *w2w_json_parse_any(const char *text, gsize length, const char *name, GError **error);

/* Is the node (may be NULL) a finite number? Then `*number` is it. */
gboolean w2w_json_get_number(JsonNode *node, double *number);

G_END_DECLS
