/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of the .pt reader: made, charged for, freed. */
#include "engine/formats/pt_value.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

/*
 * An honest pickle's values take some 100 bytes for each dozen of its own; text and
 * arrays are charged by their length. A megabyte of the cheapest hostile opcodes
 * (one byte each) meets the second term.
 */
#define BUDGET_BASE     ((gsize)64 << 20)
#define BUDGET_PER_BYTE 64
#define BUDGET_MAX      ((gsize)1 << 30)

/*
 * Values are small and their allocation cannot fail; so their memory is asked for by the piece,
 * before it is charged.
 */
#define RESERVE_BYTES ((gsize)64 << 10)

/* What GLib takes for a GPtrArray with one item, a further item, a place in a hash table. */
#define CONTAINER_BYTES (12 * sizeof(gpointer))
#define ITEM_BYTES      (2 * sizeof(gpointer))
#define KEY_BYTES       (8 * sizeof(gpointer))

W2wPtDocument *w2w_pt_document_new(const char *name, gsize pickle_bytes)
{
    W2wPtDocument *document = g_new0(W2wPtDocument, 1);

    g_atomic_ref_count_init(&document->ref_count);
    document->name = g_strdup(name);
    document->budget =
        BUDGET_BASE + MIN(pickle_bytes, BUDGET_MAX / BUDGET_PER_BYTE) * BUDGET_PER_BYTE;
    return document;
}

static void free_payload(W2wPtValue *value)
{
    switch (value->kind) {
    case W2W_PT_STRING:
        g_free(value->string->text);
        break;
    case W2W_PT_BYTES:
    case W2W_PT_BIG_INTEGER:
        g_bytes_unref(value->bytes);
        return;
    case W2W_PT_LIST:
    case W2W_PT_TUPLE:
    case W2W_PT_DICT:
        g_ptr_array_unref(value->container->items);
        g_clear_pointer(&value->container->by_string, g_hash_table_unref);
        break;
    case W2W_PT_ARRAY:
        w2w_array_unref(value->array);
        return;
    case W2W_PT_STORAGE:
        g_free(value->storage->key);
        g_clear_pointer(&value->storage->bytes, g_bytes_unref);
        break;
    case W2W_PT_DATAFRAME:
        g_free(value->frame->columns);
        break;
    case W2W_PT_NONE:
    case W2W_PT_BOOL:
    case W2W_PT_INT:
    case W2W_PT_FLOAT:
    case W2W_PT_SYMBOL:
    case W2W_PT_PARTIAL:
    case W2W_PT_NDARRAY:
        return;
    default: /* plain structs */
        break;
    }
    g_free(value->payload);
}

void w2w_pt_document_unref(W2wPtDocument *document)
{
    if (document == NULL || !g_atomic_ref_count_dec(&document->ref_count))
        return;
    for (W2wPtValue *value = document->first, *next; value != NULL; value = next) {
        next = value->next;
        free_payload(value);
        g_free(value);
    }
    g_free(document->name);
    g_free(document);
}

W2wPtValue *w2w_pt_value_ref(W2wPtValue *value)
{
    g_atomic_ref_count_inc(&value->document->ref_count);
    return value;
}

void w2w_pt_value_unref(W2wPtValue *value)
{
    if (value != NULL)
        w2w_pt_document_unref(value->document);
}

gboolean w2w_pt_fail(const W2wPtDocument *document, gsize position, GError **error,
                     const char *format, ...)
{
    g_autofree char *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s cannot be read: at byte %" G_GSIZE_FORMAT " of its pickle %s.", document->name,
                position, detail);
    return FALSE;
}

gboolean w2w_pt_charge(W2wPtDocument *document, gsize n_bytes, gsize position, GError **error)
{
    if (n_bytes > document->budget)
        return w2w_pt_fail(document, position, error,
                           "it wants more memory than an honest file of its size needs");
    if (n_bytes > document->reserved) {
        if (!w2w_memory_reserve(MAX(n_bytes, RESERVE_BYTES), document->name, error))
            return FALSE;
        document->reserved = MAX(n_bytes, RESERVE_BYTES);
    }
    document->reserved -= n_bytes;
    document->budget -= n_bytes;
    return TRUE;
}

gboolean w2w_pt_reserve_growth(const W2wPtDocument *document, gsize n_items, gsize item_size,
                               GError **error)
{
    if (n_items * item_size < RESERVE_BYTES || (n_items & (n_items - 1)) != 0)
        return TRUE;
    return w2w_memory_reserve(2 * n_items * item_size, document->name, error);
}

W2wPtValue *w2w_pt_value_new(W2wPtDocument *document, int kind, gsize payload_bytes, gsize position,
                             GError **error)
{
    W2wPtValue *value;

    if (!w2w_pt_charge(document, sizeof *value + payload_bytes, position, error))
        return NULL;
    value = g_new0(W2wPtValue, 1);
    value->document = document;
    value->kind = (guint8)kind;
    value->position = position;
    if (payload_bytes > 0)
        value->payload = g_malloc0(payload_bytes);
    if (document->last != NULL)
        document->last->next = value;
    else
        document->first = value;
    document->last = value;
    return value;
}

