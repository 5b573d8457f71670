/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A zip writer for tests: little endian numbers in the order of the specification. */
#include "tests/formats/archive_maker.h"

#include <string.h>

#include "engine/error.h"

enum {
    STORED = 0,
    DEFLATED = 8,
};

typedef struct {
    char *name;
    guint method;
    gsize packed_size, size, offset;
} Entry;

struct _W2wArchiveMaker {
    GByteArray *bytes;
    GArray *entries;
};

static void put(GByteArray *bytes, guint64 number, guint size)
{
    for (guint i = 0; i < size; i++) {
        const guint8 byte = i < 8 ? (guint8)(number >> (8 * i)) : 0;

        g_byte_array_append(bytes, &byte, 1);
    }
}

W2wArchiveMaker *w2w_archive_maker_new(void)
{
    W2wArchiveMaker *maker = g_new0(W2wArchiveMaker, 1);

    maker->bytes = g_byte_array_new();
    maker->entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    return maker;
}

static void add(W2wArchiveMaker *maker, const char *name, guint method, gconstpointer packed,
                gsize packed_size, gsize size)
{
    const Entry entry = {g_strdup(name), method, packed_size, size, maker->bytes->len};

    g_array_append_val(maker->entries, entry);
    put(maker->bytes, 0x04034b50, 4);
    put(maker->bytes, 20, 2); /* version needed, flags, method, time, date, CRC */
    put(maker->bytes, 0, 2);
    put(maker->bytes, method, 2);
    put(maker->bytes, 0, 8);
    put(maker->bytes, packed_size, 4);
    put(maker->bytes, size, 4);
    put(maker->bytes, strlen(name), 2);
    put(maker->bytes, 0, 2);
    g_byte_array_append(maker->bytes, (const guint8 *)name, (guint)strlen(name));
    g_byte_array_append(maker->bytes, packed, (guint)packed_size);
}

void w2w_archive_maker_add(W2wArchiveMaker *maker, const char *name, gconstpointer data,
                           gsize length)
{
    add(maker, name, STORED, data, length, length);
}

void w2w_archive_maker_add_deflated(W2wArchiveMaker *maker, const char *name, gconstpointer data,
                                    gsize length)
{
    g_autoptr(GZlibCompressor) zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW, 6);
    const gsize room = length + length / 8 + 64;
    g_autofree guint8 *packed = g_malloc(room);
    gsize n_read, n_written;

    g_assert_cmpint(g_converter_convert(G_CONVERTER(zlib), data, length, packed, room,
                                        G_CONVERTER_INPUT_AT_END, &n_read, &n_written, NULL),
                    ==, G_CONVERTER_FINISHED);
    add(maker, name, DEFLATED, packed, n_written, length);
}

static void put_central(GByteArray *bytes, const Entry *entry, gboolean is_zip64)
{
    put(bytes, 0x02014b50, 4);
    put(bytes, 20, 2);
    put(bytes, 20, 2);
    put(bytes, 0, 2);
    put(bytes, entry->method, 2);
    put(bytes, 0, 8);
    put(bytes, is_zip64 ? G_MAXUINT32 : entry->packed_size, 4);
    put(bytes, is_zip64 ? G_MAXUINT32 : entry->size, 4);
    put(bytes, strlen(entry->name), 2);
    put(bytes, is_zip64 ? 28 : 0, 2); /* extra field; then comment, disk, attributes */
    put(bytes, 0, 10);
    put(bytes, is_zip64 ? G_MAXUINT32 : entry->offset, 4);
    g_byte_array_append(bytes, (const guint8 *)entry->name, (guint)strlen(entry->name));
    if (is_zip64) {
        put(bytes, 1, 2);
        put(bytes, 24, 2);
        put(bytes, entry->size, 8);
        put(bytes, entry->packed_size, 8);
        put(bytes, entry->offset, 8);
    }
}

GByteArray *w2w_archive_maker_finish(W2wArchiveMaker *maker, gboolean is_zip64)
{
    GByteArray *bytes = maker->bytes;
    const guint n = maker->entries->len;
    const gsize begin = bytes->len;
    gsize end;

    for (guint i = 0; i < n; i++) {
        put_central(bytes, &g_array_index(maker->entries, Entry, i), is_zip64);
        g_free(g_array_index(maker->entries, Entry, i).name);
    }
    end = bytes->len;
    if (is_zip64) {
        put(bytes, 0x06064b50, 4);
        put(bytes, 44, 8);
        put(bytes, 45, 2);
        put(bytes, 45, 2);
        put(bytes, 0, 8); /* disks */
        put(bytes, n, 8);
        put(bytes, n, 8);
        put(bytes, end - begin, 8);
        put(bytes, begin, 8);
        put(bytes, 0x07064b50, 4);
        put(bytes, 0, 4);
        put(bytes, end, 8);
        put(bytes, 1, 4);
    }
    put(bytes, 0x06054b50, 4);
    put(bytes, 0, 4);
    put(bytes, is_zip64 ? G_MAXUINT16 : n, 2);
    put(bytes, is_zip64 ? G_MAXUINT16 : n, 2);
    put(bytes, is_zip64 ? G_MAXUINT32 : end - begin, 4);
    put(bytes, is_zip64 ? G_MAXUINT32 : begin, 4);
    put(bytes, 0, 2);
    g_array_unref(maker->entries);
    g_free(maker);
    return bytes;
}

GBytes *w2w_archive_of_pickle(gconstpointer pickle, gsize length, const char *const *storages,
                              const gsize *storage_lengths, guint n_storages)
{
    W2wArchiveMaker *maker = w2w_archive_maker_new();

    w2w_archive_maker_add(maker, "t/data.pkl", pickle, length);
    for (guint i = 0; i < n_storages; i++) {
        g_autofree char *name = g_strdup_printf("t/data/%u", i);

        w2w_archive_maker_add(maker, name, storages[i], storage_lengths[i]);
    }
    return g_byte_array_free_to_bytes(w2w_archive_maker_finish(maker, FALSE));
}

void w2w_assert_refused(GError **error, int code, const char *part)
{
    g_assert_error(*error, W2W_ERROR, code);
    if (strstr((*error)->message, part) == NULL)
        g_test_fail_printf("The error should speak of “%s”, but says: %s", part, (*error)->message);
    g_test_message("refused: %s", (*error)->message);
    g_clear_error(error);
}
