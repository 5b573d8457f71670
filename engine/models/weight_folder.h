/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The weights of a folder such as unet/, in whichever of the forms that diffusers and
 * transformers have written over the years. The first of these that is there counts
 * (NAME: diffusion_pytorch_model, model or pytorch_model):
 *
 *   NAME.safetensors               NAME.safetensors.index.json
 *   NAME.bin                       NAME.bin.index.json
 *   NAME.fp16.safetensors          NAME.safetensors.index.fp16.json,
 * NAME.fp16.safetensors.index.json NAME.fp16.bin                  NAME.bin.index.fp16.json,
 * NAME.fp16.bin.index.json
 *
 * An index lists files of the same folder ("weight_map": name → file): each must be there and
 * hold what the index says it holds.
 */
#pragma once

#include "engine/models/weight_table.h"

G_BEGIN_DECLS

/*
 * A table of the names as the files have them; `*path` becomes the file (or index) that was
 * chosen, for messages. W2W_ERROR_FILE names what was looked for, or the shard that is missing;
 * W2W_ERROR_FORMAT.
 */
GHashTable *w2w_weight_folder_read(const char *directory, char **path, GError **error);

G_END_DECLS
