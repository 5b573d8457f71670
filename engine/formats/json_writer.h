/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON as text: one line, members in the order in which they were set, the shortest digits that
 * read back to the same double. json-glib's own generator writes 0.8 as 0.80000000000000004,
 * and differently from version to version; recipes are read by people and compared as bytes.
 */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/* Doubles that are not finite become null: JSON has no word for them. Caller frees. */
char *w2w_json_write(JsonNode *node);
char *w2w_json_write_object(JsonObject *object);

/* Such shortest digits, with a full stop in every language. Caller frees. */
char *w2w_json_format_double(double number);

G_END_DECLS
