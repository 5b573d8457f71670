/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zip archives: the kinds that torch writes, and damage of each field. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/zip.h"
#include "tests/formats/archive_maker.h"

static GByteArray *make(gboolean is_zip64)
{
    W2wArchiveMaker *maker = w2w_archive_maker_new();
    char zeros[1000] = {0};

    w2w_archive_maker_add(maker, "t/a", "hello", 5);
    w2w_archive_maker_add(maker, "t/empty", "", 0);
    w2w_archive_maker_add_deflated(maker, "t/zeros", zeros, sizeof zeros);
    return w2w_archive_maker_finish(maker, is_zip64);
}

static W2wZip *open_array(GByteArray *array, GError **error)
{
    g_autoptr(GBytes) bytes = g_bytes_new(array->data, array->len);

    return w2w_zip_open(bytes, "x.zip", error);
}

static void test_read(gconstpointer is_zip64)
{
    g_autoptr(GByteArray) array = make(is_zip64 != NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wZip) zip = open_array(array, &error);
    g_autoptr(GBytes) hello = NULL, empty = NULL, zeros = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(w2w_zip_get_n_entries(zip), ==, 3);
    g_assert_cmpstr(w2w_zip_get_entry_name(zip, 1), ==, "t/empty");
    hello = w2w_zip_read(zip, "t/a", 5, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(g_bytes_get_data(hello, NULL), g_bytes_get_size(hello), "hello", 5);
    empty = w2w_zip_read(zip, "t/empty", 0, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(empty), ==, 0);
    zeros = w2w_zip_read(zip, "t/zeros", 1000, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(zeros), ==, 1000);
    g_assert_cmpuint(((const guint8 *)g_bytes_get_data(zeros, NULL))[999], ==, 0);

    g_assert_null(w2w_zip_read(zip, "t/a", 4, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "at most 4 were expected");
    g_assert_null(w2w_zip_read(zip, "t/b", 4, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "x.zip lacks the entry “t/b”");
}

/* A view, not a copy. */
static void test_stored_is_mapped(void)
{
    GByteArray *array = make(FALSE);
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(array);
    g_autoptr(W2wZip) zip = w2w_zip_open(bytes, "x.zip", NULL);
    g_autoptr(GBytes) hello = w2w_zip_read(zip, "t/a", 5, NULL);
    const char *begin = g_bytes_get_data(bytes, NULL), *data = g_bytes_get_data(hello, NULL);

    g_assert_true(data > begin && data < begin + g_bytes_get_size(bytes));
}

/* Where the `n`th (from 0) little-endian `signature` stands. */
static guint find(const GByteArray *array, guint32 signature, guint n)
{
    for (guint i = 0; i + 4 <= array->len; i++) {
        guint32 here;

        memcpy(&here, array->data + i, sizeof here);
        if (GUINT32_FROM_LE(here) == signature && n-- == 0)
            return i;
    }
    g_error("No signature %08x.", signature);
}

static void put(GByteArray *array, guint at, guint64 number, guint size)
{
    for (guint i = 0; i < size; i++)
        array->data[at + i] = (guint8)(number >> (8 * i));
}

#define CENTRAL 0x02014b50u
#define LOCAL   0x04034b50u
#define END     0x06054b50u
#define END64   0x06064b50u
#define LOCATOR 0x07064b50u

/* One number of one record changed. Those of entry 2 are read only when it is. */
static const struct Damage {
    const char *name;
    gboolean is_zip64;
    guint32 signature;
    guint n, offset, size;
    guint64 number;
    const char *part;
} damages[] = {
    {"encrypted", FALSE, CENTRAL, 0, 8, 2, 1, "encrypted"},
    {"method", FALSE, CENTRAL, 0, 10, 2, 12, "method 12"},
    {"method-contradiction", FALSE, CENTRAL, 0, 10, 2, 8, "contradicts"},
    {"packed-size-beyond", FALSE, CENTRAL, 1, 20, 4, 100000, "more than there are"},
    {"packed-size-overlap", FALSE, CENTRAL, 0, 20, 4, 6, "overlap"},
    {"two-sizes", FALSE, CENTRAL, 0, 24, 4, 4, "two different sizes"},
    {"offset-outside", FALSE, CENTRAL, 0, 42, 4, 0x7fffffff, "was expected"},
    {"offset-of-other", FALSE, CENTRAL, 0, 42, 4, 3, "was expected"},
    {"name-length", FALSE, CENTRAL, 0, 28, 2, 0xffff, "beyond the directory"},
    {"comment-length", FALSE, CENTRAL, 2, 32, 2, 1, "beyond the directory"},
    {"name", FALSE, CENTRAL, 0, 46, 1, 'x', "contradicts"},
    {"name-utf8", FALSE, CENTRAL, 0, 46, 1, 0xff, "not UTF-8"},
    {"name-nul", FALSE, CENTRAL, 0, 46, 1, 0, "not UTF-8"},
    {"signature", FALSE, CENTRAL, 1, 0, 1, 0, "an entry of the directory"},
    {"local-signature", FALSE, LOCAL, 0, 0, 1, 0, "was expected"},
    {"local-name-length", FALSE, LOCAL, 0, 26, 2, 60000, "contradicts"},
    {"local-extra-length", FALSE, LOCAL, 2, 28, 2, 60000, "more than there are"},
    {"too-many-entries", FALSE, END, 0, 10, 2, 60000, "several disks"},
    {"few-entries", FALSE, END, 0, 8, 4, 0x00020002, "more than its entries"},
    {"many-entries", FALSE, END, 0, 8, 4, 0xea60ea60, "more than fit"},
    {"disk", FALSE, END, 0, 4, 2, 1, "several disks"},
    {"directory-size", FALSE, END, 0, 12, 4, 0x7fffffff, "outside of the file"},
    {"directory-offset", FALSE, END, 0, 16, 4, 0x7fffffff, "outside of the file"},
    {"comment", FALSE, END, 0, 20, 2, 1, "directory is missing"},
    {"zip64-locator-outside", TRUE, LOCATOR, 0, 8, 8, G_MAXUINT64, "leads outside"},
    {"zip64-locator-wrong", TRUE, LOCATOR, 0, 8, 8, 3, "ZIP64 end record"},
    {"zip64-disks", TRUE, LOCATOR, 0, 16, 4, 2, "several disks"},
    {"zip64-offset", TRUE, END64, 0, 48, 8, G_MAXUINT64 - 10, "outside of the file"},
    {"zip64-size", TRUE, END64, 0, 40, 8, G_MAXUINT64 - 10, "outside of the file"},
    {"zip64-extra-short", TRUE, CENTRAL, 0, 46 + 3 + 2, 2, 16, "damaged extra field"},
    {"zip64-extra-long", TRUE, CENTRAL, 0, 46 + 3 + 2, 2, 25, "damaged extra field"},
    {"zip64-entry-size", TRUE, CENTRAL, 0, 46 + 3 + 12, 8, G_MAXUINT64, "more than there are"},
    {"zip64-entry-offset", TRUE, CENTRAL, 0, 46 + 3 + 20, 8, G_MAXUINT64 - 29, "was expected"},
    {"deflated-longer", FALSE, CENTRAL, 2, 24, 4, 999, "are damaged"},
    {"deflated-shorter", FALSE, CENTRAL, 2, 24, 4, 1001, "are damaged"},
    {"deflated-bomb", FALSE, CENTRAL, 2, 24, 4, 0x7fffffff, "more than is accepted"},
    {"deflated-stream", FALSE, LOCAL, 2, 30 + 7, 1, 0xff, "are damaged"},
};

static void test_damage(gconstpointer data)
{
    const struct Damage *damage = data;
    g_autoptr(GByteArray) array = make(damage->is_zip64);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wZip) zip = NULL;

    put(array, find(array, damage->signature, damage->n) + damage->offset, damage->number,
        damage->size);
    zip = open_array(array, &error);
    for (guint i = 0; zip != NULL && error == NULL && i < w2w_zip_get_n_entries(zip); i++) {
        g_autoptr(GBytes) bytes =
            w2w_zip_read(zip, w2w_zip_get_entry_name(zip, i), G_MAXSIZE, &error);

        g_assert_true((bytes == NULL) == (error != NULL));
    }
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, "x.zip "));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, damage->part);
}

