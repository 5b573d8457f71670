/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pandas' DataFrames in pickles, as pandas 1.0 to 2.x write them: a DataFrame holds a
 * BlockManager, which holds blocks of columns of one dtype, and an Index of each axis.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_handlers.h"

static W2wPtValue *lookup(const W2wPtValue *dict, const char *key)
{
    return dict->container->by_string != NULL ? g_hash_table_lookup(dict->container->by_string, key)
                                              : NULL;
}

/* An array of one dimension, numeric or of objects: its length, or -1. */
static gint64 labels_length(const W2wPtValue *labels)
{
    if (labels->kind == W2W_PT_ARRAY && labels->array->n_dims == 1)
        return labels->array->shape[0];
    if (labels->kind == W2W_PT_OBJECT_ARRAY && labels->object_array->n_dims == 1)
        return labels->object_array->shape[0];
    return -1;
}

/* Of range(start, stop, step), or -1 where that cannot be. */
static gint64 range_length(const W2wPtSlice *range)
{
    gint64 span;

    if (range->step == 0 || __builtin_sub_overflow(range->stop, range->start, &span) ||
        span == G_MININT64 || range->step == G_MININT64)
        return -1;
    if (span == 0 || (span > 0) != (range->step > 0))
        return 0;
    return (ABS(span) - 1) / ABS(range->step) + 1;
}

/* _new_Index(class, {"data": array} or {"start": …, "stop": …, "step": …}) */
W2W_PT_HANDLER(w2w_pt_call_index)
{
    static const char *const names[] = {"start", "stop", "step"};
    const W2wPtValue *class = w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_SYMBOL, error);
    const W2wPtValue *dict =
        class != NULL ? w2w_pt_argument(machine, symbol, arguments, 1, W2W_PT_DICT, error) : NULL;
    W2wPtIndex *index;
    W2wPtValue *value;
    gint64 *fields[3];

    if (dict == NULL)
        return NULL;
    value = w2w_pt_value_new(machine->document, W2W_PT_INDEX, sizeof(W2wPtIndex), machine->position,
                             error);
    if (value == NULL)
        return NULL;
    index = value->index;
    if (!g_str_has_prefix(class->symbol->module, "pandas.core.indexes.")) {
        w2w_pt_machine_fail(machine, error, "_new_Index makes a %s", class->symbol->name);
        return NULL;
    }
    if (strcmp(class->symbol->name, "RangeIndex") != 0) {
        index->labels = lookup(dict, "data");
        index->length = index->labels != NULL ? labels_length(index->labels) : -1;
    } else {
        fields[0] = &index->range.start;
        fields[1] = &index->range.stop;
        fields[2] = &index->range.step;
        for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
            const W2wPtValue *number = lookup(dict, names[i]);

            if (number != NULL && number->kind == W2W_PT_INT)
                *fields[i] = number->integer;
        }
        index->length = range_length(&index->range);
    }
    if (index->length < 0) {
        w2w_pt_machine_fail(machine, error, "a pandas Index has no labels that make sense");
        return NULL;
    }
    return value;
}

static W2wPtValue *new_block(W2wPtMachine *machine, W2wPtValue *values, W2wPtValue *placement,
                             GError **error)
{
    W2wPtValue *block;

    if (values->kind != W2W_PT_ARRAY && values->kind != W2W_PT_OBJECT_ARRAY) {
        w2w_pt_machine_fail(machine, error, "the columns of a DataFrame are %s",
                            w2w_pt_kind_describe(values->kind));
        return NULL;
    }
    if (placement->kind != W2W_PT_SLICE &&
        !(placement->kind == W2W_PT_ARRAY && placement->array->n_dims == 1 &&
          !w2w_dtype_is_float(placement->array->dtype))) {
        w2w_pt_machine_fail(machine, error, "the places of a DataFrame's columns are %s",
                            w2w_pt_kind_describe(placement->kind));
        return NULL;
    }
    block = w2w_pt_value_new(machine->document, W2W_PT_BLOCK, sizeof(W2wPtBlock), machine->position,
                             error);
    if (block != NULL)
        *block->block = (W2wPtBlock){values, placement};
    return block;
}

