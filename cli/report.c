/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON for people. */
#include "cli/report.h"

#include <string.h>

#include "engine/formats/json_writer.h"

#define INDENT 2

static void print_object(FILE *stream, JsonObject *object, int indent);

/* Control characters of strangers' files do not reach the terminal. */
static char *make_printable(const char *text)
{
    GString *printable = g_string_new(NULL);

    for (; *text != 0; text = g_utf8_next_char(text)) {
        const gunichar character = g_utf8_get_char(text);

        if (character == '\n')
            g_string_append_c(printable, ' ');
        else
            g_string_append_unichar(printable, g_unichar_iscntrl(character) ? 0xFFFD : character);
    }
    return g_string_free(printable, FALSE);
}

/* A value in a line. */
static char *format_value(JsonNode *node)
{
    if (node == NULL)
        return g_strdup("");
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
        return make_printable(json_node_get_string(node));
    return w2w_json_write(node);
}

/* "n_weights" → "N weights" */
static char *make_heading(const char *name)
{
    char *heading = make_printable(name);

    g_strdelimit(heading, "_", ' ');
    heading[0] = g_ascii_toupper(heading[0]);
    return heading;
}

static gboolean is_table(JsonArray *array)
{
    for (guint i = 0; i < json_array_get_length(array); i++)
        if (!JSON_NODE_HOLDS_OBJECT(json_array_get_element(array, i)))
            return FALSE;
    return json_array_get_length(array) > 0;
}

/* Columns as wide as their widest cell; the first object's members are the columns. */
static void print_table(FILE *stream, JsonArray *rows, int indent)
{
    g_autoptr(GList) names = json_object_get_members(json_array_get_object_element(rows, 0));
    const guint n_columns = g_list_length(names), n_rows = json_array_get_length(rows);
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    g_autofree glong *widths = g_new0(glong, n_columns);

    for (guint r = 0; r <= n_rows; r++) {
        guint c = 0;

        for (GList *name = names; name != NULL; name = name->next, c++) {
            char *cell = r == 0 ? make_printable(name->data)
                                : format_value(json_object_get_member(
                                      json_array_get_object_element(rows, r - 1), name->data));

            g_ptr_array_add(cells, cell);
            widths[c] = MAX(widths[c], g_utf8_strlen(cell, -1));
        }
    }
    for (guint i = 0; i < cells->len; i++) {
        const guint c = i % n_columns;
        const char *cell = cells->pdata[i];

        if (c == 0)
            fprintf(stream, "%*s", indent, "");
        fputs(cell, stream);
        if (c + 1 < n_columns)
            fprintf(stream, "%*s", (int)(widths[c] - g_utf8_strlen(cell, -1) + 2), "");
        else
            fputc('\n', stream);
    }
}

static void print_list(FILE *stream, JsonArray *list, int indent)
{
    for (guint i = 0; i < json_array_get_length(list); i++) {
        g_autofree char *value = format_value(json_array_get_element(list, i));

        fprintf(stream, "%*s%s\n", indent, "", value);
    }
}

static void print_member(FILE *stream, const char *name, JsonNode *node, int indent)
{
    g_autofree char *heading = make_heading(name);

    fprintf(stream, "%*s%s:", indent, "", heading);
    if (JSON_NODE_HOLDS_OBJECT(node)) {
        fputc('\n', stream);
        print_object(stream, json_node_get_object(node), indent + INDENT);
    } else if (JSON_NODE_HOLDS_ARRAY(node)) {
        JsonArray *array = json_node_get_array(node);

        fputc('\n', stream);
        if (is_table(array))
            print_table(stream, array, indent + INDENT);
        else
            print_list(stream, array, indent + INDENT);
    } else {
        g_autofree char *value = format_value(node);

        fprintf(stream, " %s\n", value);
    }
}

static void print_object(FILE *stream, JsonObject *object, int indent)
{
    g_autoptr(GList) names = json_object_get_members(object);

    for (GList *name = names; name != NULL; name = name->next)
        print_member(stream, name->data, json_object_get_member(object, name->data), indent);
}

void w2w_report_print(FILE *stream, JsonObject *report)
{
    print_object(stream, report, 0);
}
