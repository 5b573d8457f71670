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
 * `directory`: text_encoder/ of a diffusers folder (config.json and weights). Everything is
 * checked here, as in w2w_unet_open().
 */
W2wTextEncoder *w2w_text_encoder_open(const char *directory, GError **error);
void w2w_text_encoder_free(W2wTextEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wTextEncoder, w2w_text_encoder_free)

gint w2w_text_encoder_get_width(const W2wTextEncoder *encoder);
gint w2w_text_encoder_get_length(const W2wTextEncoder *encoder); /* positions: 77 */
gint w2w_text_encoder_get_vocabulary_size(const W2wTextEncoder *encoder);
const char *w2w_text_encoder_get_fingerprint(W2wTextEncoder *encoder); /* of its weights */

/*
 * Inputs: "input_ids" (batch,1,length,1) as floats. Output: "text_embedding"
 * (batch,1,length,width). `inspect`: also "hidden_0" … "hidden_<n>" (before each layer and
 * after the last, without the final norm). W2W_ERROR_USAGE: a batch out of range.
 */
W2wGraph *w2w_text_encoder_record(W2wTextEncoder *encoder, gint batch, gboolean inspect,
                                  GError **error);

G_END_DECLS
