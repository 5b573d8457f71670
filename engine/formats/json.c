/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON parser: one loop over values, with a stack of the containers that are open. */
#include "engine/formats/json.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"

/*
 * What a value takes as a node of json-glib, with its place in the parent, and a byte of text as a
 * string, twice: ours and the node's. Generous, and asked for before the first node is made.
 */
#define VALUE_BYTES 320
#define TEXT_BYTES  4

/* A number longer than this is nothing that any writer makes. */
#define MAX_NUMBER_LENGTH 1100

typedef struct {
    JsonNode *node; /* of the object or array; owned by its parent, the root by the parser */
    char *key;      /* of the member whose value comes next; owned */
} Container;

typedef struct {
    const char *name, *start, *end, *at;
    Container stack[W2W_JSON_MAX_DEPTH];
    guint depth;
    guint n_values;
    JsonNode *root;
    GError **error;
} Parser;

G_GNUC_PRINTF(3, 4)
static gboolean fail_at(Parser *parser, const char *where, const char *format, ...)
{
    g_autofree char *detail = NULL;
    guint line = 1;
    const char *line_start = parser->start;
    va_list arguments;

    for (const char *p = parser->start; p < where; p++) {
        if (*p == '\n') {
            line++;
            line_start = p + 1;
        }
    }
    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(parser->error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is not valid JSON: line %u, column %u: %s.", parser->name, line,
                (guint)(where - line_start) + 1, detail);
    return FALSE;
}

static gboolean fail_expected(Parser *parser, const char *expected)
{
    const guchar c = parser->at < parser->end ? (guchar)*parser->at : 0;

    if (parser->at >= parser->end)
        return fail_at(parser, parser->at, "the text ends where %s was expected", expected);
    if (c > ' ' && c < 0x7f)
        return fail_at(parser, parser->at, "found “%c” where %s was expected", c, expected);
    return fail_at(parser, parser->at, "found byte 0x%02x where %s was expected", c, expected);
}

static void skip_space(Parser *parser)
{
    while (parser->at < parser->end && strchr(" \t\r\n", *parser->at) != NULL && *parser->at != 0)
        parser->at++;
}

static gboolean take_char(Parser *parser, char c)
{
    if (parser->at >= parser->end || *parser->at != c)
        return FALSE;
    parser->at++;
    return TRUE;
}

static gboolean take_word(Parser *parser, const char *word)
{
    const gsize length = strlen(word);

    if ((gsize)(parser->end - parser->at) < length || memcmp(parser->at, word, length) != 0)
        return FALSE;
    parser->at += length;
    return TRUE;
}

static gboolean read_hex4(Parser *parser, guint32 *unit)
{
    *unit = 0;
    for (guint i = 0; i < 4; i++) {
        if (parser->at >= parser->end || !g_ascii_isxdigit(*parser->at))
            return fail_expected(parser, "a hexadecimal digit");
        *unit = *unit << 4 | (guint32)g_ascii_xdigit_value(*parser->at++);
    }
    return TRUE;
}

/* Behind the backslash. UTF-16 escapes come in pairs; half a pair is no character. */
static gboolean read_escape(Parser *parser, GString *string)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *where = parser->at - 1, *letter;
    guint32 unit, low;

    if (parser->at >= parser->end)
        return fail_expected(parser, "the end of an escape");
    if (*parser->at != 'u') {
        letter = *parser->at != 0 ? strchr(letters, *parser->at) : NULL;
        if (letter == NULL)
            return fail_at(parser, where, "an unknown escape in a string");
        g_string_append_c(string, meanings[letter - letters]);
        parser->at++;
        return TRUE;
    }
    parser->at++;
    if (!read_hex4(parser, &unit))
        return FALSE;
    if (unit >= 0xd800 && unit < 0xdc00 && take_word(parser, "\\u")) {
        if (!read_hex4(parser, &low))
            return FALSE;
        if (low >= 0xdc00 && low < 0xe000)
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    if (unit >= 0xd800 && unit < 0xe000)
        return fail_at(parser, where, "half of a surrogate pair in a string");
    if (unit == 0)
        return fail_at(parser, where, "a NUL character in a string");
    g_string_append_unichar(string, unit);
    return TRUE;
}

