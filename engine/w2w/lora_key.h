/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of LoRA factors, as PEFT, diffusers, kohya and weights2weights write them:
 *
 *   base_model.model.down_blocks.0.….attn1.to_q.lora_A.weight
 *   lora_unet_down_blocks.0.….attn1.to_q_lora_A.weight
 *   unet.down_blocks.0.….attn1.to_q.lora_A.identity1.weight
 *   lora_unet_down_blocks_0_…_attn1_to_q.lora_down.weight
 *
 * all name factor A of the module down_blocks.0.….attn1.to_q.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The module's path with dots; caller frees. NULL where `key` names no LoRA factor. */
char *w2w_lora_key_parse(const char *key, gboolean *is_b);

G_END_DECLS
