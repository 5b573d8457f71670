/* SPDX-License-Identifier: GPL-3.0-or-later */
/* safetensors: each promise of the header has a file that breaks it; written files read back. */
#include <glib/gstdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "tests/formats/archive_maker.h"

/* A file with this header and `n_data` bytes 0, 1, 2, … behind it. */
static GBytes *make_file(const char *header, gsize n_data)
{
    GByteArray *bytes = g_byte_array_new();
    const guint64 length = GUINT64_TO_LE((guint64)strlen(header));

    g_byte_array_append(bytes, (const guint8 *)&length, sizeof length);
    g_byte_array_append(bytes, (const guint8 *)header, (guint)strlen(header));
    for (gsize i = 0; i < n_data; i++) {
        const guint8 byte = (guint8)i;

        g_byte_array_append(bytes, &byte, 1);
    }
    return g_byte_array_free_to_bytes(bytes);
}

static void test_read(void)
{
    g_autoptr(GBytes) bytes = make_file(
        "{\"b\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[4,10]},\"__metadata__\":"
        "{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"none\":{\"dtype\":\"I64\",\"shape\":[0,5],\"data_offsets\":[4,4]}}   ",
        10);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open_bytes(bytes, "x.safetensors", &error);
    g_autoptr(W2wArray) array = NULL;
    const char *const *keys;

    g_assert_no_error(error);
    keys = w2w_safetensors_get_keys(file);
    g_assert_cmpuint(g_strv_length((char **)keys), ==, 3);
    g_assert_cmpstr(keys[0], ==, "a");
    g_assert_cmpstr(keys[1], ==, "none");
    g_assert_cmpstr(keys[2], ==, "b");
    g_assert_cmpstr(w2w_safetensors_get_metadata(file, "format"), ==, "pt");
    g_assert_null(w2w_safetensors_get_metadata(file, "other"));
    g_assert_cmpuint(g_hash_table_size(w2w_safetensors_get_all_metadata(file)), ==, 1);
    array = w2w_safetensors_get(file, "b", &error);
    g_assert_no_error(error);
    g_assert_cmpint(array->shape[1], ==, 3);
    g_assert_cmpfloat(w2w_array_get(array, 5), ==, 9);
    g_assert_null(w2w_safetensors_peek(file, "c"));
    g_assert_null(w2w_safetensors_get(file, "c", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "x.safetensors lacks the tensor “c”");
    /* An array outlives the file that it came from. */
    g_clear_pointer(&file, w2w_safetensors_free);
    g_clear_pointer(&bytes, g_bytes_unref);
    g_assert_cmpfloat(w2w_array_get(array, 0), ==, 4);
}

#define ENTRY(dtype, shape, begin, end)                                                            \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const struct Violation {
    const char *name, *header;
    gsize n_data;
    const char *part;
} violations[] = {
    {"overlap", "{\"a\":" ENTRY("F32", "[2]", "0", "8") ",\"b\":" ENTRY("F32", "[1]", "4", "8") "}",
     8, "“b” overlaps"},
    {"same-place",
     "{\"a\":" ENTRY("U8", "[4]", "0", "4") ",\"b\":" ENTRY("U8", "[4]", "0", "4") "}", 4,
     "“b” overlaps"},
    {"hole-in-front", "{\"a\":" ENTRY("F32", "[1]", "4", "8") "}", 8, "leaves a hole"},
    {"hole-between",
     "{\"a\":" ENTRY("F32", "[1]", "0", "4") ",\"b\":" ENTRY("F32", "[1]", "8", "12") "}", 12,
     "“b” leaves a hole"},
    {"uncovered-end", "{\"a\":" ENTRY("F32", "[1]", "0", "4") "}", 5, "1 bytes at its end"},
    {"uncovered-all", "{}", 1, "1 bytes at its end"},
    {"beyond-end", "{\"a\":" ENTRY("F32", "[2]", "0", "8") "}", 7, "has only 7"},
    {"shape-too-large", "{\"a\":" ENTRY("F32", "[3]", "0", "8") "}", 8, "needs 12 bytes"},
    {"shape-too-small", "{\"a\":" ENTRY("F32", "[1]", "0", "8") "}", 8, "needs 4 bytes"},
    {"offsets-reversed", "{\"a\":" ENTRY("F32", "[1]", "4", "0") "}", 4,
     "data_offsets are 4 and 0"},
    {"offsets-negative", "{\"a\":" ENTRY("F32", "[1]", "-4", "0") "}", 4, "two whole numbers"},
    {"offsets-float", "{\"a\":" ENTRY("F32", "[1]", "0", "4.0") "}", 4, "two whole numbers"},
    {"offsets-over-64-bits", "{\"a\":" ENTRY("F32", "[1]", "0", "18446744073709551620") "}", 4,
     "two whole numbers"},
    {"one-offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", 4,
     "two whole numbers"},
    {"no-offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no data_offsets"},
    {"no-shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape"},
    {"no-dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype"},
    {"unknown-dtype", "{\"a\":" ENTRY("F33", "[1]", "0", "4") "}", 4, "dtype F33"},
    {"unknown-member",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"stride\":[1]}}", 4,
     "members besides"},
    {"shape-negative", "{\"a\":" ENTRY("F32", "[-1,-1]", "0", "4") "}", 4, "whole numbers"},
    {"shape-overflow", "{\"a\":" ENTRY("F32", "[4294967296,4294967296]", "0", "4") "}", 4,
     "counted"},
    {"nine-dimensions", "{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4,
     "9 dimensions"},
    {"key-twice", "{\"a\":" ENTRY("U8", "[1]", "0", "1") ",\"a\":" ENTRY("U8", "[1]", "1", "2") "}",
     2, "“a” is there twice"},
    {"entry-no-object", "{\"a\":1}", 0, "not an object"},
    {"metadata-no-object", "{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    {"metadata-no-string", "{\"__metadata__\":{\"n\":1}}", 0, "“n” is not a string"},
    {"header-not-json", "{\"a\":", 0, "not valid JSON"},
    {"header-array", "[]", 0, "does not begin with"},
    {"header-leading-space", " {}", 0, "does not begin with"},
    {"header-empty", "", 0, "does not begin with"},
    {"header-trailing-text", "{} {}", 0, "not valid JSON"},
};

static void test_violation(gconstpointer data)
{
    const struct Violation *violation = data;
    g_autoptr(GBytes) bytes = make_file(violation->header, violation->n_data);
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_safetensors_open_bytes(bytes, "x.safetensors", &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "x.safetensors"));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, violation->part);
}