/* At the opening quote. NULL and an error, or the string, owned. */
static char *read_string(Parser *parser)
{
    const char *opening = parser->at++;
    g_autoptr(GString) string = g_string_new(NULL);

    for (;;) {
        const char *run = parser->at;

        while (parser->at < parser->end && *parser->at != '"' && *parser->at != '\\' &&
               (guchar)*parser->at >= ' ')
            parser->at++;
        g_string_append_len(string, run, parser->at - run);
        if (parser->at >= parser->end) {
            fail_at(parser, opening, "a string that begins here does not end");
            return NULL;
        }
        if (take_char(parser, '"'))
            return g_string_free(g_steal_pointer(&string), FALSE);
        if (!take_char(parser, '\\')) {
            fail_expected(parser, "a character of a string (control characters must be escaped)");
            return NULL;
        }
        if (!read_escape(parser, string))
            return NULL;
    }
}

static gsize skip_digits(Parser *parser)
{
    const char *first = parser->at;

    while (parser->at < parser->end && g_ascii_isdigit(*parser->at))
        parser->at++;
    return (gsize)(parser->at - first);
}

static JsonNode *read_number(Parser *parser)
{
    const char *first = parser->at;
    JsonNode *node = json_node_new(JSON_NODE_VALUE);
    g_autofree char *text = NULL;
    gboolean is_integer = TRUE, is_valid;
    const gboolean is_negative = take_char(parser, '-');
    gint64 integer;

    if (take_word(parser, "Infinity")) {
        json_node_set_double(node, is_negative ? -INFINITY : INFINITY);
        return node;
    }
    is_valid = take_char(parser, '0') || skip_digits(parser) > 0;
    if (is_valid && take_char(parser, '.')) {
        is_integer = FALSE;
        is_valid = skip_digits(parser) > 0;
    }
    if (is_valid && (take_char(parser, 'e') || take_char(parser, 'E'))) {
        is_integer = FALSE;
        if (!take_char(parser, '+'))
            take_char(parser, '-');
        is_valid = skip_digits(parser) > 0;
    }
    if (!is_valid || parser->at - first > MAX_NUMBER_LENGTH) {
        fail_at(parser, first, "this is not a number");
        json_node_unref(node);
        return NULL;
    }
    text = g_strndup(first, (gsize)(parser->at - first));
    if (is_integer && g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &integer, NULL))
        json_node_set_int(node, integer);
    else
        json_node_set_double(node, g_ascii_strtod(text, NULL));
    return node;
}

/* Anything but an object or an array. */
static JsonNode *read_scalar(Parser *parser)
{
    g_autofree char *string = NULL;
    JsonNode *node;

    if (parser->at < parser->end && *parser->at == '"') {
        string = read_string(parser);
        return string != NULL ? json_node_init_string(json_node_alloc(), string) : NULL;
    }
    if (take_word(parser, "true"))
        return json_node_init_boolean(json_node_alloc(), TRUE);
    if (take_word(parser, "false"))
        return json_node_init_boolean(json_node_alloc(), FALSE);
    if (take_word(parser, "null"))
        return json_node_init_null(json_node_alloc());
    if (take_word(parser, "NaN"))
        return json_node_init_double(json_node_alloc(), NAN);
    if (parser->at < parser->end &&
        (*parser->at == '-' || *parser->at == 'I' || g_ascii_isdigit(*parser->at))) {
        node = read_number(parser);
        return node;
    }
    fail_expected(parser, "a value");
    return NULL;
}

/* Takes `node`. The innermost open container gets it; without one it is the root. */
static void add_value(Parser *parser, JsonNode *node)
{
    Container *parent = parser->depth > 0 ? &parser->stack[parser->depth - 1] : NULL;

    if (parent == NULL) {
        parser->root = node;
    } else if (JSON_NODE_HOLDS_ARRAY(parent->node)) {
        json_array_add_element(json_node_get_array(parent->node), node);
    } else {
        json_object_set_member(json_node_get_object(parent->node), parent->key, node);
        g_clear_pointer(&parent->key, g_free);
    }
}

static gboolean open_container(Parser *parser)
{
    const gboolean is_object = *parser->at == '{';
    JsonNode *node;

    if (parser->depth >= W2W_JSON_MAX_DEPTH)
        return fail_at(parser, parser->at, "nested deeper than %d", W2W_JSON_MAX_DEPTH);
    parser->at++;
    node = json_node_new(is_object ? JSON_NODE_OBJECT : JSON_NODE_ARRAY);
    if (is_object)
        json_node_take_object(node, json_object_new());
    else
        json_node_take_array(node, json_array_new());
    add_value(parser, node);
    parser->stack[parser->depth++] = (Container){node, NULL};
    return TRUE;
}

/* In an object, before a member: its key and the colon. */
static gboolean read_key(Parser *parser)
{
    Container *object = &parser->stack[parser->depth - 1];
    const char *where = parser->at;

    if (parser->at >= parser->end || *parser->at != '"')
        return fail_expected(parser, "a key in quotes");
    object->key = read_string(parser);
    if (object->key == NULL)
        return FALSE;
    if (json_object_has_member(json_node_get_object(object->node), object->key))
        return fail_at(parser, where, "the key “%s” is there twice", object->key);
    skip_space(parser);
    if (!take_char(parser, ':'))
        return fail_expected(parser, "a colon");
    skip_space(parser);
    return TRUE;
}

