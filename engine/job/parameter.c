/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of declared parameters: every way in checks against the same declaration. */
#include "engine/job/parameter.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/job/parameter_value.h"

const W2wParameter *w2w_parameter_lookup(const W2wParameter *parameters, guint n_parameters,
                                         const char *name)
{
    for (guint i = 0; i < n_parameters; i++)
        if (strcmp(parameters[i].name, name) == 0)
            return &parameters[i];
    return NULL;
}

gboolean w2w_parameter_is_list(const W2wParameter *parameter)
{
    return parameter->type == W2W_PARAMETER_IDENTITIES || parameter->type == W2W_PARAMETER_LORAS ||
           parameter->type == W2W_PARAMETER_PICTURES;
}

/* A finite number that is all of the text. */
static gboolean parse_number(const char *text, double *number)
{
    char *end = NULL;

    *number = g_ascii_strtod(text, &end);
    return end != text && *end == 0 && isfinite(*number);
}

char *w2w_parameter_split_weight(const char *text, double *weight)
{
    const char *colon = strrchr(text, ':');

    if (colon != NULL && colon != text && parse_number(colon + 1, weight) &&
        !g_file_test(text, G_FILE_TEST_EXISTS))
        return g_strndup(text, (gsize)(colon - text));
    *weight = W2W_DEFAULT_WEIGHT;
    return g_strdup(text);
}

static void clear_item(gpointer data)
{
    g_bytes_unref(((W2wValueItem *)data)->bytes);
}

void w2w_value_clear_items(W2wValue *value)
{
    g_array_set_size(value->items, 0);
}

void w2w_value_take_item(W2wValue *value, GBytes *bytes, double weight)
{
    const W2wValueItem item = {g_bytes_ref(bytes), weight};

    g_array_append_val(value->items, item);
}

void w2w_value_take_text(W2wValue *value, const char *text)
{
    char *copy = g_strdup(text); /* first: it may be the one that is there */

    g_free(value->text);
    value->text = copy;
}

static void clear_value(W2wValue *value)
{
    g_clear_pointer(&value->text, g_free);
    g_clear_pointer(&value->bytes, g_bytes_unref);
    g_clear_pointer(&value->items, g_array_unref);
}

W2wValues *w2w_values_new(const W2wParameter *parameters, guint n_parameters)
{
    W2wValues *values = g_new0(W2wValues, 1);

    values->parameters = parameters;
    values->n_parameters = n_parameters;
    values->values = g_new0(W2wValue, n_parameters);
    for (guint i = 0; i < n_parameters; i++) {
        W2wValue *value = &values->values[i];

        value->number = parameters[i].number;
        if (parameters[i].type != W2W_PARAMETER_DOUBLE)
            value->integer = (gint64)parameters[i].number;
        if (w2w_parameter_is_list(&parameters[i])) {
            value->items = g_array_new(FALSE, FALSE, sizeof(W2wValueItem));
            g_array_set_clear_func(value->items, clear_item);
        }
    }
    return values;
}

void w2w_values_free(W2wValues *values)
{
    if (values == NULL)
        return;
    for (guint i = 0; i < values->n_parameters; i++)
        clear_value(&values->values[i]);
    g_free(values->values);
    g_free(values);
}

const W2wParameter *w2w_values_find_parameter(const W2wValues *values, const char *name,
                                              GError **error)
{
    const W2wParameter *parameter =
        w2w_parameter_lookup(values->parameters, values->n_parameters, name);

    if (parameter == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no parameter “%s” here.", name);
    return parameter;
}

/* "a whole number from 1 to 64": what would have been right. */
static char *describe_range(const W2wParameter *parameter)
{
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        return g_strdup_printf("a whole number from %.0f to %.0f", parameter->minimum,
                               parameter->maximum);
    case W2W_PARAMETER_SEED:
        return g_strdup_printf("a whole number from 0 to %" G_GINT64_FORMAT
                               " (or −1: left to the program)",
                               W2W_SEED_MAX);
    case W2W_PARAMETER_DOUBLE:
        return g_strdup_printf("a number from %g to %g", parameter->minimum, parameter->maximum);
    case W2W_PARAMETER_CHOICE: {
        g_autofree char *choices = g_strjoinv(", ", (char **)parameter->choices);

        return g_strdup_printf("one of: %s", choices);
    }
    case W2W_PARAMETER_SWITCH:
        return g_strdup("true or false");
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_EDITS:
        return g_strdup("text in UTF-8");
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_IDENTITIES:
        return g_strdup("the contents of an identity file");
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PICTURES:
        return g_strdup("the contents of a PNG file");
    case W2W_PARAMETER_PATH:
    case W2W_PARAMETER_LORAS:
        return g_strdup("the name of a file or folder");
    }
    g_assert_not_reached();
}

