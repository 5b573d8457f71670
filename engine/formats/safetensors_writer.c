/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: the same calls give the same bytes, which fingerprints rely on. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/atomic_file.h"
#include "engine/formats/safetensors.h"

#define LENGTH_BYTES     8
#define BLOCK_BYTES      (64 << 20) /* of a matrix, when it is turned */
#define HEADER_ALIGNMENT 8          /* of the data's first byte, as the specification wants */

typedef struct {
    char *key;
    W2wArray *array;
} Tensor;

typedef struct {
    char *key, *value;
} Metadata;

struct _W2wSafetensorsWriter {
    GArray *tensors;
    GArray *metadata;
};

static void clear_tensor(gpointer data)
{
    Tensor *tensor = data;

    g_free(tensor->key);
    w2w_array_unref(tensor->array);
}

static void clear_metadata(gpointer data)
{
    Metadata *metadata = data;

    g_free(metadata->key);
    g_free(metadata->value);
}

W2wSafetensorsWriter *w2w_safetensors_writer_new(void)
{
    W2wSafetensorsWriter *writer = g_new0(W2wSafetensorsWriter, 1);

    writer->tensors = g_array_new(FALSE, FALSE, sizeof(Tensor));
    g_array_set_clear_func(writer->tensors, clear_tensor);
    writer->metadata = g_array_new(FALSE, FALSE, sizeof(Metadata));
    g_array_set_clear_func(writer->metadata, clear_metadata);
    return writer;
}

void w2w_safetensors_writer_free(W2wSafetensorsWriter *writer)
{
    if (writer == NULL)
        return;
    g_array_unref(writer->tensors);
    g_array_unref(writer->metadata);
    g_free(writer);
}

void w2w_safetensors_writer_add(W2wSafetensorsWriter *writer, const char *key, W2wArray *array)
{
    const Tensor tensor = {g_utf8_make_valid(key, -1), w2w_array_ref(array)};

    g_array_append_val(writer->tensors, tensor);
}

void w2w_safetensors_writer_set_metadata(W2wSafetensorsWriter *writer, const char *key,
                                         const char *value)
{
    Metadata entry = {g_utf8_make_valid(key, -1), g_utf8_make_valid(value, -1)};

    for (guint i = 0; i < writer->metadata->len; i++) {
        Metadata *old = &g_array_index(writer->metadata, Metadata, i);

        if (strcmp(old->key, entry.key) == 0) {
            clear_metadata(old);
            *old = entry;
            return;
        }
    }
    g_array_append_val(writer->metadata, entry);
}

static void append_json_string(GString *json, const char *text)
{
    g_string_append_c(json, '"');
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\')
            g_string_append_printf(json, "\\%c", *text);
        else if ((guchar)*text < ' ')
            g_string_append_printf(json, "\\u%04x", (guint)*text);
        else
            g_string_append_c(json, *text);
    }
    g_string_append_c(json, '"');
}

static gsize array_n_bytes(const W2wArray *array)
{
    return (gsize)array->n_elements * w2w_dtype_size(array->dtype);
}

/* The JSON header with its padding. The sizes cannot overflow: an array lies in memory. */
static GString *make_header(const W2wSafetensorsWriter *writer)
{
    GString *json = g_string_new("{");
    gsize offset = 0;

    if (writer->metadata->len > 0) {
        g_string_append(json, "\"__metadata__\":{");
        for (guint i = 0; i < writer->metadata->len; i++) {
            const Metadata *entry = &g_array_index(writer->metadata, Metadata, i);

            g_string_append(json, i > 0 ? "," : "");
            append_json_string(json, entry->key);
            g_string_append_c(json, ':');
            append_json_string(json, entry->value);
        }
        g_string_append(json, writer->tensors->len > 0 ? "}," : "}");
    }
    for (guint i = 0; i < writer->tensors->len; i++) {
        const Tensor *tensor = &g_array_index(writer->tensors, Tensor, i);
        const gsize end = offset + array_n_bytes(tensor->array);

        g_string_append(json, i > 0 ? "," : "");
        append_json_string(json, tensor->key);
        g_string_append_printf(json, ":{\"dtype\":\"%s\",\"shape\":[",
                               w2w_dtype_name(tensor->array->dtype));
        for (guint d = 0; d < tensor->array->n_dims; d++)
            g_string_append_printf(json, "%s%" G_GINT64_FORMAT, d > 0 ? "," : "",
                                   tensor->array->shape[d]);
        g_string_append_printf(
            json, "],\"data_offsets\":[%" G_GSIZE_FORMAT ",%" G_GSIZE_FORMAT "]}", offset, end);
        offset = end;
    }
    g_string_append_c(json, '}');
    while (json->len % HEADER_ALIGNMENT != 0)
        g_string_append_c(json, ' ');
    return json;
}

/* All bytes of `array` in row-major order; `out` has room for them. */
static void pack(const W2wArray *array, char *out)
{
    const gsize item_size = w2w_dtype_size(array->dtype);
    gint64 index[W2W_ARRAY_MAX_DIMS] = {0}, element = 0;

    if (w2w_array_is_contiguous(array)) {
        if (array->n_elements > 0)
            memcpy(out, array->data, array_n_bytes(array));
        return;
    }
    for (gint64 i = 0; i < array->n_elements; i++, out += item_size) {
        memcpy(out, (const char *)array->data + element * (gint64)item_size, item_size);
        for (guint d = array->n_dims; d-- > 0;) {
            element += array->stride[d];
            if (++index[d] < array->shape[d])
                break;
            element -= array->stride[d] * array->shape[d];
            index[d] = 0;
        }
    }
}

