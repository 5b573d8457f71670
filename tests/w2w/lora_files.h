/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small LoRA files for tests, as safetensors or pickles. A failure aborts the test program. */
#pragma once

#include "engine/array.h"
#include "engine/w2w/lora_file.h"

G_BEGIN_DECLS

/* A tensor of a file. Without dimensions: the one number `value`; otherwise numbers that depend on
 * the place alone, the first of them `value` where that is not 0. */
typedef struct {
    const char *key; /* NULL ends a list */
    guint n_dims;
    gint64 shape[4];
    float value;
} LoraTensor;

/* Files of `tensors` in `folder`: a pickle where `name` does not end in ".safetensors". `metadata`
 * is what diffusers keeps under "lora_adapter_metadata"; NULL: nothing. */
void write_lora(const char *folder, const char *name, const LoraTensor *tensors,
                const char *metadata);

/* One file `lora.safetensors` in a folder of its own (with adapter_config.json where `config` is
 * not NULL), opened; the folder is gone afterwards. */
W2wLora *open_lora(const LoraTensor *tensors, const char *config, const char *metadata,
                   GError **error);

G_END_DECLS
