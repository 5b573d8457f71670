/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer recurses with its tree, which comes from our reader or our own code: never deep. */
#include "engine/formats/json_writer.h"

#include <math.h>

static void append_node(GString *text, JsonNode *node);

static void append_string(GString *text, const char *string)
{
    g_string_append_c(text, '"');
    for (; *string != 0; string++) {
        if (*string == '"' || *string == '\\')
            g_string_append_printf(text, "\\%c", *string);
        else if (*string == '\n')
            g_string_append(text, "\\n");
        else if ((guchar)*string < ' ')
            g_string_append_printf(text, "\\u%04x", (guint)*string);
        else
            g_string_append_c(text, *string);
    }
    g_string_append_c(text, '"');
}

char *w2w_json_format_double(double number)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE];

    if (number == 0.0 && signbit(number)) /* "-0" would read back as a whole number: without sign */
        return g_strdup("-0.0");
    for (int precision = 15; precision <= 17; precision++) {
        char format[8];

        g_snprintf(format, sizeof format, "%%.%dg", precision);
        g_ascii_formatd(digits, sizeof digits, format, number);
        if (g_ascii_strtod(digits, NULL) == number)
            break;
    }
    return g_strdup(digits);
}

static void append_value(GString *text, JsonNode *node)
{
    const GType type = json_node_get_value_type(node);

    if (type == G_TYPE_STRING) {
        append_string(text, json_node_get_string(node));
    } else if (type == G_TYPE_BOOLEAN) {
        g_string_append(text, json_node_get_boolean(node) ? "true" : "false");
    } else if (type == G_TYPE_DOUBLE || type == G_TYPE_FLOAT) {
        const double number = json_node_get_double(node);
        g_autofree char *digits = isfinite(number) ? w2w_json_format_double(number) : NULL;

        g_string_append(text, digits != NULL ? digits : "null");
    } else {
        g_string_append_printf(text, "%" G_GINT64_FORMAT, json_node_get_int(node));
    }
}

static void append_array(GString *text, JsonArray *array)
{
    g_string_append_c(text, '[');
    for (guint i = 0; i < json_array_get_length(array); i++) {
        if (i > 0)
            g_string_append(text, ", ");
        append_node(text, json_array_get_element(array, i));
    }
    g_string_append_c(text, ']');
}

static void append_object(GString *text, JsonObject *object)
{
    g_autoptr(GList) names = json_object_get_members(object);

    g_string_append_c(text, '{');
    for (GList *item = names; item != NULL; item = item->next) {
        if (item != names)
            g_string_append(text, ", ");
        append_string(text, item->data);
        g_string_append(text, ": ");
        append_node(text, json_object_get_member(object, item->data));
    }
    g_string_append_c(text, '}');
}

static void append_node(GString *text, JsonNode *node)
{
    switch (json_node_get_node_type(node)) {
    case JSON_NODE_OBJECT:
        append_object(text, json_node_get_object(node));
        break;
    case JSON_NODE_ARRAY:
        append_array(text, json_node_get_array(node));
        break;
    case JSON_NODE_VALUE:
        append_value(text, node);
        break;
    case JSON_NODE_NULL:
        g_string_append(text, "null");
        break;
    }
}

char *w2w_json_write(JsonNode *node)
{
    GString *text = g_string_new(NULL);

    append_node(text, node);
    return g_string_free(text, FALSE);
}

char *w2w_json_write_object(JsonObject *object)
{
    GString *text = g_string_new(NULL);

    append_object(text, object);
    return g_string_free(text, FALSE);
}
