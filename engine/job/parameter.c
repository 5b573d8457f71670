/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of declared parameters: every way in checks against the same declaration. */
#include "engine/job/parameter.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"

/* Numbers are kept as what their type says; all texts and paths in `text`. */
typedef struct {
    gint64 integer;
    double number;
    char *text;    /* owned; NULL: the default */
    GBytes *bytes; /* owned */
} Value;

struct _W2wValues {
    const W2wParameter *parameters;
    guint n_parameters;
    Value *values; /* by parameter */
};

const W2wParameter *w2w_parameter_lookup(const W2wParameter *parameters, guint n_parameters,
                                         const char *name)
{
    for (guint i = 0; i < n_parameters; i++)
        if (strcmp(parameters[i].name, name) == 0)
            return &parameters[i];
    return NULL;
}

static void reset_value(const W2wParameter *parameter, Value *value)
{
    g_clear_pointer(&value->text, g_free);
    g_clear_pointer(&value->bytes, g_bytes_unref);
    value->integer = 0;
    value->number = 0.0;
    if (parameter->type == W2W_PARAMETER_INT || parameter->type == W2W_PARAMETER_SEED)
        value->integer = (gint64)parameter->number;
    else if (parameter->type == W2W_PARAMETER_DOUBLE)
        value->number = parameter->number;
}

W2wValues *w2w_values_new(const W2wParameter *parameters, guint n_parameters)
{
    W2wValues *values = g_new0(W2wValues, 1);

    values->parameters = parameters;
    values->n_parameters = n_parameters;
    values->values = g_new0(Value, n_parameters);
    for (guint i = 0; i < n_parameters; i++)
        reset_value(&parameters[i], &values->values[i]);
    return values;
}

void w2w_values_free(W2wValues *values)
{
    if (values == NULL)
        return;
    for (guint i = 0; i < values->n_parameters; i++)
        reset_value(&values->parameters[i], &values->values[i]);
    g_free(values->values);
    g_free(values);
}

static const W2wParameter *find_parameter(const W2wValues *values, const char *name, GError **error)
{
    const W2wParameter *parameter =
        w2w_parameter_lookup(values->parameters, values->n_parameters, name);

    if (parameter == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no parameter “%s” here.", name);
    return parameter;
}

static Value *value_of(const W2wValues *values, const W2wParameter *parameter)
{
    return &values->values[parameter - values->parameters];
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
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_EDITS:
        return g_strdup("text in UTF-8");
    case W2W_PARAMETER_IDENTITY:
        return g_strdup("the contents of an identity file");
    case W2W_PARAMETER_PATH:
        return g_strdup("the name of a file or folder");
    }
    g_assert_not_reached();
}

static gboolean fail_value(const W2wParameter *parameter, const char *text, GError **error)
{
    g_autofree char *range = describe_range(parameter);
    g_autofree char *shown = g_utf8_make_valid(text, -1);

    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The value of %s must be %s, not “%s”.",
                parameter->name, range, shown);
    return FALSE;
}

static gboolean integer_in_range(const W2wParameter *parameter, gint64 integer)
{
    if (parameter->type == W2W_PARAMETER_SEED)
        return integer >= -1 && integer <= W2W_SEED_MAX;
    return integer >= (gint64)parameter->minimum && integer <= (gint64)parameter->maximum;
}

static gboolean choice_exists(const W2wParameter *parameter, const char *text)
{
    return g_strv_contains(parameter->choices, text);
}

static gboolean check_text(const W2wParameter *parameter, const char *text)
{
    if (parameter->type == W2W_PARAMETER_CHOICE)
        return choice_exists(parameter, text);
    return parameter->type == W2W_PARAMETER_PATH || g_utf8_validate(text, -1, NULL);
}

static void take_text(const W2wParameter *parameter, Value *value, const char *text)
{
    g_free(value->text);
    value->text = g_strdup(text);
}

gboolean w2w_values_set_text(W2wValues *values, const char *name, const char *text, GError **error)
{
    const W2wParameter *parameter = find_parameter(values, name, error);
    Value *value;
    char *end = NULL;

    if (parameter == NULL)
        return FALSE;
    value = value_of(values, parameter);
    errno = 0;
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
    case W2W_PARAMETER_SEED: {
        const gint64 integer = g_ascii_strtoll(text, &end, 10);

        if (end == text || *end != 0 || errno != 0 || !integer_in_range(parameter, integer))
            return fail_value(parameter, text, error);
        value->integer = integer;
        return TRUE;
    }
    case W2W_PARAMETER_DOUBLE: {
        const double number = g_ascii_strtod(text, &end);

        /* The range refuses NaN too: no comparison with it holds. */
        if (end == text || *end != 0 ||
            !(number >= parameter->minimum && number <= parameter->maximum))
            return fail_value(parameter, text, error);
        value->number = number;
        return TRUE;
    }
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
    case W2W_PARAMETER_PATH:
        if (!check_text(parameter, text))
            return fail_value(parameter, text, error);
        take_text(parameter, value, text);
        return TRUE;
    case W2W_PARAMETER_IDENTITY:
        return fail_value(parameter, text, error);
    }
    g_assert_not_reached();
}

