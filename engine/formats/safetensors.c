/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strict reader: every promise of the header is kept before an array is handed out. */
#include "engine/formats/safetensors.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"

/* For each byte of a header: an entry is at least 48 long, and takes some 400 in our tables. */
#define TABLE_BYTES 10

#define LENGTH_BYTES 8 /* of the number in front of the header */

struct _W2wSafetensors {
    char *name;
    GHashTable *arrays; /* name → W2wArray */
    GPtrArray *keys;    /* in the order of their data, NULL terminated; owned by `arrays` */
    GHashTable *metadata;
};

/* A tensor of the header before its place is checked against its neighbours'. */
typedef struct {
    const char *key;
    W2wDType dtype;
    guint n_dims;
    gint64 shape[W2W_ARRAY_MAX_DIMS];
    guint64 begin, end; /* in the data buffer */
} Entry;

G_GNUC_PRINTF(3, 4)
static gboolean fail(GError **error, const char *name, const char *format, ...)
{
    g_autofree char *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s is not a safetensors file: %s.", name,
                detail);
    return FALSE;
}

static gboolean node_get_uint(JsonNode *node, guint64 *value)
{
    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_INT64 || json_node_get_int(node) < 0)
        return FALSE;
    *value = (guint64)json_node_get_int(node);
    return TRUE;
}

static const char *node_get_string(JsonNode *node)
{
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
                   json_node_get_value_type(node) == G_TYPE_STRING
               ? json_node_get_string(node)
               : NULL;
}

