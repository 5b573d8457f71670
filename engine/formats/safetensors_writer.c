/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer: the same calls give the same bytes, which fingerprints rely on. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/atomic_file.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"

#define LENGTH_BYTES     8
#define BLOCK_BYTES      (64 << 20) /* of a matrix, when it is turned */
#define HEADER_ALIGNMENT 8          /* of the data's first byte, as the specification wants */

typedef struct {
    char *key;
    W2wArray *array;
    W2wDType dtype; /* that it is written in */
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

void w2w_safetensors_writer_add_as(W2wSafetensorsWriter *writer, const char *key, W2wArray *array,
                                   W2wDType dtype)
{
    const Tensor tensor = {g_utf8_make_valid(key, -1), w2w_array_ref(array), dtype};

    g_array_append_val(writer->tensors, tensor);
}

void w2w_safetensors_writer_add(W2wSafetensorsWriter *writer, const char *key, W2wArray *array)
{
    w2w_safetensors_writer_add_as(writer, key, array, array->dtype);
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

static gsize tensor_n_bytes(const Tensor *tensor)
{
    return (gsize)tensor->array->n_elements * w2w_dtype_size(tensor->dtype);
}

gsize w2w_safetensors_writer_get_n_bytes(const W2wSafetensorsWriter *writer)
{
    gsize n_bytes = 0;

    for (guint i = 0; i < writer->tensors->len; i++)
        n_bytes += tensor_n_bytes(&g_array_index(writer->tensors, Tensor, i));
    return n_bytes;
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
        const gsize end = offset + tensor_n_bytes(tensor);

        g_string_append(json, i > 0 ? "," : "");
        append_json_string(json, tensor->key);
        g_string_append_printf(json, ":{\"dtype\":\"%s\",\"shape\":[",
                               w2w_dtype_name(tensor->dtype));
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

/* --- the bytes of a tensor --- */

/* Where they go: a file, or memory that has room for all of them. */
typedef struct {
    FILE *stream; /* NULL: memory */
    char *at;
} Sink;

static void put(Sink *sink, const void *bytes, gsize n)
{
    if (n == 0)
        return;
    if (sink->stream != NULL) {
        fwrite(bytes, 1, n, sink->stream);
    } else {
        memcpy(sink->at, bytes, n);
        sink->at += n;
    }
}

/* `value` as `dtype`; its bytes go to `out`. */
static void put_value(W2wDType dtype, double value, void *out)
{
    const float single = (float)value;
    guint16 half;

    switch (dtype) {
    case W2W_DTYPE_F64:
        memcpy(out, &value, sizeof(value));
        return;
    case W2W_DTYPE_F32:
        memcpy(out, &single, sizeof(single));
        return;
    case W2W_DTYPE_F16:
        half = w2w_f32_to_f16(single);
        memcpy(out, &half, sizeof(half));
        return;
    case W2W_DTYPE_BF16:
        half = w2w_f32_to_bf16(single);
        memcpy(out, &half, sizeof(half));
        return;
    default:
        g_assert_not_reached(); /* only floats are converted */
    }
}

/* Row major, in pieces where the file's bytes are not the array's own. */
static void put_tensor(Sink *sink, const Tensor *tensor)
{
    const W2wArray *array = tensor->array;
    const gsize in_size = w2w_dtype_size(array->dtype), out_size = w2w_dtype_size(tensor->dtype);
    const gboolean is_converted = tensor->dtype != array->dtype;
    const gboolean is_contiguous = w2w_array_is_contiguous(array);
    gint64 index[W2W_ARRAY_MAX_DIMS] = {0}, element = 0;
    char piece[4096];
    gsize n = 0;

    if (!is_converted && is_contiguous) {
        put(sink, array->data, tensor_n_bytes(tensor));
        return;
    }
    for (gint64 i = 0; i < array->n_elements; i++) {
        if (is_converted)
            put_value(tensor->dtype, w2w_array_get(array, i), piece + n);
        else
            memcpy(piece + n, (const char *)array->data + element * (gint64)in_size, in_size);
        n += out_size;
        if (n == sizeof(piece)) {
            put(sink, piece, n);
            n = 0;
        }
        for (guint d = array->n_dims; !is_contiguous && d-- > 0;) {
            element += array->stride[d];
            if (++index[d] < array->shape[d])
                break;
            element -= array->stride[d] * array->shape[d];
            index[d] = 0;
        }
    }
    put(sink, piece, n);
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

static void put_header(Sink *sink, const GString *header)
{
    const guint64 length = GUINT64_TO_LE((guint64)header->len);

    put(sink, &length, LENGTH_BYTES);
    put(sink, header->str, header->len);
}

GBytes *w2w_safetensors_writer_to_bytes(W2wSafetensorsWriter *writer, GError **error)
{
    g_autoptr(GString) header = make_header(writer);
    const gsize n_bytes = LENGTH_BYTES + header->len + w2w_safetensors_writer_get_n_bytes(writer);
    Sink sink = {NULL, NULL};
    char *bytes;

    if (!check_keys(writer, error))
        return NULL;
    bytes = w2w_try_malloc(n_bytes, 1, "a safetensors file", error);
    if (bytes == NULL)
        return NULL;
    sink.at = bytes;
    put_header(&sink, header);
    for (guint i = 0; i < writer->tensors->len; i++)
        put_tensor(&sink, &g_array_index(writer->tensors, Tensor, i));
    return g_bytes_new_take(bytes, n_bytes);
}

gboolean w2w_safetensors_writer_save_with_progress(W2wSafetensorsWriter *writer, const char *path,
                                                   const W2wProgress *progress, double start,
                                                   double end, const char *text, GError **error)
{
    const double n_bytes = (double)w2w_safetensors_writer_get_n_bytes(writer);
    g_autoptr(GString) header = make_header(writer);
    g_autoptr(W2wAtomicFile) file = NULL;
    Sink sink = {NULL, NULL};
    double done = 0;

    if (!check_keys(writer, error))
        return FALSE;
    file = w2w_atomic_file_new(path, error);
    if (file == NULL)
        return FALSE;
    sink.stream = w2w_atomic_file_get_stream(file);
    put_header(&sink, header);
    for (guint i = 0; i < writer->tensors->len; i++) {
        const Tensor *tensor = &g_array_index(writer->tensors, Tensor, i);

        if (!w2w_progress_step(progress, start + (end - start) * done / MAX(n_bytes, 1), text,
                               error))
            return FALSE;
        put_tensor(&sink, tensor);
        done += (double)tensor_n_bytes(tensor);
    }
    /* Arrays are views of files that somebody may have written to meanwhile. */
    return w2w_mapped_files_check(error) && w2w_atomic_file_commit(file, error);
}

gboolean w2w_safetensors_writer_save(W2wSafetensorsWriter *writer, const char *path, GError **error)
{
    return w2w_safetensors_writer_save_with_progress(writer, path, NULL, 0, 1, NULL, error);
}
