/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Byte-pair encoding of one word, as GPT-2 and CLIP do it.
 *
 * A word is its bytes, each written as one character (GPT-2's table, so that no byte is a
 * space or a control character), the last one with "</w>" behind it. The pair of
 * neighbours with the lowest rank is merged, everywhere in the word at once, until no pair
 * has a rank. Source: Sennrich et al. 2016 (arXiv 1508.07909); transformers' CLIPTokenizer.
 * Symbols are the strings that this can produce, numbered; two ways to the same string
 * are the same symbol.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wBpe W2wBpe;

#define W2W_NO_TOKEN (-1)

/* Knows the 256 bytes, at the beginning and at the end of words, without ids. */
W2wBpe *w2w_bpe_new(void);
void w2w_bpe_free(W2wBpe *bpe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wBpe, w2w_bpe_free)

/* The symbol's token id becomes `id`. */
void w2w_bpe_set_id(W2wBpe *bpe, const char *symbol, gint32 id);

/* W2W_NO_TOKEN where the symbol is unknown or has no id. */
gint32 w2w_bpe_get_id(const W2wBpe *bpe, const char *symbol);

/* Ranks count up with the calls; the later of two equal pairs counts. */
void w2w_bpe_add_merge(W2wBpe *bpe, const char *first, const char *second);

/* To be called once, behind the last merge and before the first word. */
void w2w_bpe_finish(W2wBpe *bpe);

/* Memory that is kept from word to word. Begin with zeros. */
typedef struct {
    guint32 *symbols, *next, *before; /* (capacity): a list of what is left of the word */
    guint64 *heap;                    /* rank << 32 | position: pairs that could be merged */
    guint32 *merged;                  /* positions merged in this round */
    gsize capacity;
    gsize n_heap;
} W2wBpeWord;

void w2w_bpe_word_clear(W2wBpeWord *word);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wBpeWord, w2w_bpe_word_clear)

/*
 * Encodes the `n` (at least 1) bytes of a word; then the tokens are got one by one.
 * Time n log n. W2W_ERROR_MEMORY; W2W_ERROR_USAGE for 2^31 bytes or more.
 */
gboolean w2w_bpe_encode(const W2wBpe *bpe, const guint8 *bytes, gsize n, W2wBpeWord *word,
                        GError **error);

/* Walks the tokens: `*at` 0 in the beginning; FALSE behind the last. `*id` may be W2W_NO_TOKEN. */
gboolean w2w_bpe_next_token(const W2wBpe *bpe, const W2wBpeWord *word, guint32 *at, gint32 *id);

G_END_DECLS
