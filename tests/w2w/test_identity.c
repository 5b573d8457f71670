/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identity files: what is written is read again, and what is none is refused. */
#include "engine/w2w/identity.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "tests/w2w/space_folder.h"

#define FINGERPRINT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static W2wIdentity *make_identity(void)
{
    g_autoptr(GError) error = NULL;
    W2wIdentity *identity = w2w_identity_new(5, &error);

    g_assert_no_error(error);
    for (guint i = 0; i < 5; i++) {
        g_assert_cmpfloat(identity->coefficients[i], ==, 0.0f);
        identity->coefficients[i] = (float)sin(i + 1.0);
    }
    identity->space_fingerprint = g_strdup(FINGERPRINT);
    identity->recipe = g_strdup("{\"job\": \"sample\", \"note\": \"Größe\"}");
    return identity;
}

static void assert_equal(const W2wIdentity *a, const W2wIdentity *b)
{
    g_assert_cmpmem(a->coefficients, a->n_coefficients * sizeof(float), b->coefficients,
                    b->n_coefficients * sizeof(float));
    g_assert_cmpstr(a->space_fingerprint, ==, b->space_fingerprint);
    g_assert_cmpstr(a->model_fingerprint, ==, b->model_fingerprint);
    g_assert_cmpstr(a->recipe, ==, b->recipe);
}

static void test_round_trip(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity = make_identity();
    g_autoptr(W2wIdentity) copy = w2w_identity_copy(identity, &error);
    g_autoptr(GBytes) bytes = w2w_identity_to_bytes(identity, &error);
    g_autoptr(W2wIdentity) from_bytes = w2w_identity_from_bytes(bytes, "bytes", &error);
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "someone.safetensors", NULL);
    g_autoptr(W2wIdentity) from_file = NULL;

    g_assert_no_error(error);
    assert_equal(identity, copy);
    assert_equal(identity, from_bytes);
    g_assert_true(w2w_identity_save(identity, path, &error));
    from_file = w2w_identity_load(path, &error);
    g_assert_no_error(error);
    assert_equal(identity, from_file);
    remove_folder(folder);
}

/* A file of these parts; `version` or `format` NULL leaves them out. */
static GBytes *make_file(const char *format, const char *version, const char *key,
                         const char *value, W2wArray *coefficients)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(GError) error = NULL;
    GBytes *bytes;

    if (format != NULL)
        w2w_safetensors_writer_set_metadata(writer, "format", format);
    if (version != NULL)
        w2w_safetensors_writer_set_metadata(writer, "version", version);
    if (key != NULL)
        w2w_safetensors_writer_set_metadata(writer, key, value);
    if (coefficients != NULL)
        w2w_safetensors_writer_add(writer, "coefficients", coefficients);
    bytes = w2w_safetensors_writer_to_bytes(writer, &error);
    g_assert_no_error(error);
    return bytes;
}

static void assert_refused(GBytes *bytes, W2wError code, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity = w2w_identity_from_bytes(bytes, "some.safetensors", &error);

    g_assert_null(identity);
    g_assert_error(error, W2W_ERROR, code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, "some.safetensors"));
    g_assert_nonnull(strstr(error->message, word));
    g_bytes_unref(bytes);
}

static void test_refused(void)
{
    g_autoptr(GError) error = NULL;
    const float values[4] = {1.0f, 2.0f, 3.0f, 4.0f}, bad[2] = {1.0f, NAN};
    const gint64 four[1] = {4}, square[2] = {2, 2}, two[1] = {2}, none[1] = {0};
    g_autoptr(W2wArray) good = w2w_array_new_f32(1, four, values, &error);
    g_autoptr(W2wArray) matrix = w2w_array_new_f32(2, square, values, &error);
    g_autoptr(W2wArray) not_finite = w2w_array_new_f32(1, two, bad, &error);
    g_autoptr(W2wArray) empty = w2w_array_new_f32(1, none, values, &error);
    const char *f = "w2w-identity";

    g_assert_no_error(error);
    assert_refused(g_bytes_new_static("nothing", 7), W2W_ERROR_FORMAT, "");
    assert_refused(make_file(NULL, "1", NULL, NULL, good), W2W_ERROR_FORMAT, "no identity");
    assert_refused(make_file("pt", "1", NULL, NULL, good), W2W_ERROR_FORMAT, "no identity");
    assert_refused(make_file(f, NULL, NULL, NULL, good), W2W_ERROR_FORMAT, "version");
    assert_refused(make_file(f, "one", NULL, NULL, good), W2W_ERROR_FORMAT, "version");
    assert_refused(make_file(f, "2", NULL, NULL, good), W2W_ERROR_UNSUPPORTED, "newer");
    assert_refused(make_file(f, "1", NULL, NULL, NULL), W2W_ERROR_FORMAT, "coefficients");
    assert_refused(make_file(f, "1", NULL, NULL, matrix), W2W_ERROR_FORMAT, "(2, 2)");
    assert_refused(make_file(f, "1", NULL, NULL, empty), W2W_ERROR_FORMAT, "(0)");
    assert_refused(make_file(f, "1", NULL, NULL, not_finite), W2W_ERROR_FORMAT, "finite");
    assert_refused(make_file(f, "1", "space_fingerprint", "abc", good), W2W_ERROR_FORMAT,
                   "space_fingerprint");
    assert_refused(make_file(f, "1", "model_fingerprint", "../../etc", good), W2W_ERROR_FORMAT,
                   "model_fingerprint");
    assert_refused(make_file(f, "1", "recipe", "[1]", good), W2W_ERROR_FORMAT, "recipe");
    assert_refused(make_file(f, "1", "recipe", "{", good), W2W_ERROR_FORMAT, "recipe");
}

static void test_too_many(void)
{
    const gsize n = W2W_IDENTITY_MAX_COEFFICIENTS + 1;
    const gint64 shape[1] = {(gint64)n};
    g_autofree float *zeros = g_new0(float, n);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) array = w2w_array_new_f32(1, shape, zeros, &error);

    g_assert_no_error(error);
    assert_refused(make_file("w2w-identity", "1", NULL, NULL, array), W2W_ERROR_FORMAT,
                   "1 to 1000000");
}

static void test_missing(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_identity_load("/nowhere/someone.safetensors", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "/nowhere/someone.safetensors"));
}

static void test_check(void)
{
    g_autofree char *directory = embedded_space();
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = w2w_space_open(directory, &error);
    g_autoptr(W2wIdentity) identity = make_identity();
    g_autoptr(W2wIdentity) longer = w2w_identity_new(w2w_space_get_n_components(space) + 1, &error);

    g_assert_no_error(error);
    g_assert_false(w2w_identity_check(identity, space, "someone", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_assert_nonnull(strstr(error->message, "someone"));
    g_clear_error(&error);
    g_free(identity->space_fingerprint);
    identity->space_fingerprint = g_strdup(w2w_space_get_fingerprint(space));
    g_assert_true(w2w_identity_check(identity, space, "someone", &error));
    g_clear_pointer(&identity->space_fingerprint, g_free);
    g_assert_true(w2w_identity_check(identity, space, "someone", &error));
    g_assert_no_error(error);
    g_assert_false(w2w_identity_check(longer, space, "someone", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/identity/round-trip", test_round_trip);
    g_test_add_func("/identity/refused", test_refused);
    g_test_add_func("/identity/too-many-coefficients", test_too_many);
    g_test_add_func("/identity/missing-file", test_missing);
    g_test_add_func("/identity/of-another-space", test_check);
    return g_test_run();
}
