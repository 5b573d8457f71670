/* SPDX-License-Identifier: GPL-3.0-or-later */
/* config.json, field by field. */
#include "engine/models/config.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"

struct _W2wConfig {
    char *path;
    JsonObject *object;
    GHashTable *asked;     /* names of fields that somebody knew */
    GHashTable *defaulted; /* those that diffusers' note says to take as missing */
    GError *error;         /* the first one */
};

static void read_note_of_defaults(W2wConfig *config);

W2wConfig *w2w_config_new(JsonObject *object, const char *path)
{
    W2wConfig *config = g_new0(W2wConfig, 1);

    config->path = g_strdup(path);
    config->object = json_object_ref(object);
    config->asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    config->defaulted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    read_note_of_defaults(config);
    return config;
}

void w2w_config_free(W2wConfig *config)
{
    if (config == NULL)
        return;
    g_free(config->path);
    json_object_unref(config->object);
    g_hash_table_unref(config->asked);
    g_hash_table_unref(config->defaulted);
    g_clear_error(&config->error);
    g_free(config);
}

const char *w2w_config_get_path(const W2wConfig *config)
{
    return config->path;
}

/* --- errors --- */

/* The value as the file has it, cut where it is long; NULL where it is missing, or to be taken so.
 */
static char *given_value(const W2wConfig *config, const char *field)
{
    g_autofree char *text = NULL;

    if (!json_object_has_member(config->object, field) ||
        g_hash_table_contains(config->defaulted, field))
        return NULL;
    text = w2w_json_write(json_object_get_member(config->object, field));
    if (g_utf8_strlen(text, -1) > 120) {
        g_autofree char *cut = g_utf8_substring(text, 0, 120);

        return g_strconcat(cut, "…", NULL);
    }
    return g_steal_pointer(&text);
}

gboolean w2w_config_is_good(const W2wConfig *config)
{
    return config->error == NULL;
}

void w2w_config_fail(W2wConfig *config, gint code, const char *field, const char *format, ...)
{
    g_autofree char *what = NULL;
    g_autofree char *value = NULL;
    va_list arguments;

    if (config->error != NULL)
        return;
    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    value = given_value(config, field);
    g_set_error(&config->error, W2W_ERROR, code, "%s: \"%s\" is %s, but %s.%s", config->path, field,
                value != NULL ? value : "not given", what,
                g_hash_table_size(config->defaulted) > 0
                    ? " (\"_use_default_values\" says which fields do not count.)"
                    : "");
}

gboolean w2w_config_check(W2wConfig *config, GError **error)
{
    g_autoptr(GList) names = NULL;

    if (config->error == NULL) {
        names = g_list_sort(json_object_get_members(config->object), (GCompareFunc)strcmp);
        for (GList *l = names; l != NULL; l = l->next) {
            const char *name = l->data;

            if (name[0] != '_' && !g_hash_table_contains(config->asked, name)) {
                w2w_config_fail(config, W2W_ERROR_UNSUPPORTED, name,
                                "this program does not know what that means for the model");
                break;
            }
        }
    }
    if (config->error != NULL && error != NULL)
        *error = g_error_copy(config->error);
    return config->error == NULL;
}

char *w2w_config_describe(const W2wConfig *config, const char *const *fields)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; fields[i] != NULL; i++) {
        g_autofree char *value = given_value(config, fields[i]);

        g_string_append_printf(text, "%s%s %s", i > 0 ? ", " : "", fields[i],
                               value != NULL ? value : "not given");
    }
    return g_string_free(text, FALSE);
}

/* --- nodes --- */

/* NULL: missing. */
static JsonNode *ask(W2wConfig *config, const char *field)
{
    g_hash_table_add(config->asked, g_strdup(field));
    if (!json_object_has_member(config->object, field) ||
        g_hash_table_contains(config->defaulted, field))
        return NULL;
    return json_object_get_member(config->object, field);
}

static gboolean node_is(JsonNode *node, GType type)
{
    return JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type;
}

static gboolean node_is_list_of(JsonNode *node, GType type)
{
    JsonArray *list;

    if (!JSON_NODE_HOLDS_ARRAY(node))
        return FALSE;
    list = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(list); i++)
        if (!node_is(json_array_get_element(list, i), type))
            return FALSE;
    return TRUE;
}

static void read_note_of_defaults(W2wConfig *config)
{
    const char *field = "_use_default_values";
    JsonNode *node = ask(config, field);
    JsonArray *list;

    if (node == NULL)
        return;
    if (!node_is_list_of(node, G_TYPE_STRING)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a list of names of fields");
        return;
    }
    list = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(list); i++)
        g_hash_table_add(config->defaulted, g_strdup(json_array_get_string_element(list, i)));
}

static gint int_in_range(W2wConfig *config, const char *field, JsonNode *node, gint otherwise,
                         gint min, gint max)
{
    gint64 value = json_node_get_int(node);

    if (value >= min && value <= max)
        return (gint)value;
    w2w_config_fail(config, W2W_ERROR_FORMAT, field, "whole numbers from %d to %d make sense here",
                    min, max);
    return otherwise;
}

