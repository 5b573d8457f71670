/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Weights by name: what is missing, misshapen or left over, and the fingerprint. */
#include "engine/models/weights.h"

#include <glib/gstdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "engine/models/part_files.h"

static const char *const fields[] = {"hidden_size", "layers", NULL};

typedef struct {
    char *folder;
    W2wConfig *config;
} Fixture;

static void write_text(const Fixture *fixture, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

static void set_up(Fixture *fixture, gconstpointer data)
{
    g_autofree char *config = NULL;
    g_autoptr(JsonObject) settings = NULL;
    g_autoptr(GError) error = NULL;

    fixture->folder = g_dir_make_tmp("w2w-weights-XXXXXX", &error);
    g_assert_no_error(error);
    write_text(fixture, "config.json", "{\"hidden_size\": 3}");
    config = g_build_filename(fixture->folder, "config.json", NULL);
    settings = w2w_json_load(config, &error);
    g_assert_no_error(error);
    fixture->config = w2w_config_new(settings, config);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GDir) dir = g_dir_open(fixture->folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(fixture->folder, name, NULL);

        g_unlink(path);
    }
    g_rmdir(fixture->folder);
    g_free(fixture->folder);
    w2w_config_free(fixture->config);
}

/* Two arrays, "a" (2,3) and "b" (3), the last of which holds `last`. In either order. */
static void write_weights(const Fixture *fixture, const char *name, float last, gboolean b_first)
{
    const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8, last};
    const gint64 a_shape[] = {2, 3}, b_shape[] = {3};
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) a_array = w2w_array_new_f32(2, a_shape, a, &error);
    g_autoptr(W2wArray) b_array = w2w_array_new_f32(1, b_shape, b, &error);
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();

    if (b_first)
        w2w_safetensors_writer_add(writer, "b", b_array);
    w2w_safetensors_writer_add(writer, "a", a_array);
    if (!b_first)
        w2w_safetensors_writer_add(writer, "b", b_array);
    w2w_safetensors_writer_save(writer, path, &error);
    g_assert_no_error(error);
}

static W2wWeights *try_open(const Fixture *fixture, GError **error)
{
    g_autoptr(W2wConfig) config = NULL;
    W2wWeights *weights = NULL;

    return w2w_part_open(fixture->folder, W2W_PART_UNET, &config, &weights, error) ? weights : NULL;
}

static W2wWeights *open_weights(const Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    W2wWeights *weights = try_open(fixture, &error);

    g_assert_no_error(error);
    return weights;
}

static void test_all_there(Fixture *fixture, gconstpointer data)
{
    g_autoptr(W2wWeights) weights = NULL;
    g_autoptr(GError) error = NULL;
    W2wArray *array;

    write_weights(fixture, "model.safetensors", 9, FALSE);
    weights = open_weights(fixture);
    array = w2w_weights_get(weights, "a", 2, 3, -1);
    g_assert_cmpfloat(w2w_array_get(array, 5), ==, 6);
    w2w_weights_get(weights, "b", 3, -1);
    g_assert_true(w2w_weights_check(weights, fixture->config, fields, &error));
    g_assert_no_error(error);
}

/* The error names the file, the array, and the fields of the config with their values. */
static void expect_error(const Fixture *fixture, const W2wWeights *weights, const char *name,
                         const char *shape)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_weights_check(weights, fixture->config, fields, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, w2w_weights_get_path(weights)));
    g_assert_nonnull(strstr(error->message, w2w_config_get_path(fixture->config)));
    g_assert_nonnull(strstr(error->message, name));
    g_assert_nonnull(strstr(error->message, shape));
    g_assert_nonnull(strstr(error->message, "hidden_size 3, layers not given"));
}

static void test_missing(Fixture *fixture, gconstpointer data)
{
    g_autoptr(W2wWeights) weights = NULL;
    W2wArray *zeros;

    write_weights(fixture, "model.safetensors", 9, FALSE);
    weights = open_weights(fixture);
    w2w_weights_get(weights, "a", 2, 3, -1);
    w2w_weights_get(weights, "b", 3, -1);
    /* 256 GB of zeros cost nothing. */
    zeros = w2w_weights_get(weights, "missing", 1 << 18, 1 << 18, -1);
    g_assert_cmpint(zeros->n_elements, ==, (gint64)1 << 36);
    g_assert_cmpfloat(w2w_array_get(zeros, zeros->n_elements - 1), ==, 0);
    expect_error(fixture, weights, "\"missing\"", "(262144, 262144)");
}

static void test_misshapen(Fixture *fixture, gconstpointer data)
{
    g_autoptr(W2wWeights) weights = NULL;
    W2wArray *array;

    write_weights(fixture, "model.safetensors", 9, FALSE);
    weights = open_weights(fixture);
    array = w2w_weights_get(weights, "a", 3, 2, -1);
    g_assert_cmpint(array->shape[0], ==, 3);
    w2w_weights_get(weights, "later", 1, -1); /* the first one is reported */
    expect_error(fixture, weights, "\"a\"", "(3, 2)");
}

