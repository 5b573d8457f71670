/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The CLIP byte-pair tokenizer, from a diffusers folder's tokenizer/ directory.
 *
 * Source of the behaviour: transformers' CLIPTokenizer without ftfy (clean-up, NFC,
 * lower case, CJK spacing, then the CLIP pattern and byte-level BPE), which is what
 * the reference outputs were made with.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wTokenizer W2wTokenizer;

/* Reads vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json. */
W2wTokenizer *w2w_tokenizer_new(const char *directory, GError **error);
void w2w_tokenizer_free(W2wTokenizer *tokenizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wTokenizer, w2w_tokenizer_free)

guint w2w_tokenizer_get_vocabulary_size(const W2wTokenizer *tokenizer);

/*
 * Writes exactly `length` ids: start token, the prompt's, end token, padding; a longer
 * prompt is cut so that the end token still fits. `n_cut`, where not NULL, receives the
 * number of ids that did not fit (a user wants to know). `prompt` is UTF-8; invalid
 * UTF-8 is W2W_ERROR_USAGE.
 */
gboolean w2w_tokenizer_encode(const W2wTokenizer *tokenizer, const char *prompt, guint length,
                              gint32 *ids, guint *n_cut, GError **error);

G_END_DECLS
