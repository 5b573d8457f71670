/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PyTorch's tensors: where their numbers lie is checked by w2w_array_new_view(). */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_handlers.h"

/* "0" in an archive, an address in decimal in the legacy format. */
#define MAX_KEY 64

static gboolean is_string(const W2wPtValue *value)
{
    return value->kind == W2W_PT_STRING && !value->string->has_nul;
}

/*
 * The id of a storage: ("storage", type, key, device, number of elements); the legacy
 * format adds a view, which is None in files of this decade.
 */
W2wPtValue *w2w_pt_persistent_load(W2wPtMachine *machine, const W2wPtValue *id, GError **error)
{
    const guint n = id->kind == W2W_PT_TUPLE ? w2w_pt_sequence_get_length(id) : 0;
    const W2wPtValue *type, *key, *count;
    W2wPtValue *storage;

    if (n != 5 && !(n == 6 && w2w_pt_sequence_get(id, 5)->kind == W2W_PT_NONE)) {
        w2w_pt_machine_fail(machine, error, "a storage has an unknown kind of name");
        return NULL;
    }
    type = w2w_pt_sequence_get(id, 1);
    key = w2w_pt_sequence_get(id, 2);
    count = w2w_pt_sequence_get(id, 4);
    if (!is_string(w2w_pt_sequence_get(id, 0)) ||
        strcmp(w2w_pt_sequence_get(id, 0)->string->text, "storage") != 0 ||
        type->kind != W2W_PT_SYMBOL || !g_str_has_suffix(type->symbol->name, "Storage") ||
        !is_string(key) || key->string->length > MAX_KEY || count->kind != W2W_PT_INT ||
        count->integer < 0) {
        w2w_pt_machine_fail(machine, error, "a storage has an unknown kind of name");
        return NULL;
    }
    storage = g_hash_table_lookup(machine->storages, key->string->text);
    if (storage != NULL) {
        if (storage->storage->dtype != (W2wDType)type->symbol->detail ||
            storage->storage->count != count->integer) {
            w2w_pt_machine_fail(machine, error, "the storage “%s” is described in two ways",
                                key->string->text);
            return NULL;
        }
        return storage;
    }
    storage = w2w_pt_value_new(machine->document, W2W_PT_STORAGE, sizeof(W2wPtStorage),
                               machine->position, error);
    if (storage == NULL || !w2w_pt_charge(machine->document, 2 * MAX_KEY, machine->position, error))
        return NULL;
    *storage->storage = (W2wPtStorage){g_strdup(key->string->text), (W2wDType)type->symbol->detail,
                                       count->integer, NULL};
    g_hash_table_insert(machine->storages, storage->storage->key, storage);
    return storage;
}

static gboolean read_sizes(W2wPtMachine *machine, const W2wPtSymbol *symbol,
                           const W2wPtValue *arguments, guint i, gint64 *sizes, guint *n_sizes,
                           GError **error)
{
    const W2wPtValue *tuple = w2w_pt_argument(machine, symbol, arguments, i, W2W_PT_TUPLE, error);

    if (tuple == NULL)
        return FALSE;
    *n_sizes = w2w_pt_sequence_get_length(tuple);
    if (*n_sizes > W2W_ARRAY_MAX_DIMS)
        return w2w_pt_machine_fail(machine, error,
                                   "a tensor has %u dimensions; at most %d are supported", *n_sizes,
                                   W2W_ARRAY_MAX_DIMS);
    for (guint d = 0; d < *n_sizes; d++) {
        const W2wPtValue *size = w2w_pt_sequence_get(tuple, d);

        if (size->kind != W2W_PT_INT)
            return w2w_pt_machine_fail(machine, error,
                                       "a size or stride of a tensor is %s instead of an integer",
                                       w2w_pt_kind_describe(size->kind));
        sizes[d] = size->integer;
    }
    return TRUE;
}

W2W_PT_HANDLER(w2w_pt_call_rebuild_tensor)
{
    W2wPtValue *storage = w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_STORAGE, error);
    const W2wPtValue *offset =
        storage != NULL ? w2w_pt_argument(machine, symbol, arguments, 1, W2W_PT_INT, error) : NULL;
    W2wPtValue *value;
    W2wPtTensor *tensor;
    guint n_strides;

    if (offset == NULL ||
        !w2w_pt_charge(machine->document, sizeof(W2wArray), machine->position, error))
        return NULL;
    value = w2w_pt_value_new(machine->document, W2W_PT_TENSOR, sizeof(W2wPtTensor),
                             machine->position, error);
    if (value == NULL)
        return NULL;
    tensor = value->tensor;
    tensor->storage = storage;
    tensor->offset = offset->integer;
    if (!read_sizes(machine, symbol, arguments, 2, tensor->shape, &tensor->n_dims, error) ||
        !read_sizes(machine, symbol, arguments, 3, tensor->stride, &n_strides, error))
        return NULL;
    if (tensor->n_dims != n_strides || tensor->offset < 0) {
        w2w_pt_machine_fail(machine, error, "a tensor has an offset or strides that make no sense");
        return NULL;
    }
    return value;
}

W2W_PT_HANDLER(w2w_pt_call_rebuild_parameter)
{
    return w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_TENSOR, error);
}

W2W_PT_HANDLER(w2w_pt_call_size)
{
    return w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_TUPLE, error);
}

gboolean w2w_pt_finish_tensor(W2wPtValue *value, GError **error)
{
    W2wPtTensor *tensor = value->tensor;
    const W2wPtStorage *storage = tensor->storage->storage;
    g_autofree char *what =
        g_strdup_printf("A tensor of %s (byte %" G_GSIZE_FORMAT " of its pickle)",
                        value->document->name, value->position);
    gsize offset;
    W2wArray *array;

    if (!g_size_checked_mul(&offset, (gsize)tensor->offset, w2w_dtype_size(storage->dtype)))
        return w2w_pt_fail(value->document, value->position, error,
                           "a tensor begins outside of its storage");
    array = w2w_array_new_view(storage->dtype, tensor->n_dims, tensor->shape, tensor->stride,
                               storage->bytes, offset, what, error);
    if (array == NULL)
        return FALSE;
    g_free(tensor);
    value->kind = W2W_PT_ARRAY;
    value->array = array;
    return TRUE;
}
