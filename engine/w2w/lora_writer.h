/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An identity's LoRA in the files of other tools. Each tool's own loader finds the same product
 * scale · B A in them, and w2w_lora_open() the same theta:
 *
 *   PEFT       a folder: adapter_model.safetensors, and adapter_config.json with rank and alpha
 *   diffusers  one file; the scale is folded into B, which every version understands
 *   kohya      one file, with an alpha beside every pair of factors
 *   upstream   as PEFT, with weights2weights' adapter name identity1 in the keys
 */
#pragma once

#include "engine/w2w/lora_key.h"
#include "engine/w2w/space.h"

G_BEGIN_DECLS

/* The name of the file that holds the tensors in the format's folder; NULL: a file of any name. */
const char *w2w_lora_writer_get_file_name(W2wLoraFormat format);
#define W2W_LORA_CONFIG_FILE "adapter_config.json"

/*
 * The safetensors of `theta` (n_weights of the space, which has to have keys): float32, in the
 * space's order, the same bytes each time. W2W_ERROR_UNSUPPORTED without keys; W2W_ERROR_MEMORY.
 */
GBytes *w2w_lora_writer_get_tensors(const W2wSpace *space, const float *theta, W2wLoraFormat format,
                                    GError **error);

/* adapter_config.json of the folder formats. */
GBytes *w2w_lora_writer_get_config(const W2wSpace *space);

/* The same for weights that are of no space: where the factors lie in theta, and the product's
 * scale, alpha / rank. */
typedef struct {
    const W2wSpaceKey *keys;
    guint n_keys; /* 1 at least */
    float scale;
} W2wLoraLayout;
GBytes *w2w_lora_writer_get_tensors_of(const W2wLoraLayout *layout, const float *theta,
                                       W2wLoraFormat format, GError **error);
GBytes *w2w_lora_writer_get_config_of(const W2wLoraLayout *layout);

G_END_DECLS
