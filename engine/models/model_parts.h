/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the parts of a model lie: a diffusers folder has one for each part, a single-file
 * checkpoint has all of them in itself.
 *
 * What a checkpoint cannot say (how many heads its attentions have, which tokenizer and
 * sampler it wants) may lie beside it in a folder of the same name without the extension:
 * anything.safetensors and anything/unet/config.json, anything/tokenizer/… . Without it the
 * settings of Stable Diffusion 1.x hold.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    W2W_PART_TEXT_ENCODER,
    W2W_PART_UNET,
    W2W_PART_VAE,
} W2wModelPart;
#define W2W_N_MODEL_PARTS (W2W_PART_VAE + 1)

/* The name of its folder: "text_encoder", "unet", "vae". */
extern const char *const w2w_model_part_names[W2W_N_MODEL_PARTS];

/* Is it a checkpoint, no folder? */
gboolean w2w_model_is_file(const char *model);

/* What w2w_unet_open() etc. take: MODEL/unet, or MODEL itself where it is a file. Caller frees. */
char *w2w_model_part_path(const char *model, const char *part);

/* The folder of settings beside a checkpoint; NULL where it has none. Caller frees. */
char *w2w_model_get_settings_folder(const char *checkpoint);

/* The folder of the tokenizer; `clip` (CLIP's own vocabulary) where a checkpoint names no other. */
char *w2w_model_tokenizer_path(const char *model, const char *clip);

/* scheduler_config.json; NULL: Stable Diffusion 1.x' own settings. Caller frees. */
char *w2w_model_scheduler_path(const char *model);

G_END_DECLS
