/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of LoRA tensors, read from the outside inwards: prefix, part, then the path's words. */
#include "engine/w2w/lora_key.h"

#include <string.h>

const char *const w2w_lora_format_names[] = {"peft", "diffusers", "kohya", "upstream", NULL};

typedef enum { BY_PEFT = 1, BY_DIFFUSERS = 2, BY_KOHYA = 4, OF_TEXT = 8 } PrefixFlags;

static const struct {
    const char *text;
    PrefixFlags flags;
} prefixes[] = {
    {"base_model.model.", BY_PEFT},    {"base_model_model_", BY_PEFT},
    {"unet.", BY_DIFFUSERS},           {"text_encoder.", BY_DIFFUSERS | OF_TEXT},
    {"lora_unet_", BY_KOHYA},          {"lora_te_", BY_KOHYA | OF_TEXT},
    {"lora_te1_", BY_KOHYA | OF_TEXT},
};

static const struct {
    const char *name;
    W2wLoraPart part;
} parts[] = {
    {"lora_A", W2W_LORA_PART_A},
    {"lora_B", W2W_LORA_PART_B},
    {"lora_down", W2W_LORA_PART_A},
    {"lora_up", W2W_LORA_PART_B},
    {"lora.down", W2W_LORA_PART_A},
    {"lora.up", W2W_LORA_PART_B},
    {"lora_linear_layer.down", W2W_LORA_PART_A},
    {"lora_linear_layer.up", W2W_LORA_PART_B},
    {"alpha", W2W_LORA_PART_ALPHA},
};

/*
 * Modules whose own names hold an underscore: there it separates nothing. A name that starts
 * another one ("conv_in", "conv_in_x") would have to stand after it; none does.
 */
static const char *const words[] = {
    /* the UNet's, by diffusers */
    "down_blocks", "up_blocks", "mid_block", "transformer_blocks", "to_q", "to_k", "to_v", "to_out",
    "proj_in", "proj_out", "conv_in", "conv_out", "conv_shortcut", "conv_norm_out",
    "time_embedding", "time_emb_proj", "linear_1", "linear_2",
    /* and by LDM */
    "input_blocks", "output_blocks", "middle_block", "time_embed", "in_layers", "out_layers",
    "emb_layers", "skip_connection",
    /* the text encoder's */
    "text_model", "self_attn", "q_proj", "k_proj", "v_proj", "out_proj", "text_projection",
    "token_embedding", "position_embedding", NULL};

static gboolean is_separator(char c)
{
    return c == '.' || c == '_';
}

static const char *skip_prefixes(const char *key, PrefixFlags *flags)
{
    gboolean again = TRUE;

    *flags = 0;
    while (again) {
        again = FALSE;
        for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++) {
            if (g_str_has_prefix(key, prefixes[i].text)) {
                key += strlen(prefixes[i].text);
                *flags |= prefixes[i].flags;
                again = TRUE;
            }
        }
    }
    return key;
}

/* What follows a factor's name: nothing, ".weight", or an adapter's name before that. */
static gboolean read_ending(const char *rest, W2wLoraKey *parsed)
{
    gsize length;

    if (*rest == 0)
        return TRUE;
    if (parsed->part == W2W_LORA_PART_ALPHA)
        return FALSE;
    if (g_str_equal(rest, ".weight") || g_str_equal(rest, "_weight"))
        return TRUE;
    if (*rest != '.' || !g_str_has_suffix(rest, ".weight"))
        return FALSE;
    length = strlen(rest) - strlen(".weight") - 1;
    for (gsize i = 1; i <= length; i++)
        if (!g_ascii_isalnum(rest[i]) && rest[i] != '_' && rest[i] != '-')
            return FALSE;
    parsed->adapter = g_strndup(rest + 1, length);
    return TRUE;
}

/* Where the path ends: at the separator before the last part's name. NULL without one. */
static const char *find_part(const char *key, W2wLoraKey *parsed)
{
    for (const char *end = key + strlen(key); end > key; end--) {
        if (!is_separator(*end))
            continue;
        for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
            const char *rest = end + 1 + strlen(parts[i].name);

            if (!g_str_has_prefix(end + 1, parts[i].name) || (*rest != 0 && !is_separator(*rest)))
                continue;
            parsed->part = parts[i].part;
            return read_ending(rest, parsed) ? end : NULL;
        }
    }
    return NULL;
}

/* Length of the word at `at`: a module's name or number. */
static gsize word_length(const char *at, const char *end, gboolean dotted)
{
    gsize length = 0;

    for (const char *const *word = words; !dotted && *word != NULL; word++) {
        length = strlen(*word);
        if ((gsize)(end - at) >= length && strncmp(at, *word, length) == 0 &&
            (at + length == end || is_separator(at[length])))
            return length;
    }
    for (length = 0; at + length < end; length++)
        if (!g_ascii_isalnum(at[length]) && !(dotted && at[length] == '_'))
            break;
    return length;
}

