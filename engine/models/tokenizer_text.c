/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cleaning, composing and lowering a prompt.
 *
 * Not g_utf8_normalize(): it sorts combining marks with a bubble sort, which a prompt of
 * nothing but marks turns into minutes.
 */
#include "engine/models/tokenizer_text.h"

#include <string.h>

#include "engine/memory.h"

#define MAX_DECOMPOSITION 18 /* G_UNICHAR_MAX_DECOMPOSITION_LENGTH */
#define N_CLASSES         256
#define SHORT_RUN         16 /* up to here insertion is the faster way to sort */

#define CAPITAL_SIGMA    0x03a3
#define SMALL_SIGMA      0x03c3
#define FINAL_SIGMA      0x03c2
#define CAPITAL_I_DOT    0x0130
#define COMBINING_DOT    0x0307
#define REPLACEMENT_CHAR 0xfffd

void w2w_characters_clear(W2wCharacters *characters)
{
    w2w_aligned_free(characters->at);
    *characters = (W2wCharacters){NULL, 0, 0};
}

static gboolean reserve(W2wCharacters *characters, gsize n_more, GError **error)
{
    gsize capacity = MAX(characters->capacity, 64);
    gunichar *at;

    if (n_more <= characters->capacity - characters->n)
        return TRUE;
    while (capacity - characters->n < n_more)
        capacity *= 2;
    at = w2w_aligned_alloc(capacity, sizeof *at, "the characters of the prompt", error);
    if (at == NULL)
        return FALSE;
    if (characters->n > 0)
        memcpy(at, characters->at, characters->n * sizeof *at);
    w2w_aligned_free(characters->at);
    characters->at = at;
    characters->capacity = capacity;
    return TRUE;
}

/* Room for it was reserved. */
static void append(W2wCharacters *characters, gunichar c)
{
    characters->at[characters->n++] = c;
}

/* --- cleaning --- */

static gboolean is_space(gunichar c)
{
    const GUnicodeType type = g_unichar_type(c);

    return c == '\t' || c == '\n' || c == '\r' || type == G_UNICODE_SPACE_SEPARATOR ||
           type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

/* Categories C*: control, format, unassigned, private use. */
static gboolean is_dropped(gunichar c)
{
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_UNASSIGNED:
    case G_UNICODE_PRIVATE_USE:
    case G_UNICODE_SURROGATE:
        return TRUE;
    default:
        return c == REPLACEMENT_CHAR;
    }
}