static void test_left_over(Fixture *fixture, gconstpointer data)
{
    g_autoptr(W2wWeights) weights = NULL;

    write_weights(fixture, "model.safetensors", 9, FALSE);
    weights = open_weights(fixture);
    w2w_weights_get(weights, "a", 2, 3, -1);
    expect_error(fixture, weights, "\"b\"", "no place");
}

static void test_integers(Fixture *fixture, gconstpointer data)
{
    static const gint64 values[] = {1, 2, 3}, shape[] = {3};
    g_autofree char *path = g_build_filename(fixture->folder, "model.safetensors", NULL);
    g_autoptr(GBytes) bytes = g_bytes_new_static(values, sizeof(values));
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) array =
        w2w_array_new_view(W2W_DTYPE_I64, 1, shape, NULL, bytes, 0, "ids", &error);
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(W2wWeights) weights = NULL;

    w2w_safetensors_writer_add(writer, "a", array);
    w2w_safetensors_writer_save(writer, path, &error);
    g_assert_no_error(error);
    weights = open_weights(fixture);
    w2w_weights_get(weights, "a", 3, -1);
    expect_error(fixture, weights, "\"a\"", "I64");
}

static char *fingerprint(const Fixture *fixture)
{
    g_autoptr(W2wWeights) weights = open_weights(fixture);

    return g_strdup(w2w_weights_get_fingerprint(weights));
}

/* Of what is in the file, not of how it lies there. */
static void test_fingerprint(Fixture *fixture, gconstpointer data)
{
    g_autofree char *one = NULL;
    g_autofree char *reordered = NULL;
    g_autofree char *other = NULL;

    write_weights(fixture, "model.safetensors", 9, FALSE);
    one = fingerprint(fixture);
    write_weights(fixture, "model.safetensors", 9, TRUE);
    reordered = fingerprint(fixture);
    write_weights(fixture, "model.safetensors", 10, FALSE);
    other = fingerprint(fixture);
    g_assert_cmpuint(strlen(one), ==, 64);
    g_assert_cmpstr(one, ==, reordered);
    g_assert_cmpstr(one, !=, other);
}

/* Deltas add up, change nothing that was given out before, and go away again. */
static void test_deltas(Fixture *fixture, gconstpointer data)
{
    static const float one[] = {1, 0, 0, 0, 0, 0.5f};
    g_autoptr(W2wWeights) weights = NULL;
    g_autoptr(W2wArray) before = NULL;
    g_autoptr(W2wArray) once = NULL;
    g_autoptr(GError) error = NULL;

    write_weights(fixture, "model.safetensors", 9, FALSE);
    weights = open_weights(fixture);
    g_assert_null(w2w_weights_peek(weights, "a")); /* no model asked for it yet */
    before = w2w_array_ref(w2w_weights_get(weights, "a", 2, 3, -1));
    g_assert_true(w2w_weights_add_delta(weights, "a", one, &error));
    g_assert_no_error(error);
    once = w2w_array_ref(w2w_weights_get(weights, "a", 2, 3, -1));
    g_assert_true(w2w_weights_add_delta(weights, "a", one, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(w2w_array_get(before, 5), ==, 6);
    g_assert_cmpfloat(w2w_array_get(once, 5), ==, 6.5);
    g_assert_cmpfloat(w2w_array_get(w2w_weights_peek(weights, "a"), 5), ==, 7);
    g_assert_cmpfloat(w2w_array_get(w2w_weights_peek(weights, "a"), 4), ==, 5);

    g_assert_false(w2w_weights_add_delta(weights, "c", one, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_assert_nonnull(strstr(error->message, "\"c\""));

    w2w_weights_clear_deltas(weights);
    g_assert_cmpfloat(w2w_array_get(w2w_weights_peek(weights, "a"), 5), ==, 6);
}

static void test_no_weights(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(try_open(fixture, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "diffusion_pytorch_model.safetensors"));
    g_clear_error(&error);

    write_text(fixture, "pytorch_model.bin", "no pickle");
    g_assert_null(try_open(fixture, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, "pytorch_model.bin"));
    g_clear_error(&error);

    write_text(fixture, "model.safetensors", "no weights");
    g_assert_null(try_open(fixture, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, "model.safetensors"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*test)(Fixture *fixture, gconstpointer data);
    } tests[] = {
        {"/weights/all_there", test_all_there},
        {"/weights/missing_is_reported", test_missing},
        {"/weights/misshapen_is_reported", test_misshapen},
        {"/weights/left_over_is_reported", test_left_over},
        {"/weights/integers_are_no_weights", test_integers},
        {"/weights/fingerprint_is_of_the_contents", test_fingerprint},
        {"/weights/deltas_add_up_and_go_away", test_deltas},
        {"/weights/folders_without_weights", test_no_weights},
    };

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add(tests[i].path, Fixture, NULL, set_up, tests[i].test, tear_down);
    return g_test_run();
}
