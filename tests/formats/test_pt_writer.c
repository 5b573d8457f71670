/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the .pt writer writes, read back by the .pt reader: names, order, dtypes, every bit. */
#include "engine/formats/pt_writer.h"

#include <glib/gstdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt.h"
#include "engine/formats/zip.h"

static const guint8 numbers[48] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                   17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
                                   33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48};

/* (2,3) of these bytes. */
static W2wArray *make_array(W2wDType dtype)
{
    const gint64 shape[] = {2, 3};
    g_autoptr(GBytes) bytes = g_bytes_new_static(numbers, sizeof(numbers));
    g_autoptr(GError) error = NULL;
    W2wArray *array = w2w_array_new_view(dtype, 2, shape, NULL, bytes, 0, "numbers", &error);

    g_assert_no_error(error);
    return array;
}

static W2wPtValue *read_back(W2wPtWriter *writer)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = w2w_pt_writer_to_bytes(writer, &error);
    W2wPtValue *value;

    g_assert_no_error(error);
    value = w2w_pt_open_bytes(bytes, "what was written", &error);
    g_assert_no_error(error);
    return value;
}

static void test_every_dtype(void)
{
    g_autoptr(W2wPtWriter) writer = w2w_pt_writer_new();
    g_autoptr(W2wPtValue) value = NULL;

    for (W2wDType dtype = 0; dtype <= W2W_DTYPE_BOOL; dtype++) {
        g_autoptr(W2wArray) array = make_array(dtype);

        w2w_pt_writer_add(writer, w2w_dtype_name(dtype), array);
    }
    value = read_back(writer);
    g_assert_cmpint(w2w_pt_value_get_type(value), ==, W2W_PT_DICT);
    g_assert_cmpuint(w2w_pt_value_get_length(value), ==, W2W_DTYPE_BOOL + 1);
    for (W2wDType dtype = 0; dtype <= W2W_DTYPE_BOOL; dtype++) {
        const W2wArray *array = w2w_pt_value_get_array(w2w_pt_value_get_item(value, dtype));
        const gint64 shape[] = {2, 3};

        g_assert_cmpstr(w2w_pt_value_get_string(w2w_pt_value_get_key(value, dtype)), ==,
                        w2w_dtype_name(dtype));
        g_assert_cmpint(array->dtype, ==, dtype);
        g_assert_true(w2w_array_has_shape(array, 2, shape));
        g_assert_cmpmem(array->data, 6 * w2w_dtype_size(dtype), numbers, 6 * w2w_dtype_size(dtype));
    }
}

/* Transposed, a scalar, and one without elements. */
static void test_shapes(void)
{
    const gint64 shape[] = {3, 2}, stride[] = {1, 3}, empty_shape[] = {0, 5};
    g_autoptr(GBytes) bytes = g_bytes_new_static(numbers, sizeof(numbers));
    g_autoptr(GBytes) no_bytes = g_bytes_new(NULL, 0);
    g_autoptr(W2wArray) transposed =
        w2w_array_new_view(W2W_DTYPE_U8, 2, shape, stride, bytes, 0, "transposed", NULL);
    g_autoptr(W2wArray) scalar =
        w2w_array_new_view(W2W_DTYPE_U8, 0, NULL, NULL, bytes, 6, "scalar", NULL);
    g_autoptr(W2wArray) empty =
        w2w_array_new_view(W2W_DTYPE_F32, 2, empty_shape, NULL, no_bytes, 0, "empty", NULL);
    g_autoptr(W2wPtWriter) writer = w2w_pt_writer_new();
    g_autoptr(W2wPtValue) value = NULL;
    const W2wArray *array;

    w2w_pt_writer_add(writer, "transposed", transposed);
    w2w_pt_writer_add(writer, "scalar", scalar);
    w2w_pt_writer_add(writer, "empty", empty);
    value = read_back(writer);
    array = w2w_pt_value_get_array(w2w_pt_value_lookup(value, "transposed"));
    g_assert_true(w2w_array_is_contiguous(array));
    for (gint64 i = 0; i < 6; i++)
        g_assert_cmpfloat(w2w_array_get(array, i), ==, w2w_array_get(transposed, i));
    array = w2w_pt_value_get_array(w2w_pt_value_lookup(value, "scalar"));
    g_assert_cmpuint(array->n_dims, ==, 0);
    g_assert_cmpfloat(w2w_array_get(array, 0), ==, 7);
    array = w2w_pt_value_get_array(w2w_pt_value_lookup(value, "empty"));
    g_assert_true(w2w_array_has_shape(array, 2, empty_shape));
}

