/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edits as text: Young=-0.8;Wavy_Hair=0.5;#3=1.5;protect=Male,Chubby */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/identity.h"

#define PROTECT "protect"

const char *const w2w_metric_names[] = {
    [W2W_METRIC_POPULATION] = "population", [W2W_METRIC_EUCLIDEAN] = "euclidean", NULL};

static void clear_direction(gpointer data)
{
    g_free(((W2wDirectionSetting *)data)->name);
}

W2wEdits *w2w_edits_new(void)
{
    W2wEdits *edits = g_new0(W2wEdits, 1);

    edits->directions = g_array_new(FALSE, TRUE, sizeof(W2wDirectionSetting));
    g_array_set_clear_func(edits->directions, clear_direction);
    edits->components = g_array_new(FALSE, TRUE, sizeof(W2wComponentSetting));
    edits->protect = g_ptr_array_new_with_free_func(g_free);
    return edits;
}

void w2w_edits_free(W2wEdits *edits)
{
    if (edits == NULL)
        return;
    g_array_unref(edits->directions);
    g_array_unref(edits->components);
    g_ptr_array_unref(edits->protect);
    g_free(edits);
}

G_GNUC_PRINTF(2, 3)
static gboolean fail(GError **error, const char *format, ...)
{
    va_list arguments;
    g_autofree char *message = NULL;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, W2W_ERROR, W2W_ERROR_USAGE, message);
    return FALSE;
}

/* What users paste may be anything; messages must stay UTF-8. */
static gboolean check_utf8(const char *text, GError **error)
{
    if (g_utf8_validate(text, -1, NULL))
        return TRUE;
    return fail(error, "The edits are not valid UTF-8 text.");
}

gboolean w2w_edits_check_name(const char *name, GError **error)
{
    if (*name == 0)
        return fail(error, "An edit lacks the name of its attribute; NAME=VALUE was expected.");
    for (const char *p = name; *p != 0; p++)
        if (*p == ';' || *p == ',' || g_ascii_iscntrl(*p) || (p == name && *p == '#'))
            return fail(error, "“%s” cannot be the name of an attribute.", name);
    if (g_str_equal(name, PROTECT))
        return fail(error, "“" PROTECT "” cannot be set; it takes names: " PROTECT "=NAME,NAME.");
    return TRUE;
}

static gboolean parse_value(const char *assignment, const char *text, double *value, GError **error)
{
    char *end = NULL;

    /* A full stop in every language; and neither "inf" nor hexadecimal. */
    if (*text != 0 && text[strspn(text, "+-.0123456789eE")] == 0) {
        *value = g_ascii_strtod(text, &end);
        if (end != text && *end == 0 && fabs(*value) <= G_MAXFLOAT)
            return TRUE;
    }
    return fail(error, "“%s” has no number after “=”, as in Young=-0.8.", assignment);
}

/* "A=B" into its two sides without spaces around them; the last '=' counts. */
static gboolean split(const char *assignment, char **name, char **value, GError **error)
{
    const char *equals;

    if (!check_utf8(assignment, error))
        return FALSE;
    equals = strrchr(assignment, '=');
    if (equals == NULL)
        return fail(error, "“%s” is no edit; a value after “=” was expected.", assignment);
    *name = g_strstrip(g_strndup(assignment, (gsize)(equals - assignment)));
    *value = g_strstrip(g_strdup(equals + 1));
    return TRUE;
}

gboolean w2w_edits_add_direction(W2wEdits *edits, const char *assignment, GError **error)
{
    g_autofree char *name = NULL;
    g_autofree char *text = NULL;
    W2wDirectionSetting setting;

    if (!split(assignment, &name, &text, error) || !w2w_edits_check_name(name, error) ||
        !parse_value(assignment, text, &setting.setting, error))
        return FALSE;
    for (guint i = 0; i < edits->directions->len; i++)
        if (g_str_equal(g_array_index(edits->directions, W2wDirectionSetting, i).name, name))
            return fail(error, "“%s” is set twice.", name);
    setting.name = g_steal_pointer(&name);
    g_array_append_val(edits->directions, setting);
    return TRUE;
}

