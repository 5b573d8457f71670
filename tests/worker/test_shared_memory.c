/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values that are too large for a message go beside it, and arrive as they were. */
#include <signal.h>
#include <unistd.h>

#include "client/shared_memory.h"
#include "engine/error.h"
#include "engine/formats/png.h"
#include "tests/worker/worker_fixture.h"

/* A value of `size` bytes. */
static GVariant *make_values(gsize size)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);
    guint8 *bytes = g_malloc(size);

    for (gsize i = 0; i < size; i++)
        bytes[i] = (guint8)(i * 7 + i / 251);
    g_variant_dict_insert_value(
        &values, "image",
        g_variant_new_from_data(G_VARIANT_TYPE_BYTESTRING, bytes, size, TRUE, g_free, bytes));
    g_variant_dict_insert(&values, "steps", "i", 4);
    return g_variant_ref_sink(g_variant_dict_end(&values));
}

static void test_there_and_back(void)
{
    const gsize sizes[] = {0, 1, W2W_SHARED_MEMORY_LEAST - 1, W2W_SHARED_MEMORY_LEAST,
                           3 * W2W_SHARED_MEMORY_LEAST + 5};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GVariant) values = make_values(sizes[i]);
        g_autoptr(GUnixFDList) descriptors = g_unix_fd_list_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(GVariant) packed = w2w_shared_memory_pack(values, descriptors, &error);
        g_autoptr(GVariant) back = NULL;

        g_assert_no_error(error);
        g_assert_cmpint(g_unix_fd_list_get_length(descriptors), ==,
                        sizes[i] >= W2W_SHARED_MEMORY_LEAST);
        g_assert_cmpuint(g_variant_get_size(packed), <, W2W_SHARED_MEMORY_LEAST + 1000);
        back = w2w_shared_memory_unpack(packed, descriptors, &error);
        g_assert_no_error(error);
        g_assert_true(g_variant_equal(back, values));
    }
}

static void refuse(gint handle, guint64 size, GUnixFDList *descriptors, int code)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);
    g_autoptr(GError) error = NULL;

    g_variant_dict_insert(&values, "image", "(ht)", handle, size);
    g_assert_null(w2w_shared_memory_unpack(g_variant_dict_end(&values), descriptors, &error));
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
}

/* What another program says need not be so. */
static void test_refused(void)
{
    g_autoptr(GUnixFDList) descriptors = g_unix_fd_list_new();
    const int descriptor = w2w_shared_memory_new("abc", 3);

    g_assert_cmpint(descriptor, >=, 0);
    g_assert_cmpint(g_unix_fd_list_append(descriptors, descriptor, NULL), ==, 0);
    refuse(0, 4, descriptors, W2W_ERROR_USAGE);
    refuse(1, 3, descriptors, W2W_ERROR_USAGE);
    refuse(-1, 3, descriptors, W2W_ERROR_USAGE);
    refuse(0, 3, NULL, W2W_ERROR_USAGE);
    refuse(0, W2W_SHARED_MEMORY_MOST + 1, descriptors, W2W_ERROR_MEMORY);
    refuse(0, G_MAXUINT64, descriptors, W2W_ERROR_MEMORY);
    /* Nobody can change it any more. */
    g_assert_cmpint(ftruncate(descriptor, 2), !=, 0);
    g_assert_cmpint(write(descriptor, "x", 1), <, 0);
    close(descriptor);
}

/* Noise, which no packing makes smaller. */
static GBytes *make_large_picture(void)
{
    const guint side = 640;
    g_autofree guint8 *pixels = g_malloc(3 * (gsize)side * side);
    GError *error = NULL;
    GRand *rand = g_rand_new_with_seed(5);
    GBytes *png;

    for (gsize i = 0; i < 3 * (gsize)side * side; i++)
        pixels[i] = (guint8)g_rand_int(rand);
    g_rand_free(rand);
    png = w2w_png_encode(pixels, side, side, 3, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_bytes_get_size(png), >, W2W_SHARED_MEMORY_LEAST);
    return png;
}

static void test_through_the_worker(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    g_autoptr(GBytes) picture = make_large_picture();
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);
    GError *error = NULL;

    g_variant_dict_insert_value(&values, "init-image",
                                g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, picture, TRUE));
    g_variant_dict_insert(&values, "strength", "d", 0.5);
    g_variant_dict_insert(&values, "steps", "i", 4);
    w2w_client_run(client, "render", g_variant_dict_end(&values), worker_fixture_add_result,
                   results, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(results->len, ==, 1);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

int main(int argc, char **argv)
{
    worker_fixture_begin(&argc, &argv);
    g_test_add_func("/worker/shared-memory/there-and-back", test_there_and_back);
    g_test_add_func("/worker/shared-memory/refused", test_refused);
    g_test_add_func("/worker/shared-memory/through-the-worker", test_through_the_worker);
    return worker_fixture_end(g_test_run());
}
