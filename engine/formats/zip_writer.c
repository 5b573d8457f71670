/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stored zip entries. Source: PKWARE's APPNOTE 6.3.10. */
#include "engine/formats/zip_writer.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

enum {
    DATA_ALIGNMENT = 64,
    VERSION = 20,            /* of the format, that a reader must know */
    LOCAL_HEADER_BYTES = 30, /* without name and extra field */
    EXTRA_HEADER_BYTES = 4,
    PADDING_ID = 0x4246, /* the extra field that torch pads with: "FB" */
};

/* Offsets and sizes have 32 bits, and all ones means that they stand elsewhere. */
#define MAX_BYTES 0xfffffffeu

struct _W2wZipWriter {
    FILE *stream; /* NULL: memory */
    guint8 *bytes;
    gsize capacity;
    gsize length; /* written so far */
    GByteArray *directory;
    guint n_entries;
};

W2wZipWriter *w2w_zip_writer_new(FILE *stream)
{
    W2wZipWriter *writer = g_new0(W2wZipWriter, 1);

    writer->stream = stream;
    writer->directory = g_byte_array_new();
    return writer;
}

void w2w_zip_writer_free(W2wZipWriter *writer)
{
    if (writer == NULL)
        return;
    g_free(writer->bytes);
    g_byte_array_unref(writer->directory);
    g_free(writer);
}

static gboolean write_bytes(W2wZipWriter *writer, const void *data, gsize n, GError **error)
{
    if (n > MAX_BYTES - writer->length) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "An archive of more than 4 GB cannot be written; safetensors has no such "
                    "limit.");
        return FALSE;
    }
    if (n == 0)
        return TRUE;
    if (writer->stream != NULL) {
        fwrite(data, 1, n, writer->stream);
    } else {
        if (writer->length + n > writer->capacity) {
            const gsize capacity = MAX(writer->length + n, 2 * writer->capacity);
            guint8 *grown = w2w_try_realloc(writer->bytes, capacity, "an archive", error);

            if (grown == NULL)
                return FALSE;
            writer->bytes = grown;
            writer->capacity = capacity;
        }
        memcpy(writer->bytes + writer->length, data, n);
    }
    writer->length += n;
    return TRUE;
}

static guint32 crc32_of(const guint8 *bytes, gsize n)
{
    guint32 table[256], crc = 0xffffffff;

    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        table[i] = i;
        for (guint bit = 0; bit < 8; bit++)
            table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0xedb88320 : 0);
    }
    for (gsize i = 0; i < n; i++)
        crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
    return ~crc;
}

static void add_u16(GByteArray *out, guint value)
{
    const guint16 bytes = GUINT16_TO_LE((guint16)value);

    g_byte_array_append(out, (const guint8 *)&bytes, sizeof(bytes));
}

static void add_u32(GByteArray *out, gsize value)
{
    const guint32 bytes = GUINT32_TO_LE((guint32)value);

    g_byte_array_append(out, (const guint8 *)&bytes, sizeof(bytes));
}

static void add_text(GByteArray *out, const char *text)
{
    g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

/* What local and central headers share, from "version needed" to the length of the extra field. */
static void add_header(GByteArray *out, const char *name, guint32 crc, gsize length, guint n_extra)
{
    add_u16(out, VERSION);
    add_u16(out, 0); /* flags */
    add_u16(out, 0); /* stored */
    add_u32(out, 0); /* time and date: the same calls give the same bytes */
    add_u32(out, crc);
    add_u32(out, length);
    add_u32(out, length);
    add_u16(out, (guint)strlen(name));
    add_u16(out, n_extra);
}

gboolean w2w_zip_writer_add(W2wZipWriter *writer, const char *entry_name, const void *data,
                            gsize length, GError **error)
{
    const guint32 crc = crc32_of(data, length);
    const gsize offset = writer->length;
    const gsize unpadded = offset + LOCAL_HEADER_BYTES + strlen(entry_name) + EXTRA_HEADER_BYTES;
    const guint n_padding = (guint)((DATA_ALIGNMENT - unpadded % DATA_ALIGNMENT) % DATA_ALIGNMENT);
    static const guint8 zeros[DATA_ALIGNMENT] = {0};
    g_autoptr(GByteArray) header = g_byte_array_new();

    add_text(header, "PK\003\004");
    add_header(header, entry_name, crc, length, EXTRA_HEADER_BYTES + n_padding);
    add_text(header, entry_name);
    add_u16(header, PADDING_ID);
    add_u16(header, n_padding);
    g_byte_array_append(header, zeros, n_padding);
    if (!write_bytes(writer, header->data, header->len, error) ||
        !write_bytes(writer, data, length, error))
        return FALSE;

    add_text(writer->directory, "PK\001\002");
    add_u16(writer->directory, VERSION);
    add_header(writer->directory, entry_name, crc, length, 0);
    add_u16(writer->directory, 0); /* comment */
    add_u16(writer->directory, 0); /* disk */
    add_u16(writer->directory, 0); /* attributes, with the next */
    add_u32(writer->directory, 0);
    add_u32(writer->directory, offset);
    add_text(writer->directory, entry_name);
    writer->n_entries++;
    return TRUE;
}

gboolean w2w_zip_writer_finish(W2wZipWriter *writer, GError **error)
{
    const gsize start = writer->length;
    g_autoptr(GByteArray) end = g_byte_array_new();

    if (writer->n_entries >= G_MAXUINT16) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "An archive of %u entries cannot be written.", writer->n_entries);
        return FALSE;
    }
    add_text(end, "PK\005\006");
    add_u32(end, 0); /* disks */
    add_u16(end, writer->n_entries);
    add_u16(end, writer->n_entries);
    add_u32(end, writer->directory->len);
    add_u32(end, start);
    add_u16(end, 0); /* comment */
    return write_bytes(writer, writer->directory->data, writer->directory->len, error) &&
           write_bytes(writer, end->data, end->len, error);
}

GBytes *w2w_zip_writer_steal_bytes(W2wZipWriter *writer)
{
    return g_bytes_new_take(g_steal_pointer(&writer->bytes), writer->length);
}
