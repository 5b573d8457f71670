/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a tokenizer/ folder: vocabulary, merges, special and added tokens. */
#include "engine/models/tokenizer_files.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"

/* What CLIP reads of merges.txt, whatever is behind: 49,152 - 256 - 2. */
#define MAX_MERGES 48894
#define MAX_MERGES_BYTES (16 * 1024 * 1024)
/* What tables of GLib's, which cannot fail, take for a token and for a byte of merges.txt. */
#define TOKEN_BYTES 192
#define TEXT_BYTES  48
#define MAX_ID     (G_MAXINT32 - 1)

typedef struct {
    const char *directory;
    W2wTokenizerFiles *files;
    JsonObject *vocabulary;  /* string → id */
    JsonObject *config;      /* tokenizer_config.json; empty where there is none */
    JsonObject *special_map; /* special_tokens_map.json, where it counts; else empty */
    GHashTable *added;       /* content → id */
    GError **error;
} Loader;

static char *path_of(const Loader *loader, const char *name)
{
    return g_build_filename(loader->directory, name, NULL);
}

G_GNUC_PRINTF(4, 5)
static gboolean fail(const Loader *loader, W2wError code, const char *name, const char *format, ...)
{
    g_autofree char *path = path_of(loader, name), *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(loader->error, W2W_ERROR, code, "%s: %s", path, detail);
    return FALSE;
}

static gboolean has_file(const Loader *loader, const char *name)
{
    g_autofree char *path = path_of(loader, name);

    return w2w_mapped_file_exists(path);
}

static JsonObject *load_object(const Loader *loader, const char *name)
{
    g_autofree char *path = path_of(loader, name);

    return w2w_json_load(path, loader->error);
}

/* An empty object where there is no such file. */
static JsonObject *load_optional_object(const Loader *loader, const char *name)
{
    return has_file(loader, name) ? load_object(loader, name) : json_object_new();
}

static gboolean is_of_type(JsonNode *node, GType type)
{
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type;
}

/* A whole number that can be a token's id. */
static gboolean read_id(const Loader *loader, const char *name, const char *token, JsonNode *node,
                        gint32 *id)
{
    gint64 number;

    if (!is_of_type(node, G_TYPE_INT64) || (number = json_node_get_int(node)) < 0 ||
        number > MAX_ID)
        return fail(loader, W2W_ERROR_FORMAT, name,
                    "the id of the token “%s” should be a whole number from 0 to %d.", token,
                    MAX_ID);
    *id = (gint32)number;
    loader->files->vocabulary_size = MAX(loader->files->vocabulary_size, (guint)*id + 1);
    return TRUE;
}

/* --- vocabulary and merges --- */

static gboolean load_vocabulary(Loader *loader)
{
    JsonObjectIter iter;
    const char *token;
    JsonNode *node;
    gint32 id = 0;

    loader->vocabulary = load_object(loader, "vocab.json");
    if (loader->vocabulary == NULL)
        return FALSE;
    loader->files->bpe = w2w_bpe_new();
    if (!w2w_memory_reserve(json_object_get_size(loader->vocabulary) * TOKEN_BYTES, "vocab.json",
                            loader->error))
        return FALSE;
    json_object_iter_init(&iter, loader->vocabulary);
    while (json_object_iter_next(&iter, &token, &node)) {
        if (!read_id(loader, "vocab.json", token, node, &id))
            return FALSE;
        w2w_bpe_set_id(loader->files->bpe, token, id);
    }
    return TRUE;
}

static gboolean add_merge_line(const Loader *loader, const char *line, gsize length, guint number)
{
    g_autofree char *copy = g_strndup(line, length);
    g_auto(GStrv) parts = NULL;

    parts = g_strsplit(g_strstrip(copy), " ", 3);
    if (g_strv_length(parts) != 2 || *parts[0] == '\0' || *parts[1] == '\0')
        return fail(loader, W2W_ERROR_FORMAT, "merges.txt",
                    "line %u should be two parts of a word with a space between them.", number);
    w2w_bpe_add_merge(loader->files->bpe, parts[0], parts[1]);
    return TRUE;
}

/* The first line is the version and is not looked at. */
static gboolean read_merge_lines(const Loader *loader, const char *text, gsize length)
{
    const char *end = text + length;
    const char *line = text;

    while (end > text && g_ascii_isspace(end[-1]))
        end--;
    for (guint number = 1; line < end && number <= MAX_MERGES + 1; number++) {
        const char *newline = memchr(line, '\n', (gsize)(end - line));
        const char *line_end = newline != NULL ? newline : end;

        if (number > 1 && !add_merge_line(loader, line, (gsize)(line_end - line), number))
            return FALSE;
        line = line_end + 1;
    }
    return TRUE;
}

