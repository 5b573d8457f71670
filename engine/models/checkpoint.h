/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Single-file checkpoints of Stable Diffusion 1.x, with the names of the original program:
 *
 *   model.diffusion_model.*          the UNet
 *   model_ema.*                      its average over the training, used where it is alone
 *   first_stage_model.*              the VAE (some files come without)
 *   cond_stage_model.transformer.*   the text encoder
 *
 * Everything else (the noise schedule, the training's own state) is passed over. For the VAE also
 * a file that is a VAE alone, with the original's names or diffusers'.
 *
 * Checkpoints of other kinds (SDXL, Stable Diffusion 2, inpainting, v-prediction …) are
 * refused with what showed it.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/models/model_parts.h"
#include "engine/models/weight_table.h"

G_BEGIN_DECLS

/*
 * The arrays of one part under the names that the models ask for.
 * W2W_ERROR_FILE, W2W_ERROR_FORMAT, W2W_ERROR_UNSUPPORTED.
 */
GHashTable *w2w_checkpoint_read(const char *path, W2wModelPart part, GError **error);

/*
 * The part's settings, as its config.json would say them: what the shapes of `arrays` show, and
 * Stable Diffusion 1.x' own values for the rest. W2W_ERROR_UNSUPPORTED where a setting can be
 * neither seen nor guessed.
 */
JsonObject *w2w_checkpoint_get_settings(GHashTable *arrays, W2wModelPart part, const char *path,
                                        GError **error);

G_END_DECLS