static void test_nesting(void)
{
    g_autoptr(W2wPtWriter) writer = w2w_pt_writer_new();
    g_autoptr(W2wArray) array = make_array(W2W_DTYPE_F16);
    g_autoptr(W2wPtValue) value = NULL;
    const W2wPtValue *state;

    w2w_pt_writer_add_int(writer, "global_step", G_GINT64_CONSTANT(-123456789012));
    w2w_pt_writer_begin_dict(writer, "state_dict");
    w2w_pt_writer_add(writer, "größe.weight", array);
    w2w_pt_writer_end_dict(writer);
    w2w_pt_writer_add_int(writer, "epoch", -7);
    value = read_back(writer);
    g_assert_cmpuint(w2w_pt_value_get_length(value), ==, 3);
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_lookup(value, "global_step")), ==,
                    G_GINT64_CONSTANT(-123456789012));
    g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_lookup(value, "epoch")), ==, -7);
    state = w2w_pt_value_lookup(value, "state_dict");
    g_assert_cmpuint(w2w_pt_value_get_length(state), ==, 1);
    g_assert_nonnull(w2w_pt_value_lookup(state, "größe.weight"));
}

/* A file on the disk, of one bare tensor, whose data a reader can map. */
static void test_bare_tensor(void)
{
    g_autoptr(W2wArray) array = make_array(W2W_DTYPE_F32);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = w2w_pt_write_array(array, &error);
    g_autofree char *folder = g_dir_make_tmp("w2w-pt-writer-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "w2wmodel.pt", NULL);
    g_autoptr(W2wArray) read = NULL;
    g_autoptr(W2wZip) zip = NULL;
    g_autoptr(GBytes) data = NULL;

    g_assert_no_error(error);
    g_file_set_contents(path, g_bytes_get_data(bytes, NULL), (gssize)g_bytes_get_size(bytes),
                        &error);
    g_assert_no_error(error);
    read = w2w_pt_open_array(path, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(read->data, 24, numbers, 24);
    zip = w2w_zip_open(bytes, "w2wmodel.pt", &error);
    g_assert_no_error(error);
    data = w2w_zip_read(zip, "archive/data/0", 24, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(
        ((const char *)g_bytes_get_data(data, NULL) - (const char *)g_bytes_get_data(bytes, NULL)) %
            64,
        ==, 0);
    g_unlink(path);
    g_rmdir(folder);
}

static void test_save(void)
{
    g_autofree char *folder = g_dir_make_tmp("w2w-pt-writer-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "model.bin", NULL);
    g_autofree char *nowhere = g_build_filename(folder, "nothing", "model.bin", NULL);
    g_autoptr(W2wArray) array = make_array(W2W_DTYPE_BF16);
    g_autoptr(W2wPtWriter) writer = w2w_pt_writer_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autofree char *saved = NULL;
    gsize n_saved;

    w2w_pt_writer_add(writer, "weight", array);
    g_assert_true(w2w_pt_writer_save(writer, path, &error));
    g_assert_no_error(error);
    bytes = w2w_pt_writer_to_bytes(writer, &error);
    g_assert_no_error(error);
    g_file_get_contents(path, &saved, &n_saved, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(saved, n_saved, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    g_assert_false(w2w_pt_writer_save(writer, nowhere, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_unlink(path);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pt_writer/every_dtype_comes_back", test_every_dtype);
    g_test_add_func("/pt_writer/transposed_scalar_and_empty_arrays", test_shapes);
    g_test_add_func("/pt_writer/dictionaries_and_numbers_inside_of_one_another", test_nesting);
    g_test_add_func("/pt_writer/a_bare_tensor_lies_where_it_can_be_mapped", test_bare_tensor);
    g_test_add_func("/pt_writer/saving_is_the_same_bytes_or_an_error", test_save);
    return g_test_run();
}
