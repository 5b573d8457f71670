/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values as GVariants, in and out. */
#include <string.h>

#include "engine/error.h"
#include "engine/job/parameter_value.h"

#define ITEMS_TYPE    "a(ayd)"
#define PICTURES_TYPE "aay"

static const GVariantType *wire_type(const W2wParameter *parameter)
{
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        return G_VARIANT_TYPE_INT32;
    case W2W_PARAMETER_DOUBLE:
        return G_VARIANT_TYPE_DOUBLE;
    case W2W_PARAMETER_SEED:
        return G_VARIANT_TYPE_INT64;
    case W2W_PARAMETER_SWITCH:
        return G_VARIANT_TYPE_BOOLEAN;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        return G_VARIANT_TYPE_STRING;
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PATH:
        return G_VARIANT_TYPE_BYTESTRING;
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
        return G_VARIANT_TYPE(ITEMS_TYPE);
    case W2W_PARAMETER_PICTURES:
        return G_VARIANT_TYPE(PICTURES_TYPE);
    }
    g_assert_not_reached();
}

/* The bytes of an "ay", and the weight beside it where it is one of an "(ayd)". */
static GBytes *get_item(GVariant *list, gsize i, double *weight)
{
    g_autoptr(GVariant) item = g_variant_get_child_value(list, i);
    g_autoptr(GVariant) bytes = NULL;

    if (g_variant_is_of_type(item, G_VARIANT_TYPE_BYTESTRING)) {
        *weight = W2W_DEFAULT_WEIGHT;
        return g_variant_get_data_as_bytes(item);
    }
    g_variant_get(item, "(@ayd)", &bytes, weight);
    return g_variant_get_data_as_bytes(bytes);
}

static gboolean check_items(const W2wParameter *parameter, GVariant *list, GError **error)
{
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        double weight;
        g_autoptr(GBytes) bytes = get_item(list, i, &weight);

        if (!w2w_value_check_item(parameter, bytes, weight, error))
            return FALSE;
    }
    return TRUE;
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
        ok = w2w_value_integer_is_valid(parameter, g_variant_get_int32(variant));
        break;
    case W2W_PARAMETER_SEED:
        ok = w2w_value_integer_is_valid(parameter, g_variant_get_int64(variant));
        break;
    case W2W_PARAMETER_DOUBLE:
        ok = w2w_value_number_is_valid(parameter, g_variant_get_double(variant));
        break;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        ok = w2w_value_text_is_valid(parameter, g_variant_get_string(variant, NULL));
        break;
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
    case W2W_PARAMETER_PICTURES:
        return check_items(parameter, variant, error);
    case W2W_PARAMETER_SWITCH:
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PATH:
        return TRUE;
    }
    if (!ok) {
        g_autofree char *printed = g_variant_print(variant, FALSE);

        return w2w_value_fail(parameter, printed, error);
    }
    return TRUE;
}

static void take_variant(const W2wParameter *parameter, W2wValue *value, GVariant *variant)
{
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        value->integer = g_variant_get_int32(variant);
        break;
    case W2W_PARAMETER_SEED:
        value->integer = g_variant_get_int64(variant);
        break;
    case W2W_PARAMETER_SWITCH:
        value->integer = g_variant_get_boolean(variant);
        break;
    case W2W_PARAMETER_DOUBLE:
        value->number = g_variant_get_double(variant);
        break;
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        w2w_value_take_text(value, g_variant_get_string(variant, NULL));
        break;
    case W2W_PARAMETER_PATH: {
        g_autofree char *path = g_variant_dup_bytestring(variant, NULL);

        w2w_value_take_text(value, path);
        break;
    }
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PICTURE:
        g_clear_pointer(&value->bytes, g_bytes_unref);
        value->bytes = g_variant_get_data_as_bytes(variant);
        break;
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
    case W2W_PARAMETER_PICTURES:
        w2w_value_clear_items(value);
        for (gsize i = 0; i < g_variant_n_children(variant); i++) {
            double weight;
            g_autoptr(GBytes) bytes = get_item(variant, i, &weight);

            w2w_value_take_item(value, bytes, weight);
        }
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
        const W2wParameter *parameter = w2w_values_find_parameter(values, name, error);

        if (parameter == NULL || !check_variant(parameter, variant, error))
            return FALSE;
    }
    g_variant_iter_init(&iter, dictionary);
    while (g_variant_iter_next(&iter, "{&sv}", &name, &boxed)) {
        g_autoptr(GVariant) variant = boxed;
        const W2wParameter *parameter = w2w_values_find_parameter(values, name, NULL);

        take_variant(parameter, w2w_values_at(values, parameter), variant);
    }
    return TRUE;
}

static GVariant *items_to_variant(const W2wParameter *parameter, const W2wValue *value)
{
    GVariantBuilder builder;

    if (value->items->len == 0)
        return NULL;
    g_variant_builder_init(&builder, wire_type(parameter));
    for (guint i = 0; i < value->items->len; i++) {
        const W2wValueItem *item = &g_array_index(value->items, W2wValueItem, i);
        GVariant *bytes = g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, item->bytes, TRUE);

        if (parameter->type == W2W_PARAMETER_PICTURES)
            g_variant_builder_add_value(&builder, bytes);
        else
            g_variant_builder_add(&builder, "(@ayd)", bytes, item->weight);
    }
    return g_variant_builder_end(&builder);
}

/* NULL for a value at its default. */
static GVariant *value_to_variant(const W2wParameter *parameter, const W2wValue *value)
{
    const gboolean same_text =
        value->text == NULL ||
        g_strcmp0(value->text, parameter->string != NULL ? parameter->string : "") == 0;
    const gboolean same_integer = value->integer == (gint64)parameter->number;

    switch (parameter->type) {
    case W2W_PARAMETER_INT:
        return same_integer ? NULL : g_variant_new_int32((gint32)value->integer);
    case W2W_PARAMETER_SEED:
        return same_integer ? NULL : g_variant_new_int64(value->integer);
    case W2W_PARAMETER_SWITCH:
        return same_integer ? NULL : g_variant_new_boolean(value->integer != 0);
    case W2W_PARAMETER_DOUBLE:
        return value->number == parameter->number ? NULL : g_variant_new_double(value->number);
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_EDITS:
        return same_text ? NULL : g_variant_new_string(value->text);
    case W2W_PARAMETER_PATH:
        return same_text ? NULL : g_variant_new_bytestring(value->text);
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PICTURE:
        return value->bytes == NULL
                   ? NULL
                   : g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, value->bytes, TRUE);
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
    case W2W_PARAMETER_PICTURES:
        return items_to_variant(parameter, value);
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
