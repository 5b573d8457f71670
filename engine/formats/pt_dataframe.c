/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A DataFrame's columns: each belongs to one row of one block of its manager. Checked
 * when the pickle has ended, because its lists may grow until then.
 */
#include "engine/error.h"
#include "engine/formats/pt_handlers.h"

enum {
    MAX_COLUMNS = 100 * 1000,
    MAX_ROWS = 1000 * 1000 * 1000,
};

#define FAIL(...) w2w_pt_fail(value->document, value->position, error, __VA_ARGS__)

/* What getters hand out: nothing that has parts, no text that C would cut. */
static gboolean is_cell(const W2wPtValue *cell)
{
    return w2w_pt_value_is_scalar(cell) && !(cell->kind == W2W_PT_STRING && cell->string->has_nul);
}

static gboolean check_objects(const W2wPtValue *value, const W2wPtValue *array, GError **error)
{
    const W2wPtObjectArray *objects = array->object_array;
    const gint64 n = objects->shape[0] * (objects->n_dims == 2 ? objects->shape[1] : 1);

    /* For the time that this takes: several DataFrames may share one array. */
    if (!w2w_pt_charge(value->document, (gsize)n, value->position, error))
        return FALSE;
    for (gint64 i = 0; i < n; i++) {
        const W2wPtValue *cell = w2w_pt_sequence_get(objects->list, (guint)i);

        if (!is_cell(cell))
            return FAIL("a DataFrame holds %s", w2w_pt_kind_describe(cell->kind));
    }
    return TRUE;
}

static const W2wPtIndex *get_axis(W2wPtValue *value, guint axis, GError **error)
{
    const W2wPtValue *axes = value->frame->manager->manager->axes, *index;

    if (axes == NULL || !w2w_pt_value_is_sequence(axes) || w2w_pt_sequence_get_length(axes) != 2 ||
        w2w_pt_sequence_get(axes, axis)->kind != W2W_PT_INDEX) {
        FAIL("a DataFrame has no index of its %s", axis == 0 ? "columns" : "rows");
        return NULL;
    }
    index = w2w_pt_sequence_get(axes, axis);
    if (index->index->labels != NULL && index->index->labels->kind == W2W_PT_OBJECT_ARRAY &&
        !check_objects(value, index->index->labels, error))
        return NULL;
    return index->index;
}

/* The label of a column as a value: taken from the index or made. */
static W2wPtValue *column_name(W2wPtValue *value, const W2wPtIndex *index, guint column,
                               GError **error)
{
    W2wPtValue *name;

    if (index->labels != NULL && index->labels->kind == W2W_PT_OBJECT_ARRAY)
        return w2w_pt_sequence_get(index->labels->object_array->list, column);
    name = w2w_pt_value_new(value->document, W2W_PT_INT, 0, value->position, error);
    if (name == NULL)
        return NULL;
    if (index->labels == NULL) {
        name->integer = index->range.start + (gint64)column * index->range.step;
    } else if (w2w_dtype_is_float(index->labels->array->dtype)) {
        name->kind = W2W_PT_FLOAT;
        name->real = w2w_array_get(index->labels->array, column);
    } else {
        name->integer = w2w_array_get_int(index->labels->array, column);
    }
    return name;
}

static gboolean get_block_shape(const W2wPtValue *values, gint64 *n_columns, gint64 *n_rows)
{
    const gboolean is_array = values->kind == W2W_PT_ARRAY;
    const guint n_dims = is_array ? values->array->n_dims : values->object_array->n_dims;
    const gint64 *shape = is_array ? values->array->shape : values->object_array->shape;

    *n_columns = shape[0];
    *n_rows = shape[1];
    return n_dims == 2;
}

/* Which column the block's row `i` is. */
static gint64 place(const W2wPtValue *placement, gint64 i)
{
    gint64 column;

    if (placement->kind == W2W_PT_ARRAY)
        return i < placement->array->n_elements ? w2w_array_get_int(placement->array, i) : -1;
    if (__builtin_mul_overflow(i, placement->slice->step, &column) ||
        __builtin_add_overflow(column, placement->slice->start, &column))
        return -1;
    return column;
}

static gboolean add_block(W2wPtValue *value, const W2wPtBlock *block, GError **error)
{
    W2wPtDataFrame *frame = value->frame;
    gint64 n_columns, n_rows;

    if (!get_block_shape(block->values, &n_columns, &n_rows) || n_rows != frame->n_rows ||
        n_columns > frame->n_columns)
        return FAIL("a part of a DataFrame does not have its %" G_GINT64_FORMAT " rows",
                    frame->n_rows);
    for (gint64 i = 0; i < n_columns; i++) {
        const gint64 column = place(block->placement, i);

        if (column < 0 || column >= frame->n_columns || frame->columns[column].values != NULL)
            return FAIL("a DataFrame has parts that are in no column or in the same");
        frame->columns[column].values = block->values;
        frame->columns[column].row = i;
    }
    return block->values->kind == W2W_PT_ARRAY || check_objects(value, block->values, error);
}

static gboolean add_columns(W2wPtValue *value, const W2wPtIndex *names, GError **error)
{
    W2wPtDataFrame *frame = value->frame;
    const W2wPtValue *blocks = frame->manager->manager->blocks;

    /* The blocks for the time that they take: several DataFrames may share them. */
    if (!w2w_pt_charge(value->document,
                       frame->n_columns * sizeof(W2wPtColumn) +
                           w2w_pt_sequence_get_length(blocks) * sizeof blocks,
                       value->position, error))
        return FALSE;
    frame->columns = g_new0(W2wPtColumn, frame->n_columns);
    for (guint i = 0; i < w2w_pt_sequence_get_length(blocks); i++) {
        const W2wPtValue *block = w2w_pt_sequence_get(blocks, i);

        if (block->kind != W2W_PT_BLOCK)
            return FAIL("a part of a DataFrame is %s", w2w_pt_kind_describe(block->kind));
        if (!add_block(value, block->block, error))
            return FALSE;
    }
    for (guint i = 0; i < frame->n_columns; i++) {
        if (frame->columns[i].values == NULL)
            return FAIL("column %u of a DataFrame has no values", i);
        frame->columns[i].name = column_name(value, names, i, error);
        if (frame->columns[i].name == NULL)
            return FALSE;
    }
    return TRUE;
}

gboolean w2w_pt_finish_data_frame(W2wPtValue *value, GError **error)
{
    W2wPtDataFrame *frame = value->frame;
    const W2wPtIndex *columns, *rows;

    if (frame->manager == NULL || frame->manager->manager->blocks == NULL ||
        !w2w_pt_value_is_sequence(frame->manager->manager->blocks))
        return FAIL("a DataFrame has no values");
    columns = get_axis(value, 0, error);
    rows = columns != NULL ? get_axis(value, 1, error) : NULL;
    if (rows == NULL)
        return FALSE;
    if (columns->length > MAX_COLUMNS || rows->length > MAX_ROWS)
        return FAIL("a DataFrame claims %" G_GINT64_FORMAT " columns and %" G_GINT64_FORMAT
                    " rows; at most %d and %d are supported",
                    columns->length, rows->length, MAX_COLUMNS, MAX_ROWS);
    frame->n_columns = (guint)columns->length;
    frame->n_rows = rows->length;
    frame->index = w2w_pt_sequence_get(frame->manager->manager->axes, 1);
    return add_columns(value, columns, error);
}