/* --- numbers and switches --- */

gboolean w2w_config_is_null_or_missing(W2wConfig *config, const char *field)
{
    JsonNode *node = ask(config, field);

    return node == NULL || JSON_NODE_HOLDS_NULL(node);
}

gint w2w_config_get_int(W2wConfig *config, const char *field, gint missing, gint min, gint max)
{
    JsonNode *node = ask(config, field);

    if (node == NULL)
        return missing;
    if (!node_is(node, G_TYPE_INT64)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a whole number");
        return missing;
    }
    return int_in_range(config, field, node, missing, min, max);
}

gint w2w_config_get_optional_int(W2wConfig *config, const char *field, gint none, gint max)
{
    JsonNode *node = ask(config, field);
    gint value;

    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return none;
    value = w2w_config_get_int(config, field, none, 0, max);
    return value == 0 ? none : value;
}

double w2w_config_get_number(W2wConfig *config, const char *field, double missing, double min,
                             double max)
{
    JsonNode *node = ask(config, field);
    double value;

    if (node == NULL)
        return missing;
    if (!node_is(node, G_TYPE_INT64) && !node_is(node, G_TYPE_DOUBLE)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a number");
        return missing;
    }
    value = json_node_get_double(node);
    if (!(value >= min && value <= max)) { /* also NaN */
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "numbers from %g to %g make sense here",
                        min, max);
        return missing;
    }
    return value;
}

gboolean w2w_config_get_switch(W2wConfig *config, const char *field, gboolean missing)
{
    JsonNode *node = ask(config, field);

    if (node == NULL)
        return missing;
    if (JSON_NODE_HOLDS_NULL(node))
        return FALSE;
    if (!node_is(node, G_TYPE_BOOLEAN)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be true or false");
        return missing;
    }
    return json_node_get_boolean(node);
}

/* --- choices --- */

static guint choice_of(W2wConfig *config, const char *field, JsonNode *node,
                       const char *const *choices, guint otherwise)
{
    g_autofree char *all = NULL;

    for (guint i = 0; choices[i] != NULL; i++)
        if (strcmp(json_node_get_string(node), choices[i]) == 0)
            return i;
    all = g_strjoinv("\", \"", (char **)choices);
    w2w_config_fail(config, W2W_ERROR_UNSUPPORTED, field, "this program can only do \"%s\"", all);
    return otherwise;
}

guint w2w_config_get_choice(W2wConfig *config, const char *field, const char *const *choices,
                            guint missing)
{
    JsonNode *node = ask(config, field);

    if (node == NULL)
        return missing;
    if (!node_is(node, G_TYPE_STRING)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a string");
        return missing;
    }
    return choice_of(config, field, node, choices, missing);
}

guint w2w_config_get_optional_choice(W2wConfig *config, const char *field,
                                     const char *const *choices, guint missing)
{
    JsonNode *node = ask(config, field);

    if (node != NULL && JSON_NODE_HOLDS_NULL(node))
        return g_strv_length((char **)choices);
    return w2w_config_get_choice(config, field, choices, missing);
}

/* --- lists and values per level --- */

/* The node where it is one `type` for all levels (`*single`), or a list of `n` of them. */
static JsonNode *ask_levels(W2wConfig *config, const char *field, guint n, GType type,
                            const char *plural, gboolean *single)
{
    JsonNode *node = ask(config, field);

    if (node == NULL)
        return NULL;
    *single = node_is(node, type);
    if (*single)
        return node;
    if (!node_is_list_of(node, type)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be one, or a list, of %s",
                        plural);
        return NULL;
    }
    if (json_array_get_length(json_node_get_array(node)) != n) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "a list here must have %u entries", n);
        return NULL;
    }
    return node;
}

void w2w_config_get_level_ints(W2wConfig *config, const char *field, guint n, gint missing,
                               gint min, gint max, gint *out)
{
    gboolean single = FALSE;
    JsonNode *node = ask_levels(config, field, n, G_TYPE_INT64, "whole numbers", &single);

    for (guint i = 0; i < n; i++) {
        JsonNode *element = node;

        if (node != NULL && !single)
            element = json_array_get_element(json_node_get_array(node), i);
        out[i] =
            element == NULL ? missing : int_in_range(config, field, element, missing, min, max);
    }
}

void w2w_config_get_level_switches(W2wConfig *config, const char *field, guint n, gboolean missing,
                                   gboolean *out)
{
    gboolean single = FALSE;
    JsonNode *node = ask_levels(config, field, n, G_TYPE_BOOLEAN, "true and false", &single);

    for (guint i = 0; i < n; i++) {
        if (node == NULL)
            out[i] = missing;
        else if (single)
            out[i] = json_node_get_boolean(node);
        else
            out[i] = json_array_get_boolean_element(json_node_get_array(node), i);
    }
}