gboolean w2w_value_fail(const W2wParameter *parameter, const char *text, GError **error)
{
    g_autofree char *range = describe_range(parameter);
    g_autofree char *shown = g_utf8_make_valid(text, -1);

    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The value of %s must be %s, not “%s”.",
                parameter->name, range, shown);
    return FALSE;
}

gboolean w2w_value_integer_is_valid(const W2wParameter *parameter, gint64 integer)
{
    if (parameter->type == W2W_PARAMETER_SEED)
        return integer >= -1 && integer <= W2W_SEED_MAX;
    return integer >= (gint64)parameter->minimum && integer <= (gint64)parameter->maximum;
}

/* Refuses NaN too: no comparison with it holds. */
gboolean w2w_value_number_is_valid(const W2wParameter *parameter, double number)
{
    return number >= parameter->minimum && number <= parameter->maximum;
}

gboolean w2w_value_text_is_valid(const W2wParameter *parameter, const char *text)
{
    if (parameter->type == W2W_PARAMETER_CHOICE)
        return g_strv_contains(parameter->choices, text);
    return parameter->type == W2W_PARAMETER_PATH || g_utf8_validate(text, -1, NULL);
}

gboolean w2w_value_check_item(const W2wParameter *parameter, GBytes *bytes, double weight,
                              GError **error)
{
    const gboolean has_range = parameter->minimum != 0.0 || parameter->maximum != 0.0;
    const gboolean is_picture = parameter->type == W2W_PARAMETER_PICTURES;
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    if (!isfinite(weight) || (is_picture && weight != W2W_DEFAULT_WEIGHT) ||
        (has_range && !w2w_value_number_is_valid(parameter, weight))) {
        if (is_picture || (has_range && parameter->minimum == parameter->maximum))
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The items of %s have no weights of their own; %g was given.",
                        parameter->name, weight);
        else if (has_range)
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "A weight of %s must be a number from %g to %g, not %g.", parameter->name,
                        parameter->minimum, parameter->maximum, weight);
        else
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "A weight of %s must be a finite number, not %g.", parameter->name, weight);
        return FALSE;
    }
    /* One NUL, at the end, of a name that is not empty. */
    if (parameter->type == W2W_PARAMETER_LORAS &&
        (size < 2 || memchr(data, 0, size) != data + size - 1)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "An item of %s is not the name of a file or folder.", parameter->name);
        return FALSE;
    }
    return TRUE;
}

static gboolean set_integer(const W2wParameter *parameter, W2wValue *value, const char *text,
                            GError **error)
{
    char *end = NULL;
    gint64 integer;

    errno = 0;
    integer = g_ascii_strtoll(text, &end, 10);
    if (end == text || *end != 0 || errno != 0 || !w2w_value_integer_is_valid(parameter, integer))
        return w2w_value_fail(parameter, text, error);
    value->integer = integer;
    return TRUE;
}

static gboolean add_path_item(W2wValues *values, const W2wParameter *parameter, const char *text,
                              GError **error)
{
    double weight;
    g_autofree char *path = w2w_parameter_split_weight(text, &weight);
    g_autoptr(GBytes) bytes = g_bytes_new(path, strlen(path) + 1);

    return w2w_values_add_item(values, parameter->name, bytes, weight, error);
}

gboolean w2w_values_set_text(W2wValues *values, const char *name, const char *text, GError **error)
{
    const W2wParameter *parameter = w2w_values_find_parameter(values, name, error);
    W2wValue *value;
    double number;

    if (parameter == NULL)
        return FALSE;
    value = w2w_values_at(values, parameter);
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
    case W2W_PARAMETER_SEED:
        return set_integer(parameter, value, text, error);
    case W2W_PARAMETER_DOUBLE:
        if (!parse_number(text, &number) || !w2w_value_number_is_valid(parameter, number))
            return w2w_value_fail(parameter, text, error);
        value->number = number;
        return TRUE;
    case W2W_PARAMETER_SWITCH:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return w2w_value_fail(parameter, text, error);
        value->integer = *text == 't';
        return TRUE;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
    case W2W_PARAMETER_PATH:
        if (!w2w_value_text_is_valid(parameter, text))
            return w2w_value_fail(parameter, text, error);
        w2w_value_take_text(value, text);
        return TRUE;
    case W2W_PARAMETER_LORAS:
        return add_path_item(values, parameter, text, error);
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PICTURES:
        return w2w_value_fail(parameter, text, error);
    }
    g_assert_not_reached();
}