static JsonArray *member_array(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

static gboolean parse_dtype(const char *text, W2wDType *dtype)
{
    for (W2wDType i = W2W_DTYPE_F32; i <= W2W_DTYPE_BOOL; i++) {
        if (g_strcmp0(text, w2w_dtype_name(i)) == 0) {
            *dtype = i;
            return TRUE;
        }
    }
    return FALSE;
}

/* One tensor's object: known members only, and a size that its shape and dtype explain. */
static gboolean parse_entry(const char *name, const char *key, JsonNode *node, Entry *entry,
                            GError **error)
{
    JsonObject *object;
    JsonArray *shape, *offsets;
    const char *dtype;
    guint64 n_bytes, size;

    if (!JSON_NODE_HOLDS_OBJECT(node))
        return fail(error, name, "the header's entry for “%s” is not an object", key);
    object = json_node_get_object(node);
    entry->key = key;
    dtype = node_get_string(json_object_get_member(object, "dtype"));
    if (dtype == NULL)
        return fail(error, name, "“%s” has no dtype", key);
    if (!parse_dtype(dtype, &entry->dtype))
        return fail(error, name, "“%s” has the dtype %s, which is not supported", key, dtype);
    shape = member_array(object, "shape");
    if (shape == NULL)
        return fail(error, name, "“%s” has no shape", key);
    offsets = member_array(object, "data_offsets");
    if (offsets == NULL || json_array_get_length(offsets) != 2 ||
        !node_get_uint(json_array_get_element(offsets, 0), &entry->begin) ||
        !node_get_uint(json_array_get_element(offsets, 1), &entry->end))
        return fail(error, name, "“%s” has no data_offsets of two whole numbers", key);
    if (json_object_get_size(object) != 3)
        return fail(error, name, "“%s” has members besides dtype, shape and data_offsets", key);
    if (json_array_get_length(shape) > W2W_ARRAY_MAX_DIMS)
        return fail(error, name, "“%s” has %u dimensions; at most %d are supported", key,
                    json_array_get_length(shape), W2W_ARRAY_MAX_DIMS);
    entry->n_dims = json_array_get_length(shape);
    n_bytes = w2w_dtype_size(entry->dtype);
    for (guint i = 0; i < entry->n_dims; i++) {
        if (!node_get_uint(json_array_get_element(shape, i), &size))
            return fail(error, name, "“%s” has a shape that is not of whole numbers", key);
        entry->shape[i] = (gint64)size;
        if (!g_uint64_checked_mul(&n_bytes, n_bytes, size))
            return fail(error, name, "“%s” claims more elements than can be counted", key);
    }
    if (entry->begin > entry->end || entry->end - entry->begin != n_bytes)
        return fail(error, name,
                    "“%s” needs %" G_GUINT64_FORMAT " bytes for its shape and dtype, but its "
                    "data_offsets are %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT,
                    key, n_bytes, entry->begin, entry->end);
    return TRUE;
}

static gboolean parse_metadata(W2wSafetensors *file, JsonNode *node, GError **error)
{
    JsonObjectIter iterator;
    const char *key;
    JsonNode *value;

    if (!JSON_NODE_HOLDS_OBJECT(node))
        return fail(error, file->name, "its __metadata__ is not an object");
    json_object_iter_init(&iterator, json_node_get_object(node));
    while (json_object_iter_next(&iterator, &key, &value)) {
        if (node_get_string(value) == NULL)
            return fail(error, file->name, "its __metadata__ “%s” is not a string", key);
        g_hash_table_insert(file->metadata, g_strdup(key), g_strdup(node_get_string(value)));
    }
    return TRUE;
}

/* Empty tensors share their offset with a neighbour; the name makes the order a total one. */
static gint compare_entries(gconstpointer a, gconstpointer b)
{
    const Entry *first = a, *second = b;

    if (first->begin != second->begin)
        return first->begin < second->begin ? -1 : 1;
    if (first->end != second->end)
        return first->end < second->end ? -1 : 1;
    return strcmp(first->key, second->key);
}

static gboolean parse_header(W2wSafetensors *file, JsonObject *header, GArray *entries,
                             GError **error)
{
    JsonObjectIter iterator;
    const char *key;
    JsonNode *value;

    json_object_iter_init(&iterator, header);
    while (json_object_iter_next(&iterator, &key, &value)) {
        Entry entry = {NULL};

        if (strcmp(key, "__metadata__") == 0) {
            if (!parse_metadata(file, value, error))
                return FALSE;
        } else {
            if (!parse_entry(file->name, key, value, &entry, error))
                return FALSE;
            g_array_append_val(entries, entry);
        }
    }
    g_array_sort(entries, compare_entries);
    return TRUE;
}

/* The tensors must tile the buffer: what no tensor names could hide another file. */
static gboolean check_place(const W2wSafetensors *file, const Entry *entry, guint64 covered,
                            gsize n_bytes, GError **error)
{
    if (entry->begin != covered)
        return fail(error, file->name,
                    "“%s” %s: it begins at byte %" G_GUINT64_FORMAT " of the data, but byte "
                    "%" G_GUINT64_FORMAT " was expected",
                    entry->key,
                    entry->begin < covered ? "overlaps another tensor"
                                           : "leaves a hole in front of it",
                    entry->begin, covered);
    if (entry->end > n_bytes)
        return fail(error, file->name,
                    "“%s” ends at byte %" G_GUINT64_FORMAT " of the data, but the file has only "
                    "%" G_GSIZE_FORMAT " (was it copied or downloaded completely?)",
                    entry->key, entry->end, n_bytes);
    return TRUE;
}

static gboolean add_arrays(W2wSafetensors *file, GArray *entries, GBytes *buffer, GError **error)
{
    const gsize n_bytes = g_bytes_get_size(buffer);
    guint64 covered = 0;

    for (guint i = 0; i < entries->len; i++) {
        const Entry *entry = &g_array_index(entries, Entry, i);
        g_autofree char *what = g_strdup_printf("“%s” of %s", entry->key, file->name);
        W2wArray *array = NULL;
        char *key;

        if (!check_place(file, entry, covered, n_bytes, error))
            return FALSE;
        covered = entry->end;
        array = w2w_array_new_view(entry->dtype, entry->n_dims, entry->shape, NULL, buffer,
                                   (gsize)entry->begin, what, error);
        if (array == NULL)
            return FALSE;
        key = g_strdup(entry->key);
        g_ptr_array_add(file->keys, key);
        g_hash_table_insert(file->arrays, key, array);
    }
    if (covered != n_bytes)
        return fail(error, file->name, "%" G_GSIZE_FORMAT " bytes at its end belong to no tensor",
                    n_bytes - (gsize)covered);
    g_ptr_array_add(file->keys, NULL);
    return TRUE;
}

static JsonObject *read_header(GBytes *bytes, const char *name, gsize *data_offset, GError **error)
{
    gsize n_bytes;
    const char *data = g_bytes_get_data(bytes, &n_bytes);
    g_autofree char *where = g_strdup_printf("The header of %s", name);
    g_autofree char *copy = NULL;
    guint64 length;

    if (n_bytes < LENGTH_BYTES) {
        fail(error, name, "it has only %" G_GSIZE_FORMAT " bytes", n_bytes);
        return NULL;
    }
    memcpy(&length, data, sizeof length);
    length = GUINT64_FROM_LE(length);
    if (length > W2W_JSON_MAX_BYTES) {
        fail(error, name,
             "its first 8 bytes claim a header of %" G_GUINT64_FORMAT
             " bytes; at most %d are allowed",
             length, W2W_JSON_MAX_BYTES);
        return NULL;
    }
    if (length > n_bytes - LENGTH_BYTES) {
        fail(error, name,
             "its header of %" G_GUINT64_FORMAT " bytes goes beyond its end (was it copied or "
             "downloaded completely?)",
             length);
        return NULL;
    }
    if (length == 0 || data[LENGTH_BYTES] != '{') {
        fail(error, name, "its header does not begin with “{”");
        return NULL;
    }
    /* A copy: a file that is written to must not change between two looks at its header. */
    copy = w2w_try_malloc((gsize)length, 1, where, error);
    if (copy == NULL)
        return NULL;
    memcpy(copy, data + LENGTH_BYTES, (gsize)length);
    /* Beside the JSON tree, whose parser asks for itself: our own tables of what is in it. */
    if (!w2w_memory_reserve((gsize)length * TABLE_BYTES, where, error))
        return NULL;
    *data_offset = LENGTH_BYTES + (gsize)length;
    return w2w_json_parse(copy, (gsize)length, where, error);
}

W2wSafetensors *w2w_safetensors_open_bytes(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(W2wSafetensors) file = g_new0(W2wSafetensors, 1);
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    g_autoptr(GBytes) buffer = NULL;
    g_autoptr(JsonObject) header = NULL;
    gsize data_offset = 0;

    file->name = g_strdup(name);
    file->keys = g_ptr_array_new();
    file->arrays =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)w2w_array_unref);
    file->metadata = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    header = read_header(bytes, name, &data_offset, error);
    if (header == NULL)
        return NULL;
    buffer = g_bytes_new_from_bytes(bytes, data_offset, g_bytes_get_size(bytes) - data_offset);
    if (!parse_header(file, header, entries, error) || !add_arrays(file, entries, buffer, error))
        return NULL;
    return g_steal_pointer(&file);
}

