/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening one part of a model, whatever form it has: a folder such as unet/ with its config.json
 * and its weights (weight_folder.h), or a single-file checkpoint (checkpoint.h), whose settings
 * are those of the folder beside it (w2w_model_get_settings_folder()) or follow from the file.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/models/config.h"
#include "engine/models/model_parts.h"
#include "engine/models/weights.h"

G_BEGIN_DECLS

/*
 * The part's weights under the names that the models ask for. `*file`: what was read, for
 * messages. W2W_ERROR_FILE, W2W_ERROR_FORMAT, W2W_ERROR_UNSUPPORTED, W2W_ERROR_MEMORY.
 */
GHashTable *w2w_part_read_weights(const char *path, W2wModelPart part, char **file, GError **error);

/* The part's settings; `arrays` are its weights. `*name`: where they come from, for messages. */
JsonObject *w2w_part_read_settings(const char *path, W2wModelPart part, GHashTable *arrays,
                                   char **name, GError **error);

/* Both, as models read them. On failure neither is set. */
gboolean w2w_part_open(const char *path, W2wModelPart part, W2wConfig **config,
                       W2wWeights **weights, GError **error);

G_END_DECLS