gboolean w2w_values_set_bytes(W2wValues *values, const char *name, GBytes *bytes, GError **error)
{
    const W2wParameter *parameter = w2w_values_find_parameter(values, name, error);
    W2wValue *value;

    if (parameter == NULL)
        return FALSE;
    if (parameter->type != W2W_PARAMETER_IDENTITY && parameter->type != W2W_PARAMETER_PICTURE) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s takes no bytes.", name);
        return FALSE;
    }
    value = w2w_values_at(values, parameter);
    g_clear_pointer(&value->bytes, g_bytes_unref);
    value->bytes = bytes != NULL ? g_bytes_ref(bytes) : NULL;
    return TRUE;
}

gboolean w2w_values_add_item(W2wValues *values, const char *name, GBytes *bytes, double weight,
                             GError **error)
{
    const W2wParameter *parameter = w2w_values_find_parameter(values, name, error);

    if (parameter == NULL)
        return FALSE;
    if (!w2w_parameter_is_list(parameter)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s is no list.", name);
        return FALSE;
    }
    if (!w2w_value_check_item(parameter, bytes, weight, error))
        return FALSE;
    w2w_value_take_item(w2w_values_at(values, parameter), bytes, weight);
    return TRUE;
}

static const char *text_or_default(const W2wParameter *parameter, const W2wValue *value)
{
    if (value->text != NULL)
        return value->text;
    return parameter->string != NULL ? parameter->string : "";
}

gboolean w2w_values_is_given(const W2wValues *values, const W2wParameter *parameter)
{
    const W2wValue *value = w2w_values_at(values, parameter);

    switch (parameter->type) {
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PICTURE:
        return value->bytes != NULL;
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
    case W2W_PARAMETER_PICTURES:
        return value->items->len > 0;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_PATH:
    case W2W_PARAMETER_EDITS:
        return *text_or_default(parameter, value) != 0;
    case W2W_PARAMETER_INT:
    case W2W_PARAMETER_DOUBLE:
    case W2W_PARAMETER_SEED:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_SWITCH:
        return TRUE;
    }
    g_assert_not_reached();
}

gboolean w2w_values_check_required(const W2wValues *values, GError **error)
{
    for (guint i = 0; i < values->n_parameters; i++) {
        const W2wParameter *parameter = &values->parameters[i];

        if ((parameter->flags & W2W_PARAMETER_REQUIRED) &&
            !w2w_values_is_given(values, parameter)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s is missing.",
                        parameter->name);
            return FALSE;
        }
    }
    return TRUE;
}

/* A name or type that the table does not have is a bug of the caller. */
static const W2wValue *expect_value(const W2wValues *values, const char *name, guint allowed_types)
{
    const W2wParameter *parameter =
        w2w_parameter_lookup(values->parameters, values->n_parameters, name);

    g_assert(parameter != NULL && (allowed_types & (1u << parameter->type)) != 0);
    return w2w_values_at(values, parameter);
}

gint64 w2w_values_get_int(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_INT | 1u << W2W_PARAMETER_SEED)->integer;
}

double w2w_values_get_double(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_DOUBLE)->number;
}

gboolean w2w_values_get_switch(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_SWITCH)->integer != 0;
}

const char *w2w_values_get_string(const W2wValues *values, const char *name)
{
    const W2wValue *value = expect_value(values, name,
                                         1u << W2W_PARAMETER_STRING | 1u << W2W_PARAMETER_CHOICE |
                                             1u << W2W_PARAMETER_EDITS | 1u << W2W_PARAMETER_PATH);

    return text_or_default(&values->parameters[value - values->values], value);
}

guint w2w_values_get_choice(const W2wValues *values, const char *name)
{
    const W2wValue *value = expect_value(values, name, 1u << W2W_PARAMETER_CHOICE);
    const W2wParameter *parameter = &values->parameters[value - values->values];
    const char *text = text_or_default(parameter, value);

    for (guint i = 0; parameter->choices[i] != NULL; i++)
        if (strcmp(parameter->choices[i], text) == 0)
            return i;
    g_assert_not_reached(); /* every way in checks, and the default is one of them */
}

GBytes *w2w_values_get_bytes(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_IDENTITY | 1u << W2W_PARAMETER_PICTURE)
        ->bytes;
}

static const W2wValue *expect_list(const W2wValues *values, const char *name)
{
    return expect_value(values, name,
                        1u << W2W_PARAMETER_IDENTITIES | 1u << W2W_PARAMETER_LORAS |
                            1u << W2W_PARAMETER_PICTURES);
}

guint w2w_values_get_n_items(const W2wValues *values, const char *name)
{
    return expect_list(values, name)->items->len;
}

GBytes *w2w_values_get_item(const W2wValues *values, const char *name, guint i, double *weight)
{
    const W2wValue *value = expect_list(values, name);
    const W2wValueItem *item;

    g_assert(i < value->items->len);
    item = &g_array_index(value->items, W2wValueItem, i);
    if (weight != NULL)
        *weight = item->weight;
    return item->bytes;
}