W2W_PT_HANDLER(w2w_pt_call_block)
{
    return new_block(machine, w2w_pt_sequence_get(arguments, 0), w2w_pt_sequence_get(arguments, 1),
                     error);
}

W2W_PT_HANDLER(w2w_pt_call_block_manager)
{
    W2wPtValue *manager = w2w_pt_value_new(machine->document, W2W_PT_BLOCK_MANAGER,
                                           sizeof(W2wPtBlockManager), machine->position, error);

    if (manager != NULL && w2w_pt_sequence_get_length(arguments) == 2)
        *manager->manager = (W2wPtBlockManager){w2w_pt_sequence_get(arguments, 0),
                                                w2w_pt_sequence_get(arguments, 1)};
    return manager;
}

/*
 * pandas before 1.3: (axes, values, items, {"0.14.1": {"axes": …, "blocks":
 * [{"values": …, "mgr_locs": …}, …]}}), of which the last says everything.
 */
gboolean w2w_pt_build_block_manager(W2wPtMachine *machine, W2wPtValue *manager,
                                    const W2wPtValue *state, GError **error)
{
    const W2wPtValue *extra = state->kind == W2W_PT_TUPLE && w2w_pt_sequence_get_length(state) == 4
                                  ? w2w_pt_sequence_get(state, 3)
                                  : NULL;
    const W2wPtValue *named =
        extra != NULL && extra->kind == W2W_PT_DICT ? lookup(extra, "0.14.1") : NULL;
    const W2wPtValue *blocks =
        named != NULL && named->kind == W2W_PT_DICT ? lookup(named, "blocks") : NULL;
    W2wPtValue *list;

    if (blocks == NULL || !w2w_pt_value_is_sequence(blocks) || manager->manager->blocks != NULL)
        return w2w_pt_machine_fail(machine, error,
                                   "a DataFrame's BlockManager has an unknown state");
    list = w2w_pt_value_new_container(machine->document, W2W_PT_LIST, machine->position, error);
    if (list == NULL)
        return FALSE;
    for (guint i = 0; i < w2w_pt_sequence_get_length(blocks); i++) {
        const W2wPtValue *described = w2w_pt_sequence_get(blocks, i);
        W2wPtValue *values = NULL, *placement = NULL, *block;

        if (described->kind == W2W_PT_DICT) {
            values = lookup(described, "values");
            placement = lookup(described, "mgr_locs");
        }
        if (values == NULL || placement == NULL)
            return w2w_pt_machine_fail(machine, error,
                                       "a DataFrame's BlockManager has an unknown state");
        block = new_block(machine, values, placement, error);
        if (block == NULL || !w2w_pt_container_append(list, block, machine->position, error))
            return FALSE;
    }
    *manager->manager = (W2wPtBlockManager){list, lookup(named, "axes")};
    return TRUE;
}

W2W_PT_HANDLER(w2w_pt_call_data_frame)
{
    return w2w_pt_value_new(machine->document, W2W_PT_DATAFRAME, sizeof(W2wPtDataFrame),
                            machine->position, error);
}

/* Its attributes, of which one counts: _mgr, before pandas 1.1 _data. */
gboolean w2w_pt_build_data_frame(W2wPtMachine *machine, W2wPtValue *frame, const W2wPtValue *state,
                                 GError **error)
{
    W2wPtValue *manager = NULL;

    if (state->kind == W2W_PT_DICT) {
        manager = lookup(state, "_mgr");
        if (manager == NULL)
            manager = lookup(state, "_data");
    }
    if (manager == NULL || manager->kind != W2W_PT_BLOCK_MANAGER || frame->frame->manager != NULL)
        return w2w_pt_machine_fail(machine, error, "a DataFrame has an unknown state");
    frame->frame->manager = manager;
    return TRUE;
}