static gboolean load_merges(const Loader *loader)
{
    g_autofree char *path = path_of(loader, "merges.txt");
    g_autoptr(GBytes) bytes = w2w_mapped_file_read(path, MAX_MERGES_BYTES, loader->error);
    const char *text;
    gsize length;

    if (bytes == NULL)
        return FALSE;
    text = g_bytes_get_data(bytes, &length);
    if (length == 0)
        return TRUE;
    if (!w2w_memory_reserve(length * TEXT_BYTES, path, loader->error))
        return FALSE;
    if (!g_utf8_validate_len(text, length, NULL))
        return fail(loader, W2W_ERROR_FORMAT, "merges.txt", "this is not UTF-8 text.");
    return read_merge_lines(loader, text, length);
}

/* --- special and added tokens --- */

/*
 * A token as a string or as an object with "content". Blanks at its sides (lstrip, rstrip)
 * are no part of any token, so that eating them changes nothing. NULL and an error.
 */
static const char *token_content(const Loader *loader, const char *name, const char *field,
                                 JsonNode *node)
{
    JsonObject *object;
    JsonNode *content, *single_word;

    if (is_of_type(node, G_TYPE_STRING))
        return json_node_get_string(node);
    object = node != NULL && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    content = object != NULL ? json_object_get_member(object, "content") : NULL;
    if (!is_of_type(content, G_TYPE_STRING)) {
        fail(loader, W2W_ERROR_FORMAT, name,
             "“%s” should be a token: a string, or an object with “content”.", field);
        return NULL;
    }
    single_word = json_object_get_member(object, "single_word");
    if (is_of_type(single_word, G_TYPE_BOOLEAN) && json_node_get_boolean(single_word)) {
        fail(loader, W2W_ERROR_UNSUPPORTED, name,
             "the token “%s” of “%s” has “single_word” true, which is not supported.",
             json_node_get_string(content), field);
        return NULL;
    }
    return json_node_get_string(content);
}

static void add_token(const Loader *loader, const char *content, gint32 id)
{
    if (*content != '\0')
        g_hash_table_insert(loader->added, g_strdup(content), GINT_TO_POINTER(id));
}

static gboolean parse_id_key(const Loader *loader, const char *key, gint32 *id)
{
    g_autoptr(JsonNode) node = json_node_init_int(json_node_alloc(), -1);
    guint64 number;

    if (g_ascii_string_to_unsigned(key, 10, 0, MAX_ID, &number, NULL))
        json_node_set_int(node, (gint64)number);
    return read_id(loader, "tokenizer_config.json", key, node, id);
}

static gboolean read_added_tokens_decoder(const Loader *loader)
{
    const char *const field = "added_tokens_decoder", *const name = "tokenizer_config.json";
    JsonNode *decoder = json_object_get_member(loader->config, field);
    JsonObjectIter iter;
    const char *key, *content;
    JsonNode *node;
    gint32 id = 0;

    if (!JSON_NODE_HOLDS_OBJECT(decoder))
        return fail(loader, W2W_ERROR_FORMAT, name, "“%s” should be an object.", field);
    json_object_iter_init(&iter, json_node_get_object(decoder));
    while (json_object_iter_next(&iter, &key, &node)) {
        content = token_content(loader, name, field, node);
        if (content == NULL || !parse_id_key(loader, key, &id))
            return FALSE;
        add_token(loader, content, id);
    }
    return TRUE;
}

static gboolean read_added_tokens_file(const Loader *loader)
{
    const char *const name = "added_tokens.json";
    g_autoptr(JsonObject) object = load_optional_object(loader, name);
    JsonObjectIter iter;
    const char *content;
    JsonNode *node;
    gint32 id = 0;

    if (object == NULL)
        return FALSE;
    json_object_iter_init(&iter, object);
    while (json_object_iter_next(&iter, &content, &node)) {
        if (!read_id(loader, name, content, node, &id))
            return FALSE;
        add_token(loader, content, id);
    }
    return TRUE;
}