gboolean w2w_safetensors_matches(const char *path)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, NULL);
    gsize size = 0;
    const char *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;

    return size > 8 && memcmp(data + 4, "\0\0\0\0{", 5) == 0;
}

W2wSafetensors *w2w_safetensors_open(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, error);

    return bytes != NULL ? w2w_safetensors_open_bytes(bytes, path, error) : NULL;
}

void w2w_safetensors_free(W2wSafetensors *file)
{
    if (file == NULL)
        return;
    g_ptr_array_unref(file->keys);
    g_hash_table_unref(file->arrays);
    g_hash_table_unref(file->metadata);
    g_free(file->name);
    g_free(file);
}

const char *w2w_safetensors_get_name(const W2wSafetensors *file)
{
    return file->name;
}

const char *const *w2w_safetensors_get_keys(const W2wSafetensors *file)
{
    return (const char *const *)file->keys->pdata;
}

W2wArray *w2w_safetensors_peek(const W2wSafetensors *file, const char *key)
{
    return g_hash_table_lookup(file->arrays, key);
}

W2wArray *w2w_safetensors_get(const W2wSafetensors *file, const char *key, GError **error)
{
    W2wArray *array = w2w_safetensors_peek(file, key);

    if (array == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s lacks the tensor “%s”.", file->name,
                    key);
        return NULL;
    }
    return w2w_array_ref(array);
}

const char *w2w_safetensors_get_metadata(const W2wSafetensors *file, const char *key)
{
    return g_hash_table_lookup(file->metadata, key);
}

GHashTable *w2w_safetensors_get_all_metadata(const W2wSafetensors *file)
{
    return file->metadata;
}