static void test_twice(void)
{
    W2wArchiveMaker *maker = w2w_archive_maker_new();
    g_autoptr(GByteArray) array = NULL;
    g_autoptr(GError) error = NULL;

    w2w_archive_maker_add(maker, "t/a", "hello", 5);
    w2w_archive_maker_add(maker, "t/a", "other", 5);
    array = w2w_archive_maker_finish(maker, FALSE);
    g_assert_null(open_array(array, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "“t/a” is there twice");
}

static void test_any_damage(void)
{
    for (guint is_zip64 = 0; is_zip64 < 2; is_zip64++) {
        g_autoptr(GByteArray) whole = make(is_zip64 != 0);

        for (guint i = 0; i < whole->len; i++) {
            for (guint bit = 0; bit < 9; bit++) { /* the ninth time it is cut */
                g_autoptr(GBytes) bytes = NULL;
                guint8 *copy = g_memdup2(whole->data, whole->len);
                g_autoptr(W2wZip) zip = NULL;
                g_autoptr(GError) error = NULL;

                copy[i] ^= (guint8)(1 << bit);
                bytes = g_bytes_new_take(copy, bit == 8 ? i : whole->len);
                zip = w2w_zip_open(bytes, "x", &error);
                g_assert_true((zip == NULL) == (error != NULL));
                for (guint e = 0; zip != NULL && e < w2w_zip_get_n_entries(zip); e++) {
                    GBytes *entry =
                        w2w_zip_read(zip, w2w_zip_get_entry_name(zip, e), 1 << 20, NULL);

                    g_clear_pointer(&entry, g_bytes_unref);
                }
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/zip/read", NULL, test_read);
    g_test_add_data_func("/zip/read-zip64", "yes", test_read);
    g_test_add_func("/zip/stored-is-a-view", test_stored_is_mapped);
    g_test_add_func("/zip/refused/entry-twice", test_twice);
    for (guint i = 0; i < G_N_ELEMENTS(damages); i++) {
        g_autofree char *path = g_strconcat("/zip/refused/", damages[i].name, NULL);

        g_test_add_data_func(path, &damages[i], test_damage);
    }
    g_test_add_func("/zip/damage-is-no-crash", test_any_damage);
    return g_test_run();
}