static void test_header_length(void)
{
    static const struct {
        guint8 bytes[10];
        gsize length;
        const char *part;
    } cases[] = {
        {{0}, 0, "only 0 bytes"},
        {{2, 0, 0, 0, 0, 0, 0}, 7, "only 7 bytes"},
        {{3, 0, 0, 0, 0, 0, 0, 0, '{', '}'}, 10, "goes beyond its end"},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'}, 10, "at most 100000000"},
        {{1, 0xe1, 0xf5, 5, 0, 0, 0, 0, '{', '}'}, 10, "at most 100000000"}, /* 100,000,001 */
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GBytes) bytes = g_bytes_new(cases[i].bytes, cases[i].length);
        g_autoptr(GError) error = NULL;

        g_assert_null(w2w_safetensors_open_bytes(bytes, "x.safetensors", &error));
        w2w_assert_refused(&error, W2W_ERROR_FORMAT, cases[i].part);
    }
}

static W2wSafetensorsWriter *make_writer(void)
{
    static const float values[] = {0, 1, 2, 3, 4, 5};
    const gint64 shape[] = {2, 3}, transposed_shape[] = {3, 2}, transposed_stride[] = {1, 3};
    g_autoptr(W2wArray) array = w2w_array_new_f32(2, shape, values, NULL);
    g_autoptr(W2wArray) transposed = w2w_array_new_view(
        W2W_DTYPE_F32, 2, transposed_shape, transposed_stride, array->owner, 0, "x", NULL);
    static const guint8 half[] = {0x00, 0x3c};
    g_autoptr(GBytes) half_bytes = g_bytes_new_static(half, sizeof half);
    g_autoptr(W2wArray) scalar =
        w2w_array_new_view(W2W_DTYPE_F16, 0, NULL, NULL, half_bytes, 0, "x", NULL);
    W2wSafetensorsWriter *writer = w2w_safetensors_writer_new();

    w2w_safetensors_writer_set_metadata(writer, "z", "first");
    w2w_safetensors_writer_set_metadata(writer, "a", "\"quoted\" \\ ä\n\x01");
    w2w_safetensors_writer_set_metadata(writer, "z", "replaced");
    w2w_safetensors_writer_add(writer, "scalar", scalar);
    w2w_safetensors_writer_add(writer, "w \"1\"", array);
    w2w_safetensors_writer_add(writer, "transposed", transposed);
    return writer;
}

static void check_written(W2wSafetensors *file)
{
    const char *const *keys = w2w_safetensors_get_keys(file);

    g_assert_cmpstr(keys[0], ==, "scalar");
    g_assert_cmpstr(keys[1], ==, "w \"1\"");
    g_assert_cmpstr(keys[2], ==, "transposed");
    g_assert_cmpstr(w2w_safetensors_get_metadata(file, "z"), ==, "replaced");
    g_assert_cmpstr(w2w_safetensors_get_metadata(file, "a"), ==, "\"quoted\" \\ ä\n\x01");
    g_assert_cmpfloat(w2w_array_get(w2w_safetensors_peek(file, "scalar"), 0), ==, 1.0);
    for (guint i = 0; i < 6; i++) {
        g_assert_cmpfloat(w2w_array_get(w2w_safetensors_peek(file, "w \"1\""), i), ==, i);
        g_assert_cmpfloat(w2w_array_get(w2w_safetensors_peek(file, "transposed"), i), ==,
                          i % 2 * 3 + i / 2);
    }
}

