/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Byte-pair encoding with a linked list and a heap, so that a word of a million letters
 * costs n log n and not n squared.
 *
 * All pairs of the lowest rank are merged from left to right before a pair that a merge
 * has made is looked at: with merges in odd orders that is not the same as always taking
 * the lowest pair, and it is what the original does.
 */
#include "engine/models/tokenizer_bpe.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

#define N_BYTES     256
#define END_OF_WORD "</w>"
#define NONE        G_MAXUINT32 /* no symbol, no position */

typedef struct {
    guint64 pair; /* first symbol << 32 | second */
    guint32 rank, result;
} Merge;

struct _W2wBpe {
    GStringChunk *strings;
    GHashTable *symbols; /* string → number */
    GArray *ids;         /* gint32 by symbol */
    GArray *merges;      /* Merge by rank */
    GHashTable *ranks;   /* &Merge.pair → Merge */
    guint32 inner[N_BYTES], last[N_BYTES];
};

/* A string that is not yet known gets the next number. */
static guint32 symbol_number(W2wBpe *bpe, const char *string)
{
    const gint32 no_id = W2W_NO_TOKEN;
    gpointer number;

    if (g_hash_table_lookup_extended(bpe->symbols, string, NULL, &number))
        return GPOINTER_TO_UINT(number);
    number = GUINT_TO_POINTER(bpe->ids->len);
    g_hash_table_insert(bpe->symbols, g_string_chunk_insert(bpe->strings, string), number);
    g_array_append_val(bpe->ids, no_id);
    return GPOINTER_TO_UINT(number);
}

/* Printable bytes of Latin-1 stand for themselves, the others for what follows U+0100. */
static gboolean is_printable(guint byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

static void add_bytes(W2wBpe *bpe)
{
    gunichar next = 0x100;

    for (guint byte = 0; byte < N_BYTES; byte++) {
        char string[6 + sizeof END_OF_WORD];
        const gint length = g_unichar_to_utf8(is_printable(byte) ? byte : next++, string);

        string[length] = '\0';
        bpe->inner[byte] = symbol_number(bpe, string);
        strcpy(string + length, END_OF_WORD);
        bpe->last[byte] = symbol_number(bpe, string);
    }
}

static guint pair_hash(gconstpointer pair)
{
    return (guint)((*(const guint64 *)pair * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)) >> 32);
}

W2wBpe *w2w_bpe_new(void)
{
    W2wBpe *bpe = g_new0(W2wBpe, 1);

    bpe->strings = g_string_chunk_new(4096);
    bpe->symbols = g_hash_table_new(g_str_hash, g_str_equal);
    bpe->ids = g_array_new(FALSE, FALSE, sizeof(gint32));
    bpe->merges = g_array_new(FALSE, FALSE, sizeof(Merge));
    bpe->ranks = g_hash_table_new(pair_hash, g_int64_equal);
    return bpe;
}

void w2w_bpe_free(W2wBpe *bpe)
{
    if (bpe == NULL)
        return;
    g_hash_table_unref(bpe->ranks);
    g_hash_table_unref(bpe->symbols);
    g_array_unref(bpe->merges);
    g_array_unref(bpe->ids);
    g_string_chunk_free(bpe->strings);
    g_free(bpe);
}

void w2w_bpe_set_id(W2wBpe *bpe, const char *symbol, gint32 id)
{
    const guint32 number = symbol_number(bpe, symbol);

    g_array_index(bpe->ids, gint32, number) = id;
}

gint32 w2w_bpe_get_id(const W2wBpe *bpe, const char *symbol)
{
    gpointer number;

    if (!g_hash_table_lookup_extended(bpe->symbols, symbol, NULL, &number))
        return W2W_NO_TOKEN;
    return g_array_index(bpe->ids, gint32, GPOINTER_TO_UINT(number));
}

static guint64 pair_of(guint32 first, guint32 second)
{
    return (guint64)first << 32 | second;
}

void w2w_bpe_add_merge(W2wBpe *bpe, const char *first, const char *second)
{
    g_autofree char *both = g_strconcat(first, second, NULL);
    const Merge merge = {
        .pair = pair_of(symbol_number(bpe, first), symbol_number(bpe, second)),
        .rank = bpe->merges->len,
        .result = symbol_number(bpe, both),
    };

    g_array_append_val(bpe->merges, merge);
}

void w2w_bpe_finish(W2wBpe *bpe)
{
    add_bytes(bpe); /* now, so that files that are refused cost nothing of it */
    for (guint i = 0; i < bpe->merges->len; i++) {
        Merge *merge = &g_array_index(bpe->merges, Merge, i);

        g_hash_table_replace(bpe->ranks, &merge->pair, merge);
    }
}

/* --- one word --- */

static void free_arrays(W2wBpeWord *word)
{
    w2w_aligned_free(word->symbols);
    w2w_aligned_free(word->next);
    w2w_aligned_free(word->before);
    w2w_aligned_free(word->heap);
    w2w_aligned_free(word->merged);
}

void w2w_bpe_word_clear(W2wBpeWord *word)
{
    free_arrays(word);
    memset(word, 0, sizeof *word);
}