/* Behind a value: closes what ends here; at the next value, or with depth 0 at the end. */
static gboolean next_value(Parser *parser, gboolean just_opened)
{
    while (parser->depth > 0) {
        const gboolean is_object = JSON_NODE_HOLDS_OBJECT(parser->stack[parser->depth - 1].node);

        skip_space(parser);
        if (take_char(parser, is_object ? '}' : ']')) {
            parser->depth--;
            just_opened = FALSE;
            continue;
        }
        if (!just_opened) {
            if (!take_char(parser, ','))
                return fail_expected(parser, is_object ? "a comma or “}”" : "a comma or “]”");
            skip_space(parser);
        }
        return !is_object || read_key(parser);
    }
    return TRUE;
}

/* json-glib's tree cannot fail where memory is short; so what it may take is asked for before. */
static gboolean reserve_tree(const Parser *parser)
{
    gsize n_values = 1;

    for (const char *p = parser->start; p < parser->end; p++)
        n_values += *p == ',' || *p == '[' || *p == '{';
    return w2w_memory_reserve(MIN(n_values, W2W_JSON_MAX_VALUES) * VALUE_BYTES +
                                  (gsize)(parser->end - parser->start) * TEXT_BYTES,
                              parser->name, parser->error);
}

static gboolean parse_document(Parser *parser)
{
    skip_space(parser);
    do {
        gboolean just_opened = FALSE;
        JsonNode *scalar;

        if (++parser->n_values > W2W_JSON_MAX_VALUES)
            return fail_at(parser, parser->at, "more than %d values", W2W_JSON_MAX_VALUES);
        if (parser->at < parser->end && (*parser->at == '{' || *parser->at == '[')) {
            if (!open_container(parser))
                return FALSE;
            just_opened = TRUE;
        } else {
            scalar = read_scalar(parser);
            if (scalar == NULL)
                return FALSE;
            add_value(parser, scalar);
        }
        if (!next_value(parser, just_opened))
            return FALSE;
    } while (parser->depth > 0);
    skip_space(parser);
    return parser->at == parser->end || fail_expected(parser, "the end of the text");
}

JsonNode *w2w_json_parse_any(const char *text, gsize length, const char *name, GError **error)
{
    Parser parser = {.name = name, .start = text, .at = text, .end = text + length, .error = error};
    const char *invalid;

    if (length > W2W_JSON_MAX_BYTES) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s has %" G_GSIZE_FORMAT " bytes of JSON; at most %d are accepted.", name,
                    length, W2W_JSON_MAX_BYTES);
        return NULL;
    }
    if (length > 0 && !g_utf8_validate_len(text, length, &invalid)) {
        fail_at(&parser, invalid, *invalid == 0 ? "a NUL character" : "this is not UTF-8");
        return NULL;
    }
    if (!reserve_tree(&parser) || !parse_document(&parser)) {
        for (guint i = 0; i < parser.depth; i++)
            g_free(parser.stack[i].key);
        g_clear_pointer(&parser.root, json_node_unref);
    }
    return parser.root;
}

static JsonObject *take_object(JsonNode *root, const char *name, GError **error)
{
    JsonObject *object;

    if (root == NULL)
        return NULL;
    if (!JSON_NODE_HOLDS_OBJECT(root)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s was expected to hold a JSON object, but holds something else.", name);
        json_node_unref(root);
        return NULL;
    }
    object = json_node_dup_object(root);
    json_node_unref(root);
    return object;
}

JsonObject *w2w_json_parse(const char *text, gsize length, const char *name, GError **error)
{
    return take_object(w2w_json_parse_any(text, length, name, error), name, error);
}

JsonNode *w2w_json_load_any(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_read(path, W2W_JSON_MAX_BYTES, error);
    gsize length;
    const char *text;

    if (bytes == NULL)
        return NULL;
    text = g_bytes_get_data(bytes, &length);
    return w2w_json_parse_any(length > 0 ? text : "", length, path, error);
}

JsonObject *w2w_json_load(const char *path, GError **error)
{
    return take_object(w2w_json_load_any(path, error), path, error);
}

gboolean w2w_json_get_number(JsonNode *node, double *number)
{
    const GType type = node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node)
                                                                   : G_TYPE_INVALID;

    if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
        return FALSE;
    *number = json_node_get_double(node);
    return isfinite(*number);
}
