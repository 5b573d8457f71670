/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Arrays by name, from any file of weights: what folders and checkpoints are read into before
 * their names become those that the models ask for.
 *
 * A table is a GHashTable from names to references on W2wArrays. The arrays are views into the
 * mapped files, which they keep alive: reading a table reads no weights.
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

GHashTable *w2w_weight_table_new(void);

/* Names are told apart: W2W_ERROR_FORMAT where `name` is there already; `file` is for messages. */
gboolean w2w_weight_table_add(GHashTable *table, const char *name, W2wArray *array,
                              const char *file, GError **error);

/* All names, sorted; the strings are borrowed. */
GPtrArray *w2w_weight_table_get_names(GHashTable *table);

/*
 * Reads safetensors or PyTorch's format, whichever the file is by its content, and adds its
 * arrays. Of PyTorch's, those of "state_dict" where there is one, and otherwise those of the
 * dictionary itself; counters, optimizer states and whatever else lies beside them are passed
 * over. W2W_ERROR_FILE, W2W_ERROR_FORMAT, W2W_ERROR_MEMORY.
 */
gboolean w2w_weight_table_add_file(GHashTable *table, const char *path, GError **error);

/* `array` with its dimensions behind the first `n_dims`, which must all be 1, left away. */
W2wArray *w2w_weight_table_leave_dims(W2wArray *array, guint n_dims);

G_END_DECLS
