/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From prompt to ids: added tokens first, then CLIP's pattern, then byte pairs.
 *
 * Nothing is cached between calls: a tokenizer is read by many threads, and a prompt's
 * words cost microseconds.
 */
#include "engine/models/tokenizer.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/models/tokenizer_bpe.h"
#include "engine/models/tokenizer_files.h"
#include "engine/models/tokenizer_text.h"

#define START_TEXT   "<|startoftext|>"
#define END_TEXT     "<|endoftext|>"
#define IOTA_BELOW   0x0345
#define LONG_S       0x017f
#define UTF8_MAX     4
#define SURROUNDINGS 2 /* the start and the end token */

struct _W2wTokenizer {
    W2wTokenizerFiles files;
    gboolean begins_added_token[256]; /* by first byte */
};

/* Where ids go. Those beyond the capacity are only counted. */
typedef struct {
    gint32 *ids;
    gsize capacity, n;
} Sink;

typedef struct {
    const W2wTokenizer *tokenizer;
    Sink sink;
    W2wCharacters characters;
    W2wBpeWord word;
} Encoder;

W2wTokenizer *w2w_tokenizer_new(const char *directory, GError **error)
{
    g_autoptr(W2wTokenizer) tokenizer = g_new0(W2wTokenizer, 1);

    if (!w2w_tokenizer_files_load(&tokenizer->files, directory, error))
        return NULL;
    for (guint i = 0; i < tokenizer->files.added_tokens->len; i++) {
        const W2wAddedToken *token =
            &g_array_index(tokenizer->files.added_tokens, W2wAddedToken, i);

        tokenizer->begins_added_token[(guchar)token->content[0]] = TRUE;
    }
    return g_steal_pointer(&tokenizer);
}

void w2w_tokenizer_free(W2wTokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    w2w_tokenizer_files_clear(&tokenizer->files);
    g_free(tokenizer);
}

guint w2w_tokenizer_get_vocabulary_size(const W2wTokenizer *tokenizer)
{
    return tokenizer->files.vocabulary_size;
}

static void put_id(Encoder *encoder, gint32 id)
{
    if (encoder->sink.n < encoder->sink.capacity)
        encoder->sink.ids[encoder->sink.n] =
            id == W2W_NO_TOKEN ? encoder->tokenizer->files.unknown_id : id;
    encoder->sink.n++;
}

/* --- the pattern --- */

/* The characters of `literal` at `at`? The pattern ignores case, and ſ is an s to it. */
static gboolean begins_with(const W2wCharacters *text, gsize at, const char *literal)
{
    for (; *literal != '\0'; literal++, at++) {
        if (at >= text->n)
            return FALSE;
        if (text->at[at] != (gunichar)*literal && !(text->at[at] == LONG_S && *literal == 's'))
            return FALSE;
    }
    return TRUE;
}

/* GAP is what no part of the pattern matches. */
typedef enum { GAP, LETTER, NUMBER, OTHER } CharacterClass;

static CharacterClass class_of(gunichar c)
{
    /* A mark, but also a case of the letter iota, which the pattern, ignoring case, excludes. */
    if (c == ' ' || c == IOTA_BELOW)
        return GAP;
    switch (g_unichar_type(c)) {
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER:
        return LETTER;
    case G_UNICODE_DECIMAL_NUMBER:
    case G_UNICODE_LETTER_NUMBER:
    case G_UNICODE_OTHER_NUMBER:
        return NUMBER;
    default:
        return OTHER;
    }
}

/* End of the word that begins at `at`, where there is no gap. */
static gsize word_end(const W2wCharacters *text, gsize at)
{
    static const char *const literals[] = {START_TEXT, END_TEXT, "'s",  "'t", "'re",
                                           "'ve",      "'m",     "'ll", "'d"};
    const CharacterClass class = class_of(text->at[at]);
    gsize end = at + 1;

    if (class == OTHER) {
        for (guint i = 0; i < G_N_ELEMENTS(literals); i++) {
            if (begins_with(text, at, literals[i]))
                return at + strlen(literals[i]);
        }
    }
    while (class != NUMBER && end < text->n && class_of(text->at[end]) == class)
        end++;
    return end;
}