GArray *w2w_config_get_ints(W2wConfig *config, const char *field, const gint *missing,
                            guint n_missing, guint max_n, gint min, gint max)
{
    JsonNode *node = ask(config, field);
    GArray *values = g_array_new(FALSE, FALSE, sizeof(gint));
    JsonArray *list = NULL;

    if (node != NULL && !node_is_list_of(node, G_TYPE_INT64)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a list of whole numbers");
    } else if (node != NULL) {
        list = json_node_get_array(node);
        if (json_array_get_length(list) < 1 || json_array_get_length(list) > max_n) {
            w2w_config_fail(config, W2W_ERROR_FORMAT, field, "1 to %u entries make sense here",
                            max_n);
            list = NULL;
        }
    }
    if (list == NULL)
        return g_array_append_vals(values, missing, n_missing);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        gint value = int_in_range(config, field, json_array_get_element(list, i), min, min, max);

        g_array_append_val(values, value);
    }
    return values;
}

void w2w_config_get_level_choices(W2wConfig *config, const char *field, guint n,
                                  const char *const *choices, const guint *missing, guint n_missing,
                                  guint *out)
{
    JsonNode *node = ask(config, field);

    for (guint i = 0; i < n; i++)
        out[i] = missing[MIN(i, n_missing - 1)];
    if (node != NULL && !node_is_list_of(node, G_TYPE_STRING)) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a list of strings");
    } else if ((node != NULL ? json_array_get_length(json_node_get_array(node)) : n_missing) != n) {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field,
                        "there must be one entry for each of the %u levels of block_out_channels",
                        n);
    } else if (node != NULL) {
        for (guint i = 0; i < n; i++)
            out[i] = choice_of(config, field, json_array_get_element(json_node_get_array(node), i),
                               choices, out[i]);
    }
}

/* --- fields that allow one value only, or make no difference --- */

void w2w_config_require_null(W2wConfig *config, const char *field)
{
    JsonNode *node = ask(config, field);

    if (node != NULL && !JSON_NODE_HOLDS_NULL(node))
        w2w_config_fail(config, W2W_ERROR_UNSUPPORTED, field, "this program can only do null");
}

void w2w_config_require_off(W2wConfig *config, const char *field)
{
    if (w2w_config_get_switch(config, field, FALSE))
        w2w_config_fail(config, W2W_ERROR_UNSUPPORTED, field, "this program can only do false");
}

void w2w_config_require_number(W2wConfig *config, const char *field, double value)
{
    if (w2w_config_get_number(config, field, value, -HUGE_VAL, HUGE_VAL) != value)
        w2w_config_fail(config, W2W_ERROR_UNSUPPORTED, field, "this program can only do %g", value);
}

void w2w_config_ignore(W2wConfig *config, const char *field, W2wConfigTypes types)
{
    JsonNode *node = ask(config, field);
    W2wConfigTypes type = 0;

    if (node == NULL)
        return;
    if (JSON_NODE_HOLDS_NULL(node))
        type = W2W_CONFIG_NULL;
    else if (node_is(node, G_TYPE_BOOLEAN))
        type = W2W_CONFIG_SWITCH;
    else if (node_is(node, G_TYPE_INT64) || node_is(node, G_TYPE_DOUBLE))
        type = W2W_CONFIG_NUMBER;
    else if (node_is(node, G_TYPE_STRING))
        type = W2W_CONFIG_STRING;
    if ((type & types) == 0)
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be %s%s",
                        types & W2W_CONFIG_SWITCH   ? "true or false"
                        : types & W2W_CONFIG_NUMBER ? "a number"
                                                    : "a string",
                        types & W2W_CONFIG_NULL ? " or null" : "");
}

void w2w_config_require_each(W2wConfig *config, const char *field, const char *const *choices)
{
    JsonNode *node = ask(config, field);

    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return;
    if (node_is(node, G_TYPE_STRING)) {
        choice_of(config, field, node, choices, 0);
    } else if (node_is_list_of(node, G_TYPE_STRING)) {
        JsonArray *list = json_node_get_array(node);

        for (guint i = 0; i < json_array_get_length(list); i++)
            choice_of(config, field, json_array_get_element(list, i), choices, 0);
    } else {
        w2w_config_fail(config, W2W_ERROR_FORMAT, field, "it must be a list of strings");
    }
}

/* --- what several models have --- */

W2wActivation w2w_config_get_activation(W2wConfig *config, const char *field)
{
    static const char *const names[] = {"silu", "swish", "gelu", NULL};

    return w2w_config_get_choice(config, field, names, 0) == 2 ? W2W_ACTIVATION_GELU
                                                               : W2W_ACTIVATION_SILU;
}

void w2w_config_check_divides(W2wConfig *config, const char *field, gint n_parts, const char *whole,
                              gint n)
{
    if (config->error == NULL && n % n_parts != 0)
        w2w_config_fail(config, W2W_ERROR_FORMAT, field,
                        "the %d of \"%s\" cannot be divided into %d equal parts", n, whole,
                        n_parts);
}
