/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pickles of tensors, opcode by opcode. Sources: Python's pickletools, torch/serialization.py. */
#include "engine/formats/pt_writer.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/atomic_file.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/zip_writer.h"
#include "engine/memory.h"

#define FOLDER "archive" /* torch's own name for it where it does not know the file's */

struct _W2wPtWriter {
    GByteArray *pickle; /* without its end */
    GPtrArray *arrays;  /* storage i is array i */
};

static const char *const storage_types[] = {
    [W2W_DTYPE_F32] = "FloatStorage",     [W2W_DTYPE_F16] = "HalfStorage",
    [W2W_DTYPE_BF16] = "BFloat16Storage", [W2W_DTYPE_F64] = "DoubleStorage",
    [W2W_DTYPE_I8] = "CharStorage",       [W2W_DTYPE_I16] = "ShortStorage",
    [W2W_DTYPE_I32] = "IntStorage",       [W2W_DTYPE_I64] = "LongStorage",
    [W2W_DTYPE_U8] = "ByteStorage",       [W2W_DTYPE_BOOL] = "BoolStorage",
};

/* --- opcodes --- */

static void put(W2wPtWriter *writer, const char *text)
{
    g_byte_array_append(writer->pickle, (const guint8 *)text, (guint)strlen(text));
}

static void put_string(W2wPtWriter *writer, const char *text) /* BINUNICODE */
{
    const guint32 length = GUINT32_TO_LE((guint32)strlen(text));

    put(writer, "X");
    g_byte_array_append(writer->pickle, (const guint8 *)&length, sizeof(length));
    put(writer, text);
}

static void put_int(W2wPtWriter *writer, gint64 value)
{
    if (value == (gint32)value) { /* BININT */
        const gint32 bytes = GINT32_TO_LE((gint32)value);

        put(writer, "J");
        g_byte_array_append(writer->pickle, (const guint8 *)&bytes, sizeof(bytes));
    } else { /* LONG1 of 8 bytes */
        const gint64 bytes = GINT64_TO_LE(value);

        put(writer, "\x8a\x08");
        g_byte_array_append(writer->pickle, (const guint8 *)&bytes, sizeof(bytes));
    }
}

static void put_ints(W2wPtWriter *writer, guint n, const gint64 *values) /* MARK … TUPLE */
{
    put(writer, "(");
    for (guint i = 0; i < n; i++)
        put_int(writer, values[i]);
    put(writer, "t");
}

static void put_ordered_dict(W2wPtWriter *writer) /* GLOBAL EMPTY_TUPLE REDUCE */
{
    put(writer, "ccollections\nOrderedDict\n)R");
}