static const GVariantType *wire_type(const W2wParameter *parameter)
{
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        return G_VARIANT_TYPE_INT32;
    case W2W_PARAMETER_DOUBLE:
        return G_VARIANT_TYPE_DOUBLE;
    case W2W_PARAMETER_SEED:
        return G_VARIANT_TYPE_INT64;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        return G_VARIANT_TYPE_STRING;
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PATH:
        return G_VARIANT_TYPE_BYTESTRING;
    }
    g_assert_not_reached();
}

/* Does the variant hold a value of this parameter? An error says what would. */
static gboolean check_variant(const W2wParameter *parameter, GVariant *variant, GError **error)
{
    gboolean ok = g_variant_is_of_type(variant, wire_type(parameter));

    if (!ok) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The value of %s arrived as type “%s”, and “%.*s” was expected.",
                    parameter->name, g_variant_get_type_string(variant),
                    (int)g_variant_type_get_string_length(wire_type(parameter)),
                    g_variant_type_peek_string(wire_type(parameter)));
        return FALSE;
    }
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        ok = integer_in_range(parameter, g_variant_get_int32(variant));
        break;
    case W2W_PARAMETER_SEED:
        ok = integer_in_range(parameter, g_variant_get_int64(variant));
        break;
    case W2W_PARAMETER_DOUBLE:
        ok = g_variant_get_double(variant) >= parameter->minimum &&
             g_variant_get_double(variant) <= parameter->maximum;
        break;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        ok = check_text(parameter, g_variant_get_string(variant, NULL));
        break;
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PATH:
        return TRUE;
    }
    if (!ok) {
        g_autofree char *printed = g_variant_print(variant, FALSE);

        return fail_value(parameter, printed, error);
    }
    return TRUE;
}

static void take_variant(const W2wParameter *parameter, Value *value, GVariant *variant)
{
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        value->integer = g_variant_get_int32(variant);
        break;
    case W2W_PARAMETER_SEED:
        value->integer = g_variant_get_int64(variant);
        break;
    case W2W_PARAMETER_DOUBLE:
        value->number = g_variant_get_double(variant);
        break;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        take_text(parameter, value, g_variant_get_string(variant, NULL));
        break;
    case W2W_PARAMETER_PATH: {
        g_autofree char *path = g_variant_dup_bytestring(variant, NULL);

        take_text(parameter, value, path);
        break;
    }
    case W2W_PARAMETER_IDENTITY:
        g_clear_pointer(&value->bytes, g_bytes_unref);
        value->bytes = g_variant_get_data_as_bytes(variant);
        break;
    }
}

gboolean w2w_values_set_variant(W2wValues *values, GVariant *dictionary, GError **error)
{
    GVariantIter iter;
    const char *name;
    GVariant *boxed;

    if (!g_variant_is_of_type(dictionary, G_VARIANT_TYPE_VARDICT)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "Values arrived as type “%s”, and a dictionary (a{sv}) was expected.",
                    g_variant_get_type_string(dictionary));
        return FALSE;
    }
    /* Checked as a whole before the first one is taken. */
    g_variant_iter_init(&iter, dictionary);
    while (g_variant_iter_next(&iter, "{&sv}", &name, &boxed)) {
        g_autoptr(GVariant) variant = boxed;
        const W2wParameter *parameter = find_parameter(values, name, error);

        if (parameter == NULL || !check_variant(parameter, variant, error))
            return FALSE;
    }
    g_variant_iter_init(&iter, dictionary);
    while (g_variant_iter_next(&iter, "{&sv}", &name, &boxed)) {
        g_autoptr(GVariant) variant = boxed;
        const W2wParameter *parameter = find_parameter(values, name, NULL);

        take_variant(parameter, value_of(values, parameter), variant);
    }
    return TRUE;
}

