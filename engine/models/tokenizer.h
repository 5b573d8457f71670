/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The CLIP byte-pair tokenizer, from a diffusers folder's tokenizer/ directory.
 *
 * Source of the behaviour: transformers' CLIPTokenizer without ftfy (clean-up, CJK
 * spacing, NFC, lower case, then the CLIP pattern and byte-level BPE), which is what
 * the reference outputs were made with. Special and added tokens inside a prompt
 * ("<|endoftext|>") are found first and stand for themselves, as there. Checked against
 * transformers 4.56 id for id. What differs: characters newer than the Unicode version of
 * the one (GLib's) or the other (Python's), which the one that does not know them drops;
 * added tokens that overlap one another ("ab" beside "<ab>"), where the first and then the
 * longest is taken here, and transformers' search may miss one; "single_word" tokens and
 * malformed merges are refused here.
 * A tokenizer never changes: many threads may use one.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wTokenizer W2wTokenizer;

/*
 * Reads vocab.json and merges.txt, and where they are tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json (tokenizer_files.h). W2W_ERROR_FILE,
 * W2W_ERROR_FORMAT, W2W_ERROR_UNSUPPORTED; the message names the file.
 */
W2wTokenizer *w2w_tokenizer_new(const char *directory, GError **error);
void w2w_tokenizer_free(W2wTokenizer *tokenizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wTokenizer, w2w_tokenizer_free)

/* Largest id + 1: what the text encoder's embedding must have rows for. */
guint w2w_tokenizer_get_vocabulary_size(const W2wTokenizer *tokenizer);

/*
 * Writes exactly `length` ids: start token, the prompt's, end token, padding; a longer
 * prompt is cut so that the end token still fits. `n_cut`, where not NULL, receives the
 * number of ids that did not fit (a user wants to know). `prompt` is UTF-8; invalid
 * UTF-8, or a length below 2, is W2W_ERROR_USAGE. Takes time n log n in the prompt, however
 * it is made. W2W_ERROR_MEMORY.
 */
gboolean w2w_tokenizer_encode(const W2wTokenizer *tokenizer, const char *prompt, guint length,
                              gint32 *ids, guint *n_cut, GError **error);

G_END_DECLS