/* The path's words, with dots between them. A path that has dots is separated by nothing else. */
static char *read_path(const char *at, const char *end)
{
    const gboolean dotted = memchr(at, '.', (gsize)(end - at)) != NULL;
    g_autoptr(GString) path = g_string_new(NULL);

    while (TRUE) {
        const gsize length = word_length(at, end, dotted);

        if (length == 0)
            return NULL;
        /* Older diffusers named the object that held the factors. */
        if (length != strlen("processor") || strncmp(at, "processor", length) != 0) {
            g_string_append_c(path, '.');
            g_string_append_len(path, at, (gssize)length);
        }
        at += length;
        if (at == end)
            return path->len > 0 ? g_strdup(path->str + 1) : NULL;
        if (!is_separator(*at))
            return NULL;
        at++;
    }
}

/* `path` with the ending `from` replaced by `to`, where it has it. Takes `path`. */
static char *replace_ending(char *path, const char *from, const char *to)
{
    char *replaced;

    if (!g_str_has_suffix(path, from))
        return path;
    path[strlen(path) - strlen(from)] = 0;
    replaced = g_strconcat(path, to, NULL);
    g_free(path);
    return replaced;
}

/* Names that older diffusers gave to modules for the sake of its own classes. */
static char *modernise(char *path, gboolean in_text_encoder)
{
    static const char *const text_endings[][2] = {{".self_attn.to_q", ".self_attn.q_proj"},
                                                  {".self_attn.to_k", ".self_attn.k_proj"},
                                                  {".self_attn.to_v", ".self_attn.v_proj"},
                                                  {".self_attn.to_out", ".self_attn.out_proj"}};

    if (!in_text_encoder)
        return replace_ending(path, ".to_out", ".to_out.0");
    for (guint i = 0; i < G_N_ELEMENTS(text_endings); i++)
        path = replace_ending(path, text_endings[i][0], text_endings[i][1]);
    return path;
}

static W2wLoraFormat find_format(PrefixFlags flags, const W2wLoraKey *parsed, const char *end)
{
    /* kohya says lora_down; weights2weights says lora_A behind the same prefix. */
    if ((flags & BY_KOHYA) != 0)
        return g_str_has_prefix(end + 1, "lora_A") || g_str_has_prefix(end + 1, "lora_B")
                   ? W2W_LORA_FORMAT_UPSTREAM
                   : W2W_LORA_FORMAT_KOHYA;
    /* No other tool leaves an adapter's name in its files. */
    if (parsed->adapter != NULL)
        return W2W_LORA_FORMAT_UPSTREAM;
    /* Some training scripts put PEFT's prefix behind diffusers'. */
    return (flags & BY_PEFT) != 0 && (flags & BY_DIFFUSERS) == 0 ? W2W_LORA_FORMAT_PEFT
                                                                 : W2W_LORA_FORMAT_DIFFUSERS;
}

gboolean w2w_lora_key_read(const char *key, W2wLoraKey *parsed)
{
    g_auto(W2wLoraKey) found = {0};
    g_autofree char *written = NULL;
    PrefixFlags flags;
    const char *at = skip_prefixes(key, &flags), *end = find_part(at, &found);

    /* Stable Diffusion XL's second text encoder. */
    if (end == NULL || g_str_has_prefix(at, "lora_te2_") || g_str_has_prefix(at, "text_encoder_2."))
        return FALSE;
    written = read_path(at, end);
    if (written == NULL)
        return FALSE;
    found.path = w2w_lora_key_path_from_ldm(written);
    if (found.path == NULL)
        return FALSE;
    found.in_text_encoder = (flags & OF_TEXT) != 0 || g_str_has_prefix(found.path, "text_model.");
    found.path = modernise(found.path, found.in_text_encoder);
    found.format = find_format(flags, &found, end);
    *parsed = found;
    found = (W2wLoraKey){0};
    return TRUE;
}

void w2w_lora_key_clear(W2wLoraKey *parsed)
{
    g_clear_pointer(&parsed->path, g_free);
    g_clear_pointer(&parsed->adapter, g_free);
}

char *w2w_lora_key_parse(const char *key, gboolean *is_b)
{
    g_auto(W2wLoraKey) parsed = {0};

    if (!w2w_lora_key_read(key, &parsed) || parsed.part == W2W_LORA_PART_ALPHA ||
        parsed.in_text_encoder)
        return NULL;
    *is_b = parsed.part == W2W_LORA_PART_B;
    return g_steal_pointer(&parsed.path);
}
