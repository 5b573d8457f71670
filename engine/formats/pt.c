/* SPDX-License-Identifier: GPL-3.0-or-later */
/* .pt files to the outside: opening, and getters of finished values. */
#include "engine/formats/pt.h"

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/pt_value.h"
#include "engine/formats/zip.h"

W2wPtValue *w2w_pt_open_bytes(GBytes *bytes, const char *name, GError **error)
{
    if (w2w_zip_matches(bytes))
        return w2w_pt_read_archive(bytes, name, error);
    if (w2w_pt_legacy_matches(bytes))
        return w2w_pt_read_legacy(bytes, name, error);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is not a PyTorch file: at byte 0 the beginning of a zip archive or of the "
                "older format was expected.",
                name);
    return NULL;
}

W2wPtValue *w2w_pt_open(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, error);

    return bytes != NULL ? w2w_pt_open_bytes(bytes, path, error) : NULL;
}

W2wArray *w2w_pt_open_array(const char *path, GError **error)
{
    g_autoptr(W2wPtValue) value = w2w_pt_open(path, error);

    if (value == NULL)
        return NULL;
    if (value->kind != W2W_PT_ARRAY) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s holds %s where a tensor was expected.",
                    path, w2w_pt_kind_describe(value->kind));
        return NULL;
    }
    return w2w_array_ref(value->array);
}

W2wPtType w2w_pt_value_get_type(const W2wPtValue *value)
{
    return (W2wPtType)value->kind;
}

const char *w2w_pt_type_describe(W2wPtType type)
{
    return w2w_pt_kind_describe((int)type);
}

gboolean w2w_pt_value_get_bool(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_BOOL, FALSE);
    return value->integer != 0;
}

gint64 w2w_pt_value_get_int(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_INT, 0);
    return value->integer;
}

double w2w_pt_value_get_float(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_FLOAT || value->kind == W2W_PT_INT, 0.0);
    return value->kind == W2W_PT_INT ? (double)value->integer : value->real;
}

const char *w2w_pt_value_get_string(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_STRING, NULL);
    return value->string->text;
}

GBytes *w2w_pt_value_get_bytes(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_BYTES, NULL);
    return value->bytes;
}

W2wArray *w2w_pt_value_get_array(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_ARRAY, NULL);
    return value->array;
}

guint w2w_pt_value_get_length(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_LIST || value->kind == W2W_PT_DICT, 0);
    return value->container->items->len / (value->kind == W2W_PT_DICT ? 2 : 1);
}

W2wPtValue *w2w_pt_value_get_item(const W2wPtValue *value, guint i)
{
    g_return_val_if_fail(i < w2w_pt_value_get_length(value), NULL);
    return value->container->items->pdata[value->kind == W2W_PT_DICT ? 2 * i + 1 : i];
}

W2wPtValue *w2w_pt_value_get_key(const W2wPtValue *value, guint i)
{
    g_return_val_if_fail(value->kind == W2W_PT_DICT && i < w2w_pt_value_get_length(value), NULL);
    return value->container->items->pdata[2 * i];
}

W2wPtValue *w2w_pt_value_lookup(const W2wPtValue *value, const char *key)
{
    g_return_val_if_fail(value->kind == W2W_PT_DICT, NULL);
    return value->container->by_string != NULL
               ? g_hash_table_lookup(value->container->by_string, key)
               : NULL;
}

/* --- DataFrames --- */

guint w2w_pt_value_get_n_columns(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_DATAFRAME, 0);
    return value->frame->n_columns;
}

gint64 w2w_pt_value_get_n_rows(const W2wPtValue *value)
{
    g_return_val_if_fail(value->kind == W2W_PT_DATAFRAME, 0);
    return value->frame->n_rows;
}

W2wPtValue *w2w_pt_value_get_column_name(const W2wPtValue *value, guint column)
{
    g_return_val_if_fail(column < w2w_pt_value_get_n_columns(value), NULL);
    return value->frame->columns[column].name;
}

/* A value in a document of its own: it must outlive the one that it was read from. */
static W2wPtValue *new_scalar(const W2wArray *array, gint64 i)
{
    W2wPtDocument *document = w2w_pt_document_new("", 0);
    W2wPtValue *value = w2w_pt_value_new(document, W2W_PT_INT, 0, 0, NULL);

    if (array == NULL) {
        value->integer = i;
    } else if (w2w_dtype_is_float(array->dtype)) {
        value->kind = W2W_PT_FLOAT;
        value->real = w2w_array_get(array, i);
    } else {
        value->kind = array->dtype == W2W_DTYPE_BOOL ? W2W_PT_BOOL : W2W_PT_INT;
        value->integer = w2w_array_get_int(array, i);
    }
    return value;
}

W2wPtValue *w2w_pt_value_get_index(const W2wPtValue *value, gint64 row)
{
    const W2wPtIndex *index;

    g_return_val_if_fail(row >= 0 && row < w2w_pt_value_get_n_rows(value), NULL);
    index = value->frame->index->index;
    if (index->labels == NULL)
        return new_scalar(NULL, index->range.start + row * index->range.step);
    if (index->labels->kind == W2W_PT_ARRAY)
        return new_scalar(index->labels->array, row);
    return w2w_pt_value_ref(w2w_pt_sequence_get(index->labels->object_array->list, (guint)row));
}

W2wPtValue *w2w_pt_value_get_cell(const W2wPtValue *value, guint column, gint64 row)
{
    const W2wPtColumn *place;
    gint64 i;

    g_return_val_if_fail(column < w2w_pt_value_get_n_columns(value), NULL);
    g_return_val_if_fail(row >= 0 && row < value->frame->n_rows, NULL);
    place = &value->frame->columns[column];
    i = place->row * value->frame->n_rows + row;
    if (place->values->kind == W2W_PT_ARRAY)
        return new_scalar(place->values->array, i);
    return w2w_pt_value_ref(w2w_pt_sequence_get(place->values->object_array->list, (guint)i));
}

W2wArray *w2w_pt_value_get_column(const W2wPtValue *value, guint column)
{
    const W2wPtColumn *place;
    const W2wArray *block;
    gsize offset;

    g_return_val_if_fail(column < w2w_pt_value_get_n_columns(value), NULL);
    place = &value->frame->columns[column];
    if (place->values->kind != W2W_PT_ARRAY)
        return NULL;
    block = place->values->array;
    offset =
        (gsize)((const char *)block->data - (const char *)g_bytes_get_data(block->owner, NULL)) +
        (gsize)(place->row * block->stride[0]) * w2w_dtype_size(block->dtype);
    return w2w_array_new_view(block->dtype, 1, &value->frame->n_rows, &block->stride[1],
                              block->owner, offset, "A column", NULL);
}
