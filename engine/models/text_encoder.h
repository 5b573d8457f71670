/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CLIP's text transformer: ids → last hidden state after the final layer norm.
 * Source: transformers' CLIPTextModel (causal mask, quick_gelu or gelu by the config).
 */
#pragma once

#include "engine/graph/graph.h"

G_BEGIN_DECLS

typedef struct _W2wTextEncoder W2wTextEncoder;

/*
 * `path`: text_encoder/ of a diffusers folder (config.json and weights) or a checkpoint
 * (part_files.h). Everything is checked here, as in w2w_unet_open().
 */
W2wTextEncoder *w2w_text_encoder_open(const char *path, GError **error);
void w2w_text_encoder_free(W2wTextEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wTextEncoder, w2w_text_encoder_free)

gint w2w_text_encoder_get_width(const W2wTextEncoder *encoder);
gint w2w_text_encoder_get_length(const W2wTextEncoder *encoder); /* positions: 77 */
gint w2w_text_encoder_get_vocabulary_size(const W2wTextEncoder *encoder);
const char *w2w_text_encoder_get_fingerprint(W2wTextEncoder *encoder); /* of its weights */

/*
 * A LoRA folded in: `delta` (as many numbers as the weight has, in its layout) is added to the
 * weight of that name ("text_model.encoder.layers.0.self_attn.q_proj.weight"). It counts for graphs
 * that are recorded afterwards; see w2w_weights_add_delta(). W2W_ERROR_MISMATCH: no such weight.
 */
gboolean w2w_text_encoder_add_weight_delta(W2wTextEncoder *encoder, const char *name,
                                           const float *delta, GError **error);
void w2w_text_encoder_clear_weight_deltas(W2wTextEncoder *encoder);

/* As it stands, deltas included; NULL where there is none. Borrowed: until the next delta. */
const W2wArray *w2w_text_encoder_peek_weight(const W2wTextEncoder *encoder, const char *name);

/*
 * Inputs: "input_ids" (batch,1,length,1) as floats. Output: "text_embedding"
 * (batch,1,length,width). `inspect`: also "hidden_0" … "hidden_<n>" (before each layer and
 * after the last, without the final norm). W2W_ERROR_USAGE: a batch out of range.
 */
W2wGraph *w2w_text_encoder_record(W2wTextEncoder *encoder, gint batch, gboolean inspect,
                                  GError **error);

G_END_DECLS
