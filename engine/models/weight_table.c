/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of weights as tables of arrays. */
#include "engine/models/weight_table.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/pt.h"
#include "engine/formats/safetensors.h"

/* The key under which training programs keep a model's weights beside other things. */
#define STATE_DICT "state_dict"

GHashTable *w2w_weight_table_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)w2w_array_unref);
}

gboolean w2w_weight_table_add(GHashTable *table, const char *name, W2wArray *array,
                              const char *file, GError **error)
{
    if (g_hash_table_contains(table, name)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s: the weight \"%s\" is there twice, perhaps once under an older name.", file,
                    name);
        return FALSE;
    }
    g_hash_table_insert(table, g_strdup(name), w2w_array_ref(array));
    return TRUE;
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *w2w_weight_table_get_names(GHashTable *table)
{
    GPtrArray *names = g_ptr_array_sized_new(g_hash_table_size(table));
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        g_ptr_array_add(names, name);
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* --- files --- */

static gboolean add_safetensors(GHashTable *table, GBytes *bytes, const char *path, GError **error)
{
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open_bytes(bytes, path, error);
    const char *const *keys;

    if (file == NULL)
        return FALSE;
    keys = w2w_safetensors_get_keys(file);
    for (guint i = 0; keys[i] != NULL; i++)
        if (!w2w_weight_table_add(table, keys[i], w2w_safetensors_peek(file, keys[i]), path, error))
            return FALSE;
    return TRUE;
}

static gboolean add_pt(GHashTable *table, GBytes *bytes, const char *path, GError **error)
{
    g_autoptr(W2wPtValue) value = w2w_pt_open_bytes(bytes, path, error);
    const W2wPtValue *weights = value;

    if (value == NULL)
        return FALSE;
    if (w2w_pt_value_get_type(value) != W2W_PT_DICT) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds %s; a dictionary of weights by their names was expected.", path,
                    w2w_pt_type_describe(w2w_pt_value_get_type(value)));
        return FALSE;
    }
    if (w2w_pt_value_lookup(value, STATE_DICT) != NULL)
        weights = w2w_pt_value_lookup(value, STATE_DICT);
    if (w2w_pt_value_get_type(weights) != W2W_PT_DICT) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds %s under “" STATE_DICT "”; a dictionary of weights was expected.",
                    path, w2w_pt_type_describe(w2w_pt_value_get_type(weights)));
        return FALSE;
    }
    for (guint i = 0; i < w2w_pt_value_get_length(weights); i++) {
        const W2wPtValue *key = w2w_pt_value_get_key(weights, i);
        const W2wPtValue *item = w2w_pt_value_get_item(weights, i);

        if (w2w_pt_value_get_type(key) == W2W_PT_STRING &&
            w2w_pt_value_get_type(item) == W2W_PT_ARRAY &&
            !w2w_weight_table_add(table, w2w_pt_value_get_string(key), w2w_pt_value_get_array(item),
                                  path, error))
            return FALSE;
    }
    return TRUE;
}

/* Eight bytes that are a length, then a JSON object; neither kind of PyTorch's files has that. */
static gboolean is_safetensors(GBytes *bytes)
{
    gsize n_bytes;
    const char *data = g_bytes_get_data(bytes, &n_bytes);

    return n_bytes > 8 && data[8] == '{' && !g_str_has_prefix(data, "PK\003\004");
}

gboolean w2w_weight_table_add_file(GHashTable *table, const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, error);

    if (bytes == NULL)
        return FALSE;
    if (is_safetensors(bytes) || g_str_has_suffix(path, ".safetensors"))
        return add_safetensors(table, bytes, path, error);
    return add_pt(table, bytes, path, error);
}

W2wArray *w2w_weight_table_leave_dims(W2wArray *array, guint n_dims)
{
    const char *start = g_bytes_get_data(array->owner, NULL);
    W2wArray *view;

    for (guint i = n_dims; i < array->n_dims; i++)
        g_assert(array->shape[i] == 1);
    /* Cannot fail: these are the same elements. */
    view = w2w_array_new_view(array->dtype, n_dims, array->shape, array->stride, array->owner,
                              (gsize)((const char *)array->data - start), "A weight", NULL);
    g_assert(view != NULL);
    return view;
}