gboolean w2w_edits_add_component(W2wEdits *edits, const char *assignment, GError **error)
{
    g_autofree char *name = NULL;
    g_autofree char *text = NULL;
    W2wComponentSetting setting;
    guint64 number = 0;

    if (!split(assignment, &name, &text, error))
        return FALSE;
    if (!g_ascii_string_to_unsigned(name, 10, 1, W2W_IDENTITY_MAX_COEFFICIENTS, &number, NULL))
        return fail(error, "“%s” is no component; they are numbered from 1.", name);
    if (!parse_value(assignment, text, &setting.setting, error))
        return FALSE;
    setting.component = (guint)number - 1;
    for (guint i = 0; i < edits->components->len; i++)
        if (g_array_index(edits->components, W2wComponentSetting, i).component == setting.component)
            return fail(error, "Component %u is set twice.", (guint)number);
    g_array_append_val(edits->components, setting);
    return TRUE;
}

void w2w_edits_add_protected(W2wEdits *edits, const char *name)
{
    if (!g_ptr_array_find_with_equal_func(edits->protect, name, g_str_equal, NULL))
        g_ptr_array_add(edits->protect, g_strdup(name));
}

gboolean w2w_edits_add_protected_list(W2wEdits *edits, const char *list, GError **error)
{
    g_auto(GStrv) names = g_strsplit(list, ",", -1);

    if (*list == 0)
        return fail(error, "“" PROTECT "=” lacks the names of attributes.");
    for (char **name = names; *name != NULL; name++) {
        if (!w2w_edits_check_name(g_strstrip(*name), error))
            return FALSE;
        w2w_edits_add_protected(edits, *name);
    }
    return TRUE;
}

W2wEdits *w2w_edits_parse(const char *text, GError **error)
{
    g_autoptr(W2wEdits) edits = w2w_edits_new();
    g_auto(GStrv) parts = NULL;

    if (!check_utf8(text, error))
        return NULL;
    parts = g_strsplit(text, ";", -1);
    for (char **part = parts; *part != NULL; part++) {
        const char *equals = strchr(g_strstrip(*part), '=');
        gboolean ok;

        if (**part == 0) /* a semicolon at the end */
            continue;
        if (equals == NULL) {
            ok = fail(
                error,
                "“%s” is no edit; NAME=VALUE, #NUMBER=VALUE or protect=NAME,NAME was expected.",
                *part);
        } else if (**part == '#') {
            ok = w2w_edits_add_component(edits, *part + 1, error);
        } else {
            g_autofree char *name = g_strstrip(g_strndup(*part, (gsize)(equals - *part)));

            if (g_str_equal(name, PROTECT)) {
                g_autofree char *list = g_strstrip(g_strdup(equals + 1));

                ok = w2w_edits_add_protected_list(edits, list, error);
            } else {
                ok = w2w_edits_add_direction(edits, *part, error);
            }
        }
        if (!ok)
            return NULL;
    }
    return g_steal_pointer(&edits);
}

/* The shortest decimal that reads back to the same double. */
static void append_number(GString *text, double value)
{
    char digits[G_ASCII_DTOSTR_BUF_SIZE];

    for (int precision = 1; precision <= 17; precision++) {
        char format[8];

        g_snprintf(format, sizeof format, "%%.%dg", precision);
        g_ascii_formatd(digits, sizeof digits, format, value);
        if (g_ascii_strtod(digits, NULL) == value)
            break;
    }
    g_string_append(text, digits);
}

char *w2w_edits_to_string(const W2wEdits *edits)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < edits->directions->len; i++) {
        const W2wDirectionSetting *setting =
            &g_array_index(edits->directions, W2wDirectionSetting, i);

        g_string_append_printf(text, "%s%s=", text->len > 0 ? ";" : "", setting->name);
        append_number(text, setting->setting);
    }
    for (guint i = 0; i < edits->components->len; i++) {
        const W2wComponentSetting *setting =
            &g_array_index(edits->components, W2wComponentSetting, i);

        g_string_append_printf(text, "%s#%u=", text->len > 0 ? ";" : "", setting->component + 1);
        append_number(text, setting->setting);
    }
    for (guint i = 0; i < edits->protect->len; i++) {
        if (i == 0)
            g_string_append(text, text->len > 0 ? ";" PROTECT "=" : PROTECT "=");
        else
            g_string_append_c(text, ',');
        g_string_append(text, edits->protect->pdata[i]);
    }
    return g_string_free(text, FALSE);
}