static void test_write(void)
{
    g_autofree char *dir = g_dir_make_tmp("w2w-safetensors-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "a.safetensors", NULL);
    g_autofree char *nowhere = g_build_filename(dir, "none", "a.safetensors", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSafetensorsWriter) writer = make_writer(), again = make_writer();
    g_autoptr(GBytes) bytes = w2w_safetensors_writer_to_bytes(writer, &error);
    g_autoptr(GBytes) same = w2w_safetensors_writer_to_bytes(again, &error);
    g_autoptr(W2wSafetensors) from_bytes = NULL, from_file = NULL;
    g_autofree char *contents = NULL;
    g_autoptr(GDir) listing = NULL;
    gsize length;

    g_assert_no_error(error);
    g_assert_true(g_bytes_equal(bytes, same));
    g_assert_cmpuint(*(const guint8 *)g_bytes_get_data(bytes, NULL) % 8, ==, 0);
    from_bytes = w2w_safetensors_open_bytes(bytes, "bytes", &error);
    g_assert_no_error(error);
    check_written(from_bytes);

    g_assert_true(g_file_set_contents(path, "the file before", -1, NULL));
    g_assert_true(w2w_safetensors_writer_save(writer, path, &error));
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
    g_assert_cmpmem(contents, length, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    from_file = w2w_safetensors_open(path, &error);
    g_assert_no_error(error);
    check_written(from_file);

    g_assert_false(w2w_safetensors_writer_save(writer, nowhere, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, "cannot be written");
    g_assert_false(w2w_safetensors_writer_save(writer, dir, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, "cannot be written");
    g_unlink(path);
    listing = g_dir_open(dir, 0, NULL);
    g_assert_null(g_dir_read_name(listing)); /* nothing half-written is left */
    g_rmdir(dir);
}

static void test_write_refused(void)
{
    const float value = 1.0f;
    g_autoptr(W2wArray) array = w2w_array_new_f32(0, NULL, &value, NULL);
    g_autoptr(W2wSafetensorsWriter) twice = w2w_safetensors_writer_new();
    g_autoptr(W2wSafetensorsWriter) reserved = w2w_safetensors_writer_new();
    g_autoptr(GError) error = NULL;

    w2w_safetensors_writer_add(twice, "a", array);
    w2w_safetensors_writer_add(twice, "a", array);
    g_assert_null(w2w_safetensors_writer_to_bytes(twice, &error));
    w2w_assert_refused(&error, W2W_ERROR_USAGE, "“a”");
    w2w_safetensors_writer_add(reserved, "__metadata__", array);
    g_assert_null(w2w_safetensors_writer_to_bytes(reserved, &error));
    w2w_assert_refused(&error, W2W_ERROR_USAGE, "“__metadata__”");
}

static void test_write_empty(void)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(W2wSafetensors) file = NULL;

    w2w_safetensors_writer_set_metadata(writer, "k", "v");
    bytes = w2w_safetensors_writer_to_bytes(writer, &error);
    file = w2w_safetensors_open_bytes(bytes, "x", &error);
    g_assert_no_error(error);
    g_assert_null(w2w_safetensors_get_keys(file)[0]);
    g_assert_cmpstr(w2w_safetensors_get_metadata(file, "k"), ==, "v");
}

/* Cut anywhere: refused. Any byte changed: refused or read, never a crash. */
static void test_damage(void)
{
    g_autoptr(W2wSafetensorsWriter) writer = make_writer();
    g_autoptr(GBytes) whole = w2w_safetensors_writer_to_bytes(writer, NULL);
    gsize n_bytes;
    const guint8 *data = g_bytes_get_data(whole, &n_bytes);

    for (gsize length = 0; length < n_bytes; length++) {
        g_autoptr(GBytes) cut = g_bytes_new(data, length);
        g_autoptr(GError) error = NULL;

        g_assert_null(w2w_safetensors_open_bytes(cut, "x", &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    }
    for (gsize i = 0; i < n_bytes; i++) {
        for (guint bit = 0; bit < 8; bit++) {
            guint8 *copy = g_memdup2(data, n_bytes);
            g_autoptr(GBytes) changed = g_bytes_new_take(copy, n_bytes);
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wSafetensors) file = NULL;

            copy[i] ^= (guint8)(1 << bit);
            file = w2w_safetensors_open_bytes(changed, "x", &error);
            g_assert_true((file == NULL) == (error != NULL));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/safetensors/read", test_read);
    for (guint i = 0; i < G_N_ELEMENTS(violations); i++) {
        g_autofree char *path = g_strconcat("/safetensors/refused/", violations[i].name, NULL);

        g_test_add_data_func(path, &violations[i], test_violation);
    }
    g_test_add_func("/safetensors/refused/header-length", test_header_length);
    g_test_add_func("/safetensors/write-and-read-back", test_write);
    g_test_add_func("/safetensors/write-refused", test_write_refused);
    g_test_add_func("/safetensors/write-empty", test_write_empty);
    g_test_add_func("/safetensors/damage-is-no-crash", test_damage);
    return g_test_run();
}