/* transformers' blocks, which are not all of Unicode's. */
static gboolean is_cjk(gunichar c)
{
    static const struct {
        gunichar first, last;
    } blocks[] = {
        {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
        {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b820, 0x2ceaf}, {0x2f800, 0x2fa1f},
    };

    for (guint i = 0; i < G_N_ELEMENTS(blocks); i++) {
        if (c >= blocks[i].first && c <= blocks[i].last)
            return TRUE;
    }
    return FALSE;
}

static void append_decomposed(W2wCharacters *characters, gunichar c)
{
    gunichar parts[MAX_DECOMPOSITION];
    const gsize n = g_unichar_fully_decompose(c, FALSE, parts, MAX_DECOMPOSITION);

    for (gsize i = 0; i < n; i++)
        append(characters, parts[i]);
}

static gboolean clean_and_decompose(const char *text, gsize length, W2wCharacters *out,
                                    GError **error)
{
    out->n = 0;
    for (const char *p = text; p < text + length; p = g_utf8_next_char(p)) {
        const gunichar c = g_utf8_get_char(p);

        if (!reserve(out, MAX_DECOMPOSITION + 2, error))
            return FALSE;
        if (is_space(c)) {
            append(out, ' ');
        } else if (is_cjk(c)) {
            append(out, ' ');
            append_decomposed(out, c);
            append(out, ' ');
        } else if (!is_dropped(c)) {
            append_decomposed(out, c);
        }
    }
    return TRUE;
}

/* --- NFC --- */

static void sort_short_run(gunichar *at, gsize n)
{
    for (gsize i = 1; i < n; i++) {
        const gunichar c = at[i];
        const gint class = g_unichar_combining_class(c);
        gsize j = i;

        for (; j > 0 && g_unichar_combining_class(at[j - 1]) > class; j--)
            at[j] = at[j - 1];
        at[j] = c;
    }
}

/* A counting sort, since it must be stable and the run may be the whole prompt. */
static gboolean sort_long_run(gunichar *at, gsize n, W2wCharacters *scratch, GError **error)
{
    gsize starts[N_CLASSES + 1] = {0};

    scratch->n = 0;
    if (!reserve(scratch, n, error))
        return FALSE;
    memcpy(scratch->at, at, n * sizeof *at);
    for (gsize i = 0; i < n; i++)
        starts[g_unichar_combining_class(at[i]) + 1]++;
    for (guint class = 1; class <= N_CLASSES; class ++)
        starts[class] += starts[class - 1];
    for (gsize i = 0; i < n; i++)
        at[starts[g_unichar_combining_class(scratch->at[i])]++] = scratch->at[i];
    return TRUE;
}

/* Runs of combining marks into the order of their classes. */
static gboolean sort_marks(W2wCharacters *characters, W2wCharacters *scratch, GError **error)
{
    for (gsize i = 0; i < characters->n;) {
        gsize end = i;

        while (end < characters->n && g_unichar_combining_class(characters->at[end]) != 0)
            end++;
        if (end - i > SHORT_RUN) {
            if (!sort_long_run(characters->at + i, end - i, scratch, error))
                return FALSE;
        } else if (end - i > 1) {
            sort_short_run(characters->at + i, end - i);
        }
        i = end + 1;
    }
    return TRUE;
}

/* In place: a mark joins the last starter unless a mark of its class or higher is between. */
static void compose(W2wCharacters *characters)
{
    gunichar *at = characters->at;
    gsize n = 0, starter = G_MAXSIZE;
    gint last_class = 0;

    for (gsize i = 0; i < characters->n; i++) {
        const gunichar c = at[i];
        const gint class = g_unichar_combining_class(c);
        gunichar both;

        if (starter != G_MAXSIZE && (n == starter + 1 || last_class < class) &&
            g_unichar_compose(at[starter], c, &both)) {
            at[starter] = both;
            continue;
        }
        if (class == 0)
            starter = n;
        last_class = class;
        at[n++] = c;
    }
    characters->n = n;
}

/* --- lower case --- */

/* Unicode's Case_Ignorable: marks, modifiers, and punctuation that stands inside words. */
static gboolean is_case_ignorable(gunichar c)
{
    static const gunichar inside_words[] = {0x27,   0x2e,   0x3a,   0xb7,   0x387,  0x55f,
                                            0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                            0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a};

    switch (g_unichar_type(c)) {
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK:
    case G_UNICODE_FORMAT:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_MODIFIER_SYMBOL:
        return TRUE;
    default:
        break;
    }
    for (guint i = 0; i < G_N_ELEMENTS(inside_words); i++) {
        if (c == inside_words[i])
            return TRUE;
    }
    return FALSE;
}

/* Unicode's Cased, of characters that are not case ignorable. */
static gboolean is_cased(gunichar c)
{
    static const struct {
        gunichar first, last;
    } others[] = {
        {0xaa, 0xaa},       {0xba, 0xba},       {0x2160, 0x217f},   {0x24b6, 0x24e9},
        {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189},
    };
    const GUnicodeType type = g_unichar_type(c);

    if (type == G_UNICODE_UPPERCASE_LETTER || type == G_UNICODE_LOWERCASE_LETTER ||
        type == G_UNICODE_TITLECASE_LETTER)
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        if (c >= others[i].first && c <= others[i].last)
            return TRUE;
    }
    return FALSE;
}

/* A sigma ends a word where a cased letter is before it and none behind. */
static gboolean is_final_sigma(const W2wCharacters *characters, gsize at)
{
    gsize before = at, behind = at + 1;

    while (before > 0 && is_case_ignorable(characters->at[before - 1]))
        before--;
    if (before == 0 || !is_cased(characters->at[before - 1]))
        return FALSE;
    while (behind < characters->n && is_case_ignorable(characters->at[behind]))
        behind++;
    return behind == characters->n || !is_cased(characters->at[behind]);
}

static gunichar lower(gunichar c)
{
    if (c >= 0x2160 && c <= 0x216f) /* Roman numerals: GLib lowers letters only */
        return c + 0x10;
    if (c >= 0x24b6 && c <= 0x24cf) /* circled letters */
        return c + 0x1a;
    return g_unichar_tolower(c);
}

static gboolean append_lowered(const W2wCharacters *characters, W2wCharacters *out, GError **error)
{
    out->n = 0;
    if (!reserve(out, characters->n, error))
        return FALSE;
    for (gsize i = 0; i < characters->n; i++) {
        const gunichar c = characters->at[i];

        if (!reserve(out, 2, error))
            return FALSE;
        if (c == CAPITAL_SIGMA) {
            append(out, is_final_sigma(characters, i) ? FINAL_SIGMA : SMALL_SIGMA);
        } else if (c == CAPITAL_I_DOT) {
            append(out, 'i');
            append(out, COMBINING_DOT);
        } else {
            append(out, lower(c));
        }
    }
    return TRUE;
}

gboolean w2w_prompt_normalize(const char *text, gsize length, W2wCharacters *out, GError **error)
{
    g_auto(W2wCharacters) characters = {NULL, 0, 0};

    if (!clean_and_decompose(text, length, &characters, error) ||
        !sort_marks(&characters, out, error))
        return FALSE;
    compose(&characters);
    return append_lowered(&characters, out, error);
}