/* _rebuild_tensor_v2 (storage, offset, shape, stride, requires_grad, hooks) */
static void put_array(W2wPtWriter *writer, W2wArray *array)
{
    g_autofree char *key = g_strdup_printf("%u", writer->arrays->len);
    gint64 stride[W2W_ARRAY_MAX_DIMS], n = 1;

    for (guint d = array->n_dims; d-- > 0;) {
        stride[d] = n;
        n *= array->shape[d];
    }
    put(writer, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_string(writer, "storage");
    put(writer, "ctorch\n");
    put(writer, storage_types[array->dtype]);
    put(writer, "\n");
    put_string(writer, key);
    put_string(writer, "cpu");
    put_int(writer, array->n_elements);
    put(writer, "tQ"); /* TUPLE BINPERSID */
    put_int(writer, 0);
    put_ints(writer, array->n_dims, array->shape);
    put_ints(writer, array->n_dims, stride);
    put(writer, "\x89"); /* NEWFALSE */
    put_ordered_dict(writer);
    put(writer, "tR");
    g_ptr_array_add(writer->arrays, w2w_array_ref(array));
}

/* --- the interface --- */

static W2wPtWriter *writer_new(void)
{
    W2wPtWriter *writer = g_new0(W2wPtWriter, 1);

    writer->pickle = g_byte_array_new();
    writer->arrays = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
    put(writer, "\x80\x02"); /* PROTO */
    return writer;
}

W2wPtWriter *w2w_pt_writer_new(void)
{
    W2wPtWriter *writer = writer_new();

    put_ordered_dict(writer);
    put(writer, "(");
    return writer;
}

void w2w_pt_writer_free(W2wPtWriter *writer)
{
    if (writer == NULL)
        return;
    g_byte_array_unref(writer->pickle);
    g_ptr_array_unref(writer->arrays);
    g_free(writer);
}

void w2w_pt_writer_add(W2wPtWriter *writer, const char *key, W2wArray *array)
{
    put_string(writer, key);
    put_array(writer, array);
}

void w2w_pt_writer_add_int(W2wPtWriter *writer, const char *key, gint64 value)
{
    put_string(writer, key);
    put_int(writer, value);
}

void w2w_pt_writer_begin_dict(W2wPtWriter *writer, const char *key)
{
    put_string(writer, key);
    put_ordered_dict(writer);
    put(writer, "(");
}

void w2w_pt_writer_end_dict(W2wPtWriter *writer)
{
    put(writer, "u"); /* SETITEMS */
}

/* --- files --- */

/* Row major; `packed` owns a copy where one was needed. Never NULL but for an error. */
static const void *pack(const W2wArray *array, gpointer *packed, GError **error)
{
    const gsize item_size = w2w_dtype_size(array->dtype);
    gint64 index[W2W_ARRAY_MAX_DIMS] = {0}, element = 0;
    char *out;

    if (array->n_elements == 0)
        return "";
    if (w2w_array_is_contiguous(array))
        return array->data;
    out = *packed =
        w2w_try_malloc((gsize)array->n_elements, item_size, "an array in row-major order", error);
    if (out == NULL)
        return NULL;
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
    return *packed;
}

static gboolean write_archive(W2wPtWriter *writer, const char *end, W2wZipWriter *zip,
                              GError **error)
{
    g_autoptr(GByteArray) pickle = g_byte_array_new();

    g_byte_array_append(pickle, writer->pickle->data, writer->pickle->len);
    g_byte_array_append(pickle, (const guint8 *)end, (guint)strlen(end));
    if (!w2w_zip_writer_add(zip, FOLDER "/data.pkl", pickle->data, pickle->len, error) ||
        !w2w_zip_writer_add(zip, FOLDER "/byteorder", "little", strlen("little"), error))
        return FALSE;
    for (guint i = 0; i < writer->arrays->len; i++) {
        const W2wArray *array = g_ptr_array_index(writer->arrays, i);
        g_autofree char *name = g_strdup_printf(FOLDER "/data/%u", i);
        g_autofree gpointer packed = NULL;
        const void *data = pack(array, &packed, error);

        if (data == NULL ||
            !w2w_zip_writer_add(zip, name, data,
                                (gsize)array->n_elements * w2w_dtype_size(array->dtype), error))
            return FALSE;
    }
    return w2w_zip_writer_add(zip, FOLDER "/version", "3\n", strlen("3\n"), error) &&
           w2w_zip_writer_finish(zip, error);
}

static GBytes *to_bytes(W2wPtWriter *writer, const char *end, GError **error)
{
    g_autoptr(W2wZipWriter) zip = w2w_zip_writer_new(NULL);

    return write_archive(writer, end, zip, error) ? w2w_zip_writer_steal_bytes(zip) : NULL;
}

GBytes *w2w_pt_writer_to_bytes(W2wPtWriter *writer, GError **error)
{
    return to_bytes(writer, "u.", error); /* SETITEMS STOP */
}

gboolean w2w_pt_writer_save(W2wPtWriter *writer, const char *path, GError **error)
{
    g_autoptr(W2wAtomicFile) file = w2w_atomic_file_new(path, error);
    g_autoptr(W2wZipWriter) zip = NULL;

    if (file == NULL)
        return FALSE;
    zip = w2w_zip_writer_new(w2w_atomic_file_get_stream(file));
    return write_archive(writer, "u.", zip, error) && w2w_mapped_files_check(error) &&
           w2w_atomic_file_commit(file, error);
}

GBytes *w2w_pt_write_array(W2wArray *array, GError **error)
{
    g_autoptr(W2wPtWriter) writer = writer_new();

    put_array(writer, array);
    return to_bytes(writer, ".", error);
}
