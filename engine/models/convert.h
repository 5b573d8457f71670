/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A model in any form that can be read (part_files.h) → a diffusers folder of today:
 * unet/, vae/, text_encoder/ (config.json and safetensors), tokenizer/, scheduler/,
 * model_index.json.
 */
#pragma once

#include "engine/array.h"
#include "engine/progress.h"

G_BEGIN_DECLS

typedef struct {
    const char *vae;  /* a VAE to take instead of the model's: a folder like vae/ or a model's, or a
                         file; NULL: the model's own */
    const char *clip; /* the folder of CLIP's vocabulary, for checkpoints */
    gboolean keep_dtypes; /* every weight as it is, else all as … */
    W2wDType dtype;       /* F16, BF16 or F32 */
} W2wConvertOptions;

/*
 * Writes `folder`, which must not exist or be empty, whole or not at all: it is made under
 * another name beside its place. The model is opened and checked first. Weights are read and
 * written one by one. W2W_ERROR_FILE, W2W_ERROR_MISMATCH (parts of different models) and what
 * opening may say.
 */
gboolean w2w_model_convert(const char *model, const char *folder, const W2wConvertOptions *options,
                           const W2wProgress *progress, GError **error);

G_END_DECLS