static gboolean read_fast_tokenizer_file(const Loader *loader)
{
    const char *const name = "tokenizer.json", *const field = "added_tokens";
    g_autoptr(JsonObject) object = load_optional_object(loader, name);
    JsonNode *tokens;
    JsonArray *list;

    if (object == NULL)
        return FALSE;
    tokens = json_object_get_member(object, field);
    if (tokens == NULL)
        return TRUE;
    if (!JSON_NODE_HOLDS_ARRAY(tokens))
        return fail(loader, W2W_ERROR_FORMAT, name, "“%s” should be a list.", field);
    list = json_node_get_array(tokens);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        const char *content = token_content(loader, name, field, node);
        gint32 id = 0;

        if (content == NULL)
            return FALSE;
        if (!JSON_NODE_HOLDS_OBJECT(node))
            return fail(loader, W2W_ERROR_FORMAT, name, "“%s” should hold objects.", field);
        if (!read_id(loader, name, content,
                     json_object_get_member(json_node_get_object(node), "id"), &id))
            return FALSE;
        add_token(loader, content, id);
    }
    return TRUE;
}

/* The node of a special token and the file that it is from; NULL where no file names it. */
static JsonNode *special_node(const Loader *loader, const char *field, const char **name)
{
    JsonNode *node = json_object_get_member(loader->special_map, field);

    *name = "special_tokens_map.json";
    if (node != NULL)
        return node;
    *name = "tokenizer_config.json";
    return json_object_get_member(loader->config, field);
}

static guint n_known_tokens(const Loader *loader)
{
    guint n = json_object_get_size(loader->vocabulary);
    GHashTableIter iter;
    gpointer content;

    g_hash_table_iter_init(&iter, loader->added);
    while (g_hash_table_iter_next(&iter, &content, NULL))
        n += !json_object_has_member(loader->vocabulary, content);
    return n;
}

/* A special token that the vocabulary lacks gets the next id, as transformers gives it. */
static void add_special_token(const Loader *loader, const char *content)
{
    gint32 id = 0;

    if (g_hash_table_contains(loader->added, content))
        return;
    if (json_object_has_member(loader->vocabulary, content)) {
        id = (gint32)json_object_get_int_member(loader->vocabulary, content);
    } else {
        id = (gint32)n_known_tokens(loader);
        loader->files->vocabulary_size = MAX(loader->files->vocabulary_size, (guint)id + 1);
    }
    add_token(loader, content, id);
}

static gboolean read_additional_tokens(const Loader *loader)
{
    const char *const field = "additional_special_tokens";
    const char *name;
    JsonNode *node = special_node(loader, field, &name);
    JsonArray *list;

    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    if (!JSON_NODE_HOLDS_ARRAY(node))
        return fail(loader, W2W_ERROR_FORMAT, name, "“%s” should be a list.", field);
    list = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        const char *content = token_content(loader, name, field, json_array_get_element(list, i));

        if (content == NULL)
            return FALSE;
        add_special_token(loader, content);
    }
    return TRUE;
}

/* In transformers' order, which decides the ids of those that the vocabulary lacks. */
static const struct {
    const char *field, *default_content; /* NULL: CLIP has none unless a file names it */
} special_fields[] = {
    {"bos_token", "<|startoftext|>"},
    {"eos_token", "<|endoftext|>"},
    {"unk_token", "<|endoftext|>"},
    {"sep_token", NULL},
    {"pad_token", "<|endoftext|>"},
    {"cls_token", NULL},
    {"mask_token", NULL},
};

/* NULL without an error where there is no such token. */
static const char *special_content(const Loader *loader, guint which, gboolean *ok)
{
    const char *const field = special_fields[which].field;
    const char *name, *content;
    JsonNode *node = special_node(loader, field, &name);

    *ok = TRUE;
    if (node == NULL)
        return special_fields[which].default_content;
    if (JSON_NODE_HOLDS_NULL(node) && special_fields[which].default_content == NULL)
        return NULL;
    content = token_content(loader, name, field, node);
    if (content != NULL && *content == '\0') {
        fail(loader, W2W_ERROR_FORMAT, name, "“%s” should not be empty.", field);
        content = NULL;
    }
    *ok = content != NULL;
    return content;
}

static gboolean read_special_tokens(const Loader *loader)
{
    W2wTokenizerFiles *files = loader->files;
    gint32 *const ids[G_N_ELEMENTS(special_fields)] = {
        &files->start_id, &files->end_id, &files->unknown_id, NULL, &files->padding_id, NULL, NULL};

    for (guint i = 0; i < G_N_ELEMENTS(special_fields); i++) {
        gboolean ok;
        const char *content = special_content(loader, i, &ok);

        if (!ok)
            return FALSE;
        if (content == NULL)
            continue;
        add_special_token(loader, content);
        if (ids[i] != NULL)
            *ids[i] = GPOINTER_TO_INT(g_hash_table_lookup(loader->added, content));
        /* What BPE does not know gets the id of the vocabulary, which an added token may hide. */
        if (ids[i] == &files->unknown_id && json_object_has_member(loader->vocabulary, content))
            files->unknown_id = (gint32)json_object_get_int_member(loader->vocabulary, content);
    }
    return read_additional_tokens(loader);
}