static gboolean check_keys(const W2wSafetensorsWriter *writer, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < writer->tensors->len; i++) {
        char *key = g_array_index(writer->tensors, Tensor, i).key;

        if (strcmp(key, "__metadata__") == 0 || !g_hash_table_add(seen, key)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "A safetensors file cannot hold the tensor “%s” %s.", key,
                        *key == '_' ? "(the name is reserved or used twice)" : "twice");
            return FALSE;
        }
    }
    return TRUE;
}

GBytes *w2w_safetensors_writer_to_bytes(W2wSafetensorsWriter *writer, GError **error)
{
    g_autoptr(GString) header = make_header(writer);
    const guint64 header_length = GUINT64_TO_LE((guint64)header->len);
    gsize n_bytes = LENGTH_BYTES + header->len;
    char *bytes, *at;

    if (!check_keys(writer, error))
        return NULL;
    for (guint i = 0; i < writer->tensors->len; i++)
        n_bytes += array_n_bytes(g_array_index(writer->tensors, Tensor, i).array);
    bytes = g_try_malloc(n_bytes);
    if (bytes == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory for a file of %" G_GSIZE_FORMAT " bytes.", n_bytes);
        return NULL;
    }
    memcpy(bytes, &header_length, LENGTH_BYTES);
    memcpy(bytes + LENGTH_BYTES, header->str, header->len);
    at = bytes + LENGTH_BYTES + header->len;
    for (guint i = 0; i < writer->tensors->len; i++) {
        const W2wArray *array = g_array_index(writer->tensors, Tensor, i).array;

        pack(array, at);
        at += array_n_bytes(array);
    }
    return g_bytes_new_take(bytes, n_bytes);
}

/*
 * A matrix whose columns lie in one piece, as rows: in blocks of the columns' runs, each read once
 * and in order, and its pieces put where they belong. An SVD's V has gigabytes.
 */
static gboolean write_transposed(const W2wArray *array, FILE *stream, GError **error)
{
    const gsize item_size = w2w_dtype_size(array->dtype);
    const gint64 n_rows = array->shape[0], n_columns = array->shape[1];
    const gint64 block = CLAMP(BLOCK_BYTES / (n_rows * (gint64)item_size), 1, n_columns);
    g_autofree char *buffer = g_try_malloc((gsize)(n_rows * block) * item_size);
    const off_t start = ftello(stream);

    if (buffer == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory for a block of a matrix.");
        return FALSE;
    }
    for (gint64 first = 0; first < n_columns; first += block) {
        const gint64 n_used = MIN(block, n_columns - first);

        for (gint64 c = 0; c < n_used; c++)
            for (gint64 r = 0; r < n_rows; r++)
                memcpy(buffer + (gsize)(r * block + c) * item_size,
                       (const char *)array->data +
                           (r * array->stride[0] + (first + c) * array->stride[1]) *
                               (gint64)item_size,
                       item_size);
        for (gint64 r = 0; r < n_rows; r++)
            if (fseeko(stream, start + (off_t)((r * n_columns + first) * (gint64)item_size),
                       SEEK_SET) == 0)
                fwrite(buffer + (gsize)(r * block) * item_size, item_size, (gsize)n_used, stream);
    }
    fseeko(stream, start + (off_t)array_n_bytes(array), SEEK_SET);
    return TRUE;
}

static gboolean write_array(const W2wArray *array, FILE *stream, GError **error)
{
    g_autofree char *packed = NULL;

    if (array->n_elements == 0)
        return TRUE;
    if (w2w_array_is_contiguous(array)) {
        fwrite(array->data, 1, array_n_bytes(array), stream);
        return TRUE;
    }
    if (array->n_dims == 2)
        return write_transposed(array, stream, error);
    packed = g_try_malloc(array_n_bytes(array));
    if (packed == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory for an array of %" G_GSIZE_FORMAT " bytes.",
                    array_n_bytes(array));
        return FALSE;
    }
    pack(array, packed);
    fwrite(packed, 1, array_n_bytes(array), stream);
    return TRUE;
}

/* Write errors show when the file is committed. */
gboolean w2w_safetensors_writer_save(W2wSafetensorsWriter *writer, const char *path, GError **error)
{
    g_autoptr(W2wAtomicFile) file = NULL;
    g_autoptr(GString) header = make_header(writer);
    const guint64 header_length = GUINT64_TO_LE((guint64)header->len);
    FILE *stream;

    if (!check_keys(writer, error))
        return FALSE;
    file = w2w_atomic_file_new(path, error);
    if (file == NULL)
        return FALSE;
    stream = w2w_atomic_file_get_stream(file);
    fwrite(&header_length, 1, LENGTH_BYTES, stream);
    fwrite(header->str, 1, header->len, stream);
    for (guint i = 0; i < writer->tensors->len; i++)
        if (!write_array(g_array_index(writer->tensors, Tensor, i).array, stream, error))
            return FALSE;
    return w2w_atomic_file_commit(file, error);
}