static gboolean encode_word(Encoder *encoder, const char *bytes, gsize n, GError **error)
{
    const W2wBpe *bpe = encoder->tokenizer->files.bpe;
    guint32 at = 0;
    gint32 id;

    if (g_str_equal(bytes, START_TEXT) || g_str_equal(bytes, END_TEXT)) {
        put_id(encoder, w2w_bpe_get_id(bpe, bytes));
        return TRUE;
    }
    if (!w2w_bpe_encode(bpe, (const guint8 *)bytes, n, &encoder->word, error))
        return FALSE;
    while (w2w_bpe_next_token(bpe, &encoder->word, &at, &id))
        put_id(encoder, id);
    return TRUE;
}

/* `piece`: what is between two added tokens. */
static gboolean encode_piece(Encoder *encoder, const char *piece, gsize length, GError **error)
{
    const W2wCharacters *text = &encoder->characters;
    W2W_AUTO_ALIGNED char *bytes = NULL;

    if (!w2w_prompt_normalize(piece, length, &encoder->characters, error))
        return FALSE;
    bytes = w2w_aligned_alloc(text->n + 1, UTF8_MAX, "the words of the prompt", error);
    if (bytes == NULL)
        return FALSE;
    for (gsize at = 0; at < text->n;) {
        gsize end, n = 0;

        if (class_of(text->at[at]) == GAP) {
            at++;
            continue;
        }
        end = word_end(text, at);
        for (; at < end; at++)
            n += (gsize)g_unichar_to_utf8(text->at[at], bytes + n);
        bytes[n] = '\0';
        if (!encode_word(encoder, bytes, n, error))
            return FALSE;
    }
    return TRUE;
}

/* --- added tokens --- */

/* The longest added token that stands at `at`. */
static const W2wAddedToken *added_token_at(const W2wTokenizer *tokenizer, const char *at,
                                           const char *end)
{
    const GArray *tokens = tokenizer->files.added_tokens;

    if (!tokenizer->begins_added_token[(guchar)*at])
        return NULL;
    for (guint i = 0; i < tokens->len; i++) {
        const W2wAddedToken *token = &g_array_index(tokens, W2wAddedToken, i);

        if (token->content[0] == *at && token->length <= (gsize)(end - at) &&
            memcmp(token->content, at, token->length) == 0)
            return token;
    }
    return NULL;
}

static gboolean encode_prompt(Encoder *encoder, const char *prompt, GError **error)
{
    const char *end = prompt + strlen(prompt);
    const char *piece = prompt, *at = prompt;

    while (at < end) {
        const W2wAddedToken *token = added_token_at(encoder->tokenizer, at, end);

        if (token == NULL) {
            at++;
            continue;
        }
        if (at > piece && !encode_piece(encoder, piece, (gsize)(at - piece), error))
            return FALSE;
        put_id(encoder, token->id);
        at += token->length;
        piece = at;
    }
    return at == piece || encode_piece(encoder, piece, (gsize)(at - piece), error);
}

static gboolean check_arguments(const char *prompt, guint length, GError **error)
{
    const char *invalid;

    if (length < SURROUNDINGS) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A prompt of %u tokens was asked for; start and end token need %d.", length,
                    SURROUNDINGS);
        return FALSE;
    }
    if (!g_utf8_validate(prompt, -1, &invalid)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The prompt is not valid UTF-8 text: byte %" G_GSIZE_FORMAT " is 0x%02x.",
                    (gsize)(invalid - prompt) + 1, (guint)(guchar)*invalid);
        return FALSE;
    }
    return TRUE;
}

gboolean w2w_tokenizer_encode(const W2wTokenizer *tokenizer, const char *prompt, guint length,
                              gint32 *ids, guint *n_cut, GError **error)
{
    Encoder encoder = {.tokenizer = tokenizer};
    gboolean ok;
    gsize n;

    if (!check_arguments(prompt, length, error))
        return FALSE;
    encoder.sink = (Sink){ids + 1, length - SURROUNDINGS, 0};
    ok = encode_prompt(&encoder, prompt, error);
    w2w_characters_clear(&encoder.characters);
    w2w_bpe_word_clear(&encoder.word);
    if (!ok)
        return FALSE;

    n = MIN(encoder.sink.n, encoder.sink.capacity);
    ids[0] = tokenizer->files.start_id;
    ids[n + 1] = tokenizer->files.end_id;
    for (gsize i = n + SURROUNDINGS; i < length; i++)
        ids[i] = tokenizer->files.padding_id;
    if (n_cut != NULL)
        *n_cut = (guint)MIN(encoder.sink.n - n, G_MAXUINT);
    return TRUE;
}