/* --- the config --- */

static gboolean check_string(const Loader *loader, const char *field, const char *const *values)
{
    JsonNode *node = json_object_get_member(loader->config, field);
    g_autofree char *expected = NULL, *found = NULL;

    if (node == NULL || JSON_NODE_HOLDS_NULL(node) ||
        (is_of_type(node, G_TYPE_STRING) && g_strv_contains(values, json_node_get_string(node))))
        return TRUE;
    expected = g_strjoinv(" or ", (char **)values);
    found = json_to_string(node, FALSE);
    return fail(loader, W2W_ERROR_UNSUPPORTED, "tokenizer_config.json",
                "“%s” is %s, which is not supported; expected was %s.", field, found, expected);
}

/* Fields that would change ids. The rest is about decoding, or ignored by CLIPTokenizer too. */
static gboolean check_config(const Loader *loader)
{
    static const char *const classes[] = {"CLIPTokenizer", "CLIPTokenizerFast", NULL};
    static const char *const sides[] = {"right", NULL};
    JsonNode *split = json_object_get_member(loader->config, "split_special_tokens");

    if (split != NULL && !(is_of_type(split, G_TYPE_BOOLEAN) && !json_node_get_boolean(split)))
        return fail(loader, W2W_ERROR_UNSUPPORTED, "tokenizer_config.json",
                    "“split_special_tokens” is not false, which is not supported.");
    return check_string(loader, "tokenizer_class", classes) &&
           check_string(loader, "padding_side", sides) &&
           check_string(loader, "truncation_side", sides);
}

static gboolean read_tokens(Loader *loader)
{
    loader->config = load_optional_object(loader, "tokenizer_config.json");
    if (loader->config == NULL || !check_config(loader))
        return FALSE;
    if (json_object_has_member(loader->config, "added_tokens_decoder")) {
        loader->special_map = json_object_new();
        return read_added_tokens_decoder(loader) && read_special_tokens(loader);
    }
    loader->special_map = load_optional_object(loader, "special_tokens_map.json");
    return loader->special_map != NULL && read_added_tokens_file(loader) &&
           read_fast_tokenizer_file(loader) && read_special_tokens(loader);
}

static gint compare_lengths(gconstpointer a, gconstpointer b)
{
    const W2wAddedToken *one = a, *other = b;

    if (one->length != other->length)
        return one->length > other->length ? -1 : 1;
    return strcmp(one->content, other->content);
}

static void take_added_tokens(const Loader *loader)
{
    W2wTokenizerFiles *files = loader->files;
    GHashTableIter iter;
    gpointer content, id;

    g_hash_table_iter_init(&iter, loader->added);
    while (g_hash_table_iter_next(&iter, &content, &id)) {
        const W2wAddedToken token = {g_strdup(content), strlen(content), GPOINTER_TO_INT(id)};

        g_array_append_val(files->added_tokens, token);
        w2w_bpe_set_id(files->bpe, content, token.id);
    }
    g_array_sort(files->added_tokens, compare_lengths);
}

static void clear_added_token(gpointer token)
{
    g_free(((W2wAddedToken *)token)->content);
}

gboolean w2w_tokenizer_files_load(W2wTokenizerFiles *files, const char *directory, GError **error)
{
    Loader loader = {.directory = directory, .files = files, .error = error};
    gboolean ok;

    *files = (W2wTokenizerFiles){
        .added_tokens = g_array_new(FALSE, FALSE, sizeof(W2wAddedToken)),
    };
    g_array_set_clear_func(files->added_tokens, clear_added_token);
    loader.added = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    ok = load_vocabulary(&loader) && load_merges(&loader) && read_tokens(&loader);
    if (ok) {
        take_added_tokens(&loader);
        w2w_bpe_finish(files->bpe);
    } else {
        w2w_tokenizer_files_clear(files);
    }
    g_hash_table_unref(loader.added);
    g_clear_pointer(&loader.vocabulary, json_object_unref);
    g_clear_pointer(&loader.config, json_object_unref);
    g_clear_pointer(&loader.special_map, json_object_unref);
    return ok;
}

void w2w_tokenizer_files_clear(W2wTokenizerFiles *files)
{
    g_clear_pointer(&files->bpe, w2w_bpe_free);
    g_clear_pointer(&files->added_tokens, g_array_unref);
}
