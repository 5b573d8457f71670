/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of LoRA factors, read from the outside inwards: prefix, factor, then the path's words. */
#include "engine/w2w/lora_key.h"

#include <string.h>

static const char *const prefixes[] = {"base_model.model.", "base_model_model_", "lora_unet_",
                                       "unet.", NULL};

static const struct {
    const char *name;
    gboolean is_b;
} factors[] = {{"lora_A", FALSE}, {"lora_B", TRUE}, {"lora_down", FALSE}, {"lora_up", TRUE}};

/* Modules whose own names hold an underscore: there it separates nothing. */
static const char *const words[] = {"down_blocks", "up_blocks", "mid_block", "transformer_blocks",
                                    "to_q",        "to_k",      "to_v",      "to_out",
                                    "proj_in",     "proj_out",  NULL};

static gboolean is_separator(char c)
{
    return c == '.' || c == '_';
}

static const char *skip_prefixes(const char *key)
{
    gboolean again = TRUE;

    while (again) {
        again = FALSE;
        for (const char *const *prefix = prefixes; *prefix != NULL; prefix++) {
            if (g_str_has_prefix(key, *prefix)) {
                key += strlen(*prefix);
                again = TRUE;
            }
        }
    }
    return key;
}

/* Where the path ends: at the separator before the last factor's name. NULL without one. */
static const char *find_factor(const char *key, gboolean *is_b)
{
    for (const char *end = key + strlen(key); end > key; end--) {
        if (!is_separator(*end))
            continue;
        for (guint i = 0; i < G_N_ELEMENTS(factors); i++) {
            const char *rest = end + 1 + strlen(factors[i].name);

            if (!g_str_has_prefix(end + 1, factors[i].name) || (*rest != 0 && !is_separator(*rest)))
                continue;
            /* ".weight", or an adapter's name before it; nothing at all in some files. */
            if (*rest != 0 && !g_str_has_suffix(rest, ".weight") && !g_str_equal(rest, "_weight"))
                return NULL;
            *is_b = factors[i].is_b;
            return end;
        }
    }
    return NULL;
}

/* Length of the word at `at`: a module's name or number. */
static gsize word_length(const char *at, const char *end)
{
    gsize length = 0;

    for (const char *const *word = words; *word != NULL; word++) {
        length = strlen(*word);
        if ((gsize)(end - at) >= length && strncmp(at, *word, length) == 0 &&
            (at + length == end || is_separator(at[length])))
            return length;
    }
    for (length = 0; at + length < end && g_ascii_isalnum(at[length]); length++)
        ;
    return length;
}

char *w2w_lora_key_parse(const char *key, gboolean *is_b)
{
    const char *at = skip_prefixes(key), *end = find_factor(at, is_b);
    g_autoptr(GString) path = g_string_new(NULL);

    if (end == NULL)
        return NULL;
    while (TRUE) {
        const gsize length = word_length(at, end);

        if (length == 0)
            return NULL;
        g_string_append_len(path, at, (gssize)length);
        at += length;
        if (at == end)
            return g_string_free(g_steal_pointer(&path), FALSE);
        if (!is_separator(*at))
            return NULL;
        g_string_append_c(path, '.');
        at++;
    }
}
