/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of a tokenizer/ folder.
 *
 * vocab.json and merges.txt must be there; tokenizer_config.json, special_tokens_map.json,
 * added_tokens.json and tokenizer.json (its added tokens only) are read where they are,
 * with transformers' order of precedence: if tokenizer_config.json has
 * "added_tokens_decoder", it alone counts, else special_tokens_map.json overrides it and
 * the other two add to it. Start, end, padding and unknown token come from here and from
 * nowhere else: text_encoder/config.json of real folders names wrong ones.
 */
#pragma once

#include "engine/models/tokenizer_bpe.h"

G_BEGIN_DECLS

/* A token that is found in the prompt as it stands, before anything else happens to it. */
typedef struct {
    char *content; /* UTF-8, not empty; owned */
    gsize length;  /* in bytes */
    gint32 id;
} W2wAddedToken;

typedef struct {
    W2wBpe *bpe;
    GArray *added_tokens; /* W2wAddedToken, the longest first */
    gint32 start_id, end_id, padding_id, unknown_id;
    guint vocabulary_size; /* largest id + 1 */
} W2wTokenizerFiles;

/*
 * W2W_ERROR_FILE, W2W_ERROR_FORMAT, W2W_ERROR_UNSUPPORTED (a tokenizer of another class, or
 * a setting that changes ids and is not implemented). On failure `files` is left as
 * w2w_tokenizer_files_clear() leaves it.
 */
gboolean w2w_tokenizer_files_load(W2wTokenizerFiles *files, const char *directory, GError **error);
void w2w_tokenizer_files_clear(W2wTokenizerFiles *files);

G_END_DECLS