gboolean w2w_values_set_bytes(W2wValues *values, const char *name, GBytes *bytes, GError **error)
{
    const W2wParameter *parameter = find_parameter(values, name, error);
    Value *value;

    if (parameter == NULL)
        return FALSE;
    if (parameter->type != W2W_PARAMETER_IDENTITY) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s takes no bytes.", name);
        return FALSE;
    }
    value = value_of(values, parameter);
    g_clear_pointer(&value->bytes, g_bytes_unref);
    value->bytes = bytes != NULL ? g_bytes_ref(bytes) : NULL;
    return TRUE;
}

static const char *text_or_default(const W2wParameter *parameter, const Value *value)
{
    if (value->text != NULL)
        return value->text;
    return parameter->string != NULL ? parameter->string : "";
}

/* NULL for a value at its default. */
static GVariant *value_to_variant(const W2wParameter *parameter, const Value *value)
{
    const gboolean same_text =
        value->text == NULL ||
        g_strcmp0(value->text, parameter->string != NULL ? parameter->string : "") == 0;

    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        return value->integer == (gint64)parameter->number
                   ? NULL
                   : g_variant_new_int32((gint32)value->integer);
    case W2W_PARAMETER_SEED:
        return value->integer == (gint64)parameter->number ? NULL
                                                           : g_variant_new_int64(value->integer);
    case W2W_PARAMETER_DOUBLE:
        return value->number == parameter->number ? NULL : g_variant_new_double(value->number);
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        return same_text ? NULL : g_variant_new_string(value->text);
    case W2W_PARAMETER_PATH:
        return same_text ? NULL : g_variant_new_bytestring(value->text);
    case W2W_PARAMETER_IDENTITY:
        return value->bytes == NULL
                   ? NULL
                   : g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, value->bytes, TRUE);
    }
    g_assert_not_reached();
}

GVariant *w2w_values_to_variant(const W2wValues *values)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
    for (guint i = 0; i < values->n_parameters; i++) {
        GVariant *variant = value_to_variant(&values->parameters[i], &values->values[i]);

        if (variant != NULL)
            g_variant_builder_add(&builder, "{sv}", values->parameters[i].name, variant);
    }
    return g_variant_builder_end(&builder);
}

gboolean w2w_values_check_required(const W2wValues *values, GError **error)
{
    for (guint i = 0; i < values->n_parameters; i++) {
        const W2wParameter *parameter = &values->parameters[i];
        const Value *value = &values->values[i];
        gboolean given = TRUE;

        if (!(parameter->flags & W2W_PARAMETER_REQUIRED))
            continue;
        if (parameter->type == W2W_PARAMETER_IDENTITY)
            given = value->bytes != NULL;
        else if (parameter->type == W2W_PARAMETER_STRING || parameter->type == W2W_PARAMETER_PATH ||
                 parameter->type == W2W_PARAMETER_EDITS)
            given = *text_or_default(parameter, value) != 0;
        if (!given) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter %s is missing.",
                        parameter->name);
            return FALSE;
        }
    }
    return TRUE;
}

/* A name or type that the table does not have is a bug of the caller. */
static const Value *expect_value(const W2wValues *values, const char *name, guint allowed_types)
{
    const W2wParameter *parameter =
        w2w_parameter_lookup(values->parameters, values->n_parameters, name);

    g_assert(parameter != NULL && (allowed_types & (1u << parameter->type)) != 0);
    return value_of(values, parameter);
}

gint64 w2w_values_get_int(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_INT | 1u << W2W_PARAMETER_SEED)->integer;
}

double w2w_values_get_double(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_DOUBLE)->number;
}

const char *w2w_values_get_string(const W2wValues *values, const char *name)
{
    const Value *value = expect_value(values, name,
                                      1u << W2W_PARAMETER_STRING | 1u << W2W_PARAMETER_CHOICE |
                                          1u << W2W_PARAMETER_EDITS | 1u << W2W_PARAMETER_PATH);

    return text_or_default(&values->parameters[value - values->values], value);
}

guint w2w_values_get_choice(const W2wValues *values, const char *name)
{
    const Value *value = expect_value(values, name, 1u << W2W_PARAMETER_CHOICE);
    const W2wParameter *parameter = &values->parameters[value - values->values];
    const char *text = text_or_default(parameter, value);

    for (guint i = 0; parameter->choices[i] != NULL; i++)
        if (strcmp(parameter->choices[i], text) == 0)
            return i;
    g_assert_not_reached(); /* every way in checks, and the default is one of them */
}

GBytes *w2w_values_get_bytes(const W2wValues *values, const char *name)
{
    return expect_value(values, name, 1u << W2W_PARAMETER_IDENTITY)->bytes;
}
