/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of LoRA tensors, as PEFT, diffusers, kohya and weights2weights write them:
 *
 *   base_model.model.down_blocks.0.….attn1.to_q.lora_A.weight           PEFT
 *   unet.down_blocks.0.….attn1.to_q.lora_A.weight                       diffusers
 *   unet.down_blocks.0.….attn1.processor.to_q_lora.down.weight          diffusers, older
 *   text_encoder.text_model.….q_proj.lora_linear_layer.down.weight      diffusers, older
 *   lora_unet_down_blocks_0_…_attn1_to_q.lora_down.weight               kohya
 *   lora_unet_input_blocks_1_1_…_attn1_to_q.lora_down.weight            kohya, LDM's blocks
 *   lora_unet_down_blocks.0.….attn1.to_q_lora_A.weight                  weights2weights
 *   base_model.model.down_blocks.0.….attn1.to_q.lora_A.identity1.weight weights2weights
 *
 * all name factor A of a module whose path diffusers writes down_blocks.0.….attn1.to_q.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Whose names they are. */
typedef enum {
    W2W_LORA_FORMAT_PEFT,
    W2W_LORA_FORMAT_DIFFUSERS,
    W2W_LORA_FORMAT_KOHYA,
    W2W_LORA_FORMAT_UPSTREAM, /* weights2weights' own */
} W2wLoraFormat;

/* "peft", "diffusers", "kohya", "upstream"; NULL terminated. */
extern const char *const w2w_lora_format_names[];

typedef enum {
    W2W_LORA_PART_A, /* lora_A, lora_down */
    W2W_LORA_PART_B, /* lora_B, lora_up */
    W2W_LORA_PART_ALPHA,
} W2wLoraPart;

typedef struct {
    char *path;    /* the module's, with dots, as diffusers and transformers name it */
    char *adapter; /* the name between factor and ".weight"; NULL where there is none */
    gboolean in_text_encoder;
    W2wLoraPart part;
    W2wLoraFormat format;
} W2wLoraKey;

/* FALSE, and nothing in `parsed`, where `key` names no part of a LoRA. */
gboolean w2w_lora_key_read(const char *key, W2wLoraKey *parsed);
void w2w_lora_key_clear(W2wLoraKey *parsed);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wLoraKey, w2w_lora_key_clear)

/* Only factors of the UNet: the module's path, which the caller frees; else NULL. */
char *w2w_lora_key_parse(const char *key, gboolean *is_b);

/*
 * A path of LDM's ("input_blocks.1.1.proj_in") as diffusers names it ("down_blocks.0.attentions.0.
 * proj_in"), for the two resnets per block of Stable Diffusion 1.x. Other paths come back as they
 * are; NULL for one that starts as LDM's do and is none. Caller frees.
 */
char *w2w_lora_key_path_from_ldm(const char *path);

G_END_DECLS
