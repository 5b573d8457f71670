/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pickles byte by byte, and the zip archive around them. */
#include "tests/w2w/pt_files.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

static void add_bytes(GByteArray *out, const void *bytes, gsize n)
{
    g_byte_array_append(out, bytes, (guint)n);
}

static void add_text(GByteArray *out, const char *text)
{
    add_bytes(out, text, strlen(text));
}

static void add_u16(GByteArray *out, guint value)
{
    const guint16 bytes = GUINT16_TO_LE((guint16)value);

    add_bytes(out, &bytes, sizeof bytes);
}

static void add_u32(GByteArray *out, gsize value)
{
    const guint32 bytes = GUINT32_TO_LE((guint32)value);

    add_bytes(out, &bytes, sizeof bytes);
}

/* BININT */
static void add_int(GByteArray *out, gint64 value)
{
    add_text(out, "J");
    add_u32(out, (gsize)value);
}

/* BINUNICODE */
static void add_unicode(GByteArray *out, const char *text)
{
    add_text(out, "X");
    add_u32(out, strlen(text));
    add_text(out, text);
}

/* MARK … TUPLE */
static void add_int_tuple(GByteArray *out, const gint64 *values, guint n)
{
    add_text(out, "(");
    for (guint i = 0; i < n; i++)
        add_int(out, values[i]);
    add_text(out, "t");
}

static guint32 crc32_of(const guint8 *bytes, gsize n)
{
    guint32 crc = 0xffffffff;

    for (gsize i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (guint bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* A file of an archive; its storage may be longer than `n`, and is zero from there on. */
typedef struct {
    const char *name;
    const void *bytes;
    gsize n, whole;
} Entry;

/* What local and central headers share, from "version needed" to "extra length". */
static void add_sizes(GByteArray *out, const Entry *entry)
{
    add_u16(out, 20);
    add_u16(out, 0); /* flags */
    add_u16(out, 0); /* stored */
    add_u32(out, 0); /* time and date */
    add_u32(out, entry->n == entry->whole ? crc32_of(entry->bytes, entry->n) : 0);
    add_u32(out, entry->whole);
    add_u32(out, entry->whole);
    add_u16(out, (guint)strlen(entry->name));
    add_u16(out, 0);
}

static void write_all(FILE *file, const void *bytes, gsize n)
{
    g_assert_cmpuint(fwrite(bytes, 1, n, file), ==, n);
}

static void write_archive(const char *directory, const char *name, GByteArray *pickle,
                          const void *storage, gsize n_storage, gsize n_whole)
{
    const Entry entries[] = {{"archive/data.pkl", pickle->data, pickle->len, pickle->len},
                             {"archive/data/0", storage, n_storage, n_whole},
                             {"archive/version", "3\n", 2, 2}};
    g_autoptr(GByteArray) central = g_byte_array_new();
    g_autofree char *path = g_build_filename(directory, name, NULL);
    gsize offset = 0;
    guint n_entries = 0;
    FILE *file;

    g_unlink(path); /* it may be a link into somebody's space */
    file = fopen(path, "wb");
    g_assert_nonnull(file);
    for (guint i = 0; i < G_N_ELEMENTS(entries); i++) {
        g_autoptr(GByteArray) header = g_byte_array_new();

        if (entries[i].bytes == NULL)
            continue;
        add_text(header, "PK\003\004");
        add_sizes(header, &entries[i]);
        add_text(header, entries[i].name);
        write_all(file, header->data, header->len);
        write_all(file, entries[i].bytes, entries[i].n);
        add_text(central, "PK\001\002");
        add_u16(central, 20);
        add_sizes(central, &entries[i]);
        add_u16(central, 0); /* comment */
        add_u16(central, 0); /* disk */
        add_u16(central, 0); /* attributes */
        add_u32(central, 0);
        add_u32(central, offset);
        add_text(central, entries[i].name);
        offset += header->len + entries[i].whole;
        g_assert_cmpint(fseeko(file, (off_t)offset, SEEK_SET), ==, 0);
        n_entries++;
    }
    write_all(file, central->data, central->len);
    {
        g_autoptr(GByteArray) end = g_byte_array_new();

        add_text(end, "PK\005\006");
        add_u32(end, 0);
        add_u16(end, n_entries);
        add_u16(end, n_entries);
        add_u32(end, central->len);
        add_u32(end, offset);
        add_u16(end, 0);
        write_all(file, end->data, end->len);
    }
    g_assert_cmpint(fclose(file), ==, 0);
}

void write_pt_sparse_tensor(const char *directory, const char *name, guint n_dims,
                            const gint64 *shape, const gint64 *stride, guint64 n_values,
                            const float *first, gsize n_first)
{
    g_autoptr(GByteArray) pickle = g_byte_array_new();

    add_text(pickle, "\x80\x02"
                     "ctorch._utils\n_rebuild_tensor_v2\n((");
    add_unicode(pickle, "storage");
    add_text(pickle, "ctorch\nFloatStorage\n");
    add_unicode(pickle, "0");
    add_unicode(pickle, "cpu");
    add_int(pickle, (gint64)n_values);
    add_text(pickle, "tQ");
    add_int(pickle, 0);
    add_int_tuple(pickle, shape, n_dims);
    add_int_tuple(pickle, stride, n_dims);
    add_text(pickle, "\x89"
                     "ccollections\nOrderedDict\n)RtR.");
    write_archive(directory, name, pickle, first, n_first * sizeof *first,
                  n_values * sizeof *first);
}

void write_pt_tensor(const char *directory, const char *name, guint n_dims, const gint64 *shape,
                     const gint64 *stride, const float *values, gsize n_values)
{
    write_pt_sparse_tensor(directory, name, n_dims, shape, stride, n_values, values, n_values);
}

void write_pt_vector(const char *directory, const char *name, const float *values, gsize n)
{
    write_pt_tensor(directory, name, 1, (const gint64[]){(gint64)n}, (const gint64[]){1}, values,
                    n);
}

void write_pt_matrix(const char *directory, const char *name, gint64 n_rows, gint64 n_columns,
                     const float *values)
{
    write_pt_tensor(directory, name, 2, (const gint64[]){n_rows, n_columns},
                    (const gint64[]){n_columns, 1}, values, (gsize)(n_rows * n_columns));
}

void write_pt_dimensions(const char *directory, const char *const *keys, const int (*shapes)[2])
{
    g_autoptr(GByteArray) pickle = g_byte_array_new();

    add_text(pickle, "\x80\x02}(");
    for (guint i = 0; keys[i] != NULL; i++) {
        const gint64 size = (gint64)shapes[i][0] * shapes[i][1];

        add_unicode(pickle, keys[i]);
        add_text(pickle, "ctorch\nSize\n");
        add_int_tuple(pickle, &size, 1);
        add_text(pickle, "\x85Rctorch\nSize\n");
        add_int_tuple(pickle, (const gint64[]){shapes[i][0], shapes[i][1]}, 2);
        add_text(pickle, "\x85R\x86");
    }
    add_text(pickle, "u.");
    write_archive(directory, "weight_dimensions.pt", pickle, NULL, 0, 0);
}