W2wPtValue *w2w_pt_value_new_string(W2wPtDocument *document, const char *text, gsize length,
                                    gsize position, GError **error)
{
    W2wPtValue *value;
    char *copy;

    if (!w2w_pt_charge(document, length + 1, position, error))
        return NULL;
    copy = w2w_try_malloc(length + 1, 1, document->name, error);
    if (copy == NULL)
        return NULL;
    value = w2w_pt_value_new(document, W2W_PT_STRING, sizeof(W2wPtString), position, error);
    if (value == NULL) {
        g_free(copy);
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = 0;
    *value->string = (W2wPtString){copy, length, memchr(copy, 0, length) != NULL, NULL};
    return value;
}

W2wPtValue *w2w_pt_value_new_container(W2wPtDocument *document, int kind, gsize position,
                                       GError **error)
{
    W2wPtValue *value;

    if (!w2w_pt_charge(document, CONTAINER_BYTES, position, error))
        return NULL;
    value = w2w_pt_value_new(document, kind, sizeof(W2wPtContainer), position, error);
    if (value != NULL)
        value->container->items = g_ptr_array_new();
    return value;
}

gboolean w2w_pt_container_append(W2wPtValue *container, W2wPtValue *item, gsize position,
                                 GError **error)
{
    if (!w2w_pt_charge(container->document, ITEM_BYTES, position, error) ||
        !w2w_pt_reserve_growth(container->document, container->container->items->len, ITEM_BYTES,
                               error))
        return FALSE;
    g_ptr_array_add(container->container->items, item);
    return TRUE;
}

gboolean w2w_pt_dict_set(W2wPtValue *dict, W2wPtValue *key, W2wPtValue *value, gsize position,
                         GError **error)
{
    W2wPtContainer *container = dict->container;

    if (key->kind == W2W_PT_STRING && !key->string->has_nul) {
        if (!w2w_pt_charge(dict->document, KEY_BYTES, position, error) ||
            !w2w_pt_reserve_growth(
                dict->document,
                container->by_string != NULL ? g_hash_table_size(container->by_string) : 0,
                KEY_BYTES, error))
            return FALSE;
        if (container->by_string == NULL)
            container->by_string = g_hash_table_new(g_str_hash, g_str_equal);
        if (!g_hash_table_insert(container->by_string, key->string->text, value))
            return w2w_pt_fail(dict->document, position, error,
                               "the key “%s” is set twice in one dictionary", key->string->text);
    }
    return w2w_pt_container_append(dict, key, position, error) &&
           w2w_pt_container_append(dict, value, position, error);
}

const char *w2w_pt_kind_describe(int kind)
{
    static const char *const descriptions[] = {
        [W2W_PT_NONE] = "None",
        [W2W_PT_BOOL] = "a truth value",
        [W2W_PT_INT] = "an integer",
        [W2W_PT_FLOAT] = "a number",
        [W2W_PT_STRING] = "a text",
        [W2W_PT_BYTES] = "bytes",
        [W2W_PT_LIST] = "a list",
        [W2W_PT_DICT] = "a dictionary",
        [W2W_PT_ARRAY] = "a tensor",
        [W2W_PT_DATAFRAME] = "a DataFrame",
        [W2W_PT_TUPLE] = "a tuple",
        [W2W_PT_BIG_INTEGER] = "an integer of more than 64 bits",
        [W2W_PT_SYMBOL] = "the name of a class or function",
        [W2W_PT_STORAGE] = "a bare storage",
        [W2W_PT_TENSOR] = "a tensor",
        [W2W_PT_NDARRAY] = "an unfinished NumPy array",
        [W2W_PT_OBJECT_ARRAY] = "a NumPy array of objects",
        [W2W_PT_DTYPE] = "a NumPy dtype",
        [W2W_PT_SLICE] = "a slice",
        [W2W_PT_PARTIAL] = "a partial function",
        [W2W_PT_INDEX] = "a pandas Index",
        [W2W_PT_BLOCK] = "a part of a DataFrame",
        [W2W_PT_BLOCK_MANAGER] = "a part of a DataFrame",
    };

    return descriptions[kind];
}

gboolean w2w_pt_value_is_sequence(const W2wPtValue *value)
{
    return value->kind == W2W_PT_LIST || value->kind == W2W_PT_TUPLE;
}

gboolean w2w_pt_value_is_scalar(const W2wPtValue *value)
{
    return value->kind <= W2W_PT_BYTES;
}

guint w2w_pt_sequence_get_length(const W2wPtValue *sequence)
{
    return sequence->container->items->len;
}

W2wPtValue *w2w_pt_sequence_get(const W2wPtValue *sequence, guint i)
{
    return sequence->container->items->pdata[i];
}