/*
 * A heap never holds more than 3 entries a byte: one for each pair of the beginning, and
 * at most two for each of the fewer than n merges.
 */
static gboolean reserve(W2wBpeWord *word, gsize n, GError **error)
{
    const char *const what = "a long word of the prompt";
    gsize capacity;

    if (n <= word->capacity)
        return TRUE;
    capacity = MAX(n + n / 2, 64);
    w2w_bpe_word_clear(word);
    word->symbols = w2w_aligned_alloc(capacity, sizeof(guint32), what, error);
    word->next =
        word->symbols == NULL ? NULL : w2w_aligned_alloc(capacity, sizeof(guint32), what, error);
    word->before =
        word->next == NULL ? NULL : w2w_aligned_alloc(capacity, sizeof(guint32), what, error);
    word->merged =
        word->before == NULL ? NULL : w2w_aligned_alloc(capacity, sizeof(guint32), what, error);
    word->heap =
        word->merged == NULL ? NULL : w2w_aligned_alloc(capacity, 3 * sizeof(guint64), what, error);
    if (word->heap == NULL) {
        w2w_bpe_word_clear(word);
        return FALSE;
    }
    word->capacity = capacity;
    return TRUE;
}

static void heap_push(W2wBpeWord *word, guint64 entry)
{
    gsize at = word->n_heap++;

    while (at > 0 && word->heap[(at - 1) / 2] > entry) {
        word->heap[at] = word->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    word->heap[at] = entry;
}

static guint64 heap_pop(W2wBpeWord *word)
{
    const guint64 first = word->heap[0], entry = word->heap[--word->n_heap];
    gsize at = 0, child;

    while ((child = 2 * at + 1) < word->n_heap) {
        if (child + 1 < word->n_heap && word->heap[child + 1] < word->heap[child])
            child++;
        if (word->heap[child] >= entry)
            break;
        word->heap[at] = word->heap[child];
        at = child;
    }
    word->heap[at] = entry;
    return first;
}

/* The merge of the symbols at `at` and behind it; NULL where there is none. */
static const Merge *merge_at(const W2wBpe *bpe, const W2wBpeWord *word, guint32 at)
{
    guint64 pair;

    if (word->symbols[at] == NONE || word->next[at] == NONE)
        return NULL;
    pair = pair_of(word->symbols[at], word->symbols[word->next[at]]);
    return g_hash_table_lookup(bpe->ranks, &pair);
}

static void push_pair(const W2wBpe *bpe, W2wBpeWord *word, guint32 at)
{
    const Merge *merge = merge_at(bpe, word, at);

    if (merge != NULL)
        heap_push(word, pair_of(merge->rank, at));
}

static void merge_behind(W2wBpeWord *word, guint32 at, guint32 result)
{
    const guint32 behind = word->next[at];

    word->symbols[at] = result;
    word->symbols[behind] = NONE;
    word->next[at] = word->next[behind];
    if (word->next[at] != NONE)
        word->before[word->next[at]] = at;
}

/* One round: all pairs of the lowest rank, from left to right. */
static void merge_lowest(const W2wBpe *bpe, W2wBpeWord *word)
{
    const guint32 rank = (guint32)(word->heap[0] >> 32);
    gsize n_merged = 0;

    while (word->n_heap > 0 && word->heap[0] >> 32 == rank) {
        const guint32 at = (guint32)heap_pop(word);
        const Merge *merge = merge_at(bpe, word, at);

        if (merge == NULL || merge->rank != rank)
            continue; /* a neighbour was merged since this pair was found */
        merge_behind(word, at, merge->result);
        word->merged[n_merged++] = at;
    }
    for (gsize i = 0; i < n_merged; i++) {
        const guint32 at = word->merged[i];

        if (word->before[at] != NONE)
            push_pair(bpe, word, word->before[at]);
        push_pair(bpe, word, at);
    }
}

gboolean w2w_bpe_encode(const W2wBpe *bpe, const guint8 *bytes, gsize n, W2wBpeWord *word,
                        GError **error)
{
    if (n > G_MAXINT32) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A word of the prompt has %" G_GSIZE_FORMAT " bytes, which is too long.", n);
        return FALSE;
    }
    if (!reserve(word, n, error))
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        word->symbols[i] = i == n - 1 ? bpe->last[bytes[i]] : bpe->inner[bytes[i]];
        word->next[i] = i == n - 1 ? NONE : (guint32)(i + 1);
        word->before[i] = i == 0 ? NONE : (guint32)(i - 1);
    }
    word->n_heap = 0;
    for (gsize i = 0; i < n; i++)
        push_pair(bpe, word, (guint32)i);
    while (word->n_heap > 0)
        merge_lowest(bpe, word);
    return TRUE;
}

gboolean w2w_bpe_next_token(const W2wBpe *bpe, const W2wBpeWord *word, guint32 *at, gint32 *id)
{
    if (*at == NONE)
        return FALSE;
    *id = g_array_index(bpe->ids, gint32, word->symbols[*at]);
    *at = word->next[*at];
    return TRUE;
}
