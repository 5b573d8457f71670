/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LoRA files, as PEFT, diffusers, kohya's scripts and weights2weights write them.
 *
 * Each is read as its own tool's loader reads it: delta W = scale · B A, where the scale is
 *   PEFT        lora_alpha / r (rank_pattern and alpha_pattern included; √r with use_rslora) of the
 *               adapter_config.json that has to lie beside it
 *   diffusers   the same from the metadata "lora_adapter_metadata", else alpha / rank with
 *               "<module>.alpha", else 1
 *   kohya       alpha / rank with "<module>.alpha"; 1 where that is missing or 0
 *   upstream    as PEFT where there is an adapter_config.json beside it, else weights2weights' own
 *               27 / rank: its exports of one identity have no other scale
 *
 * Refused, with the name of the key or of the setting: LoHa, LoKr, DoRA and others that are not
 * B A, bias, Stable Diffusion XL's second text encoder, keys that nobody knows, factors that do not
 * fit together, numbers that are not finite, more than W2W_LORA_MAX_MODULES modules or
 * W2W_LORA_MAX_RANK ranks. The tensors stay mapped.
 */
#pragma once

#include "engine/array.h"
#include "engine/w2w/lora_key.h"

G_BEGIN_DECLS

#define W2W_LORA_MAX_RANK    1024
#define W2W_LORA_MAX_MODULES 4096

typedef struct {
    char *path; /* "down_blocks.0.….attn1.to_q", "text_model.….q_proj" */
    gboolean in_text_encoder;
    guint rank;
    double scale; /* delta W = scale · B A */
    W2wArray *a;  /* (rank,in) or (rank,in,kh,kw) */
    W2wArray *b;  /* (out,rank) or (out,rank,1,1) */
} W2wLoraModule;

typedef struct {
    char *source; /* the file that holds the tensors */
    W2wLoraFormat format;
    GPtrArray *modules; /* W2wLoraModule, in the file's order; one at least */
} W2wLora;

/* What a LoRA's file is called in a folder, in the order in which it is looked for; NULL
 * terminated.
 */
extern const char *const w2w_lora_file_names[];

/*
 * `path`: a file (.safetensors, or a pickle: .bin, .pt …) or a folder with adapter_model.*,
 * pytorch_lora_weights.* or one single such file. W2W_ERROR_FILE, _FORMAT, _UNSUPPORTED, _MISMATCH
 * (ranks that contradict the configuration), _MEMORY.
 */
W2wLora *w2w_lora_open(const char *path, GError **error);
void w2w_lora_free(W2wLora *lora);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wLora, w2w_lora_free)

/* Elements of the weight that the module changes, and of its first dimension. */
gint64 w2w_lora_module_get_n_elements(const W2wLoraModule *module);
gint64 w2w_lora_module_get_n_out(const W2wLoraModule *module);

/*
 * delta (n) = strength · scale · B A, in the layout of the weight (out,in[,kh,kw]), added up in
 * double. W2W_ERROR_MISMATCH where the weight has another number of elements; _USAGE where the
 * strength is not finite; _FORMAT where the product is more than a float can hold; _MEMORY.
 */
gboolean w2w_lora_module_get_delta(const W2wLoraModule *module, double strength, gint64 n,
                                   float *delta, GError **error);

G_END_DECLS
