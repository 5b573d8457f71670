/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Spaces as one file: the same numbers as in the folder; parts missing or wrong; gigabytes. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/formats/safetensors.h"
#include "engine/w2w/people.h"
#include "engine/w2w/space_file.h"
#include "engine/w2w/world.h"
#include "tests/w2w/pt_files.h"
#include "tests/w2w/space_folder.h"

static W2wSpace *open_space(const char *path)
{
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_space_open(path, &error);

    g_assert_no_error(error);
    return space;
}

/* The embedded world's space as one file in `folder`. Caller frees. */
static char *save_embedded(const char *folder)
{
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) space = open_space(embedded);
    char *path = g_build_filename(folder, "space.safetensors", NULL);
    g_autofree char *card = w2w_world_find_card(embedded);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(card);
    w2w_space_save(space, path, card, NULL, &error);
    g_assert_no_error(error);
    return path;
}

static void assert_same_theta(W2wSpace *first, W2wSpace *second, const float *coefficients, guint n)
{
    const gsize n_weights = (gsize)w2w_space_get_n_weights(first);
    g_autofree float *a = g_new(float, n_weights);
    g_autofree float *b = g_new(float, n_weights);
    g_autoptr(GError) error = NULL;

    w2w_space_unproject(first, coefficients, n, a, &error);
    g_assert_no_error(error);
    w2w_space_unproject(second, coefficients, n, b, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(a, n_weights * sizeof *a, b, n_weights * sizeof *b);
}

static void test_same_as_folder(void)
{
    char *folder = make_folder();
    g_autofree char *path = save_embedded(folder);
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) first = open_space(embedded);
    g_autoptr(W2wSpace) second = open_space(path);
    const guint p = w2w_space_get_n_with_statistics(first);
    const guint k = w2w_space_get_n_components(first);
    const char *const *names = w2w_space_get_attributes(first);
    g_autofree float *person = g_new0(float, k);
    g_autofree float *again = g_new(float, k);
    g_autofree float *theta = g_new(float, (gsize)w2w_space_get_n_weights(first));
    g_autoptr(GError) error = NULL;
    guint n_keys, n_other, n_missing;
    const W2wSpaceKey *keys = w2w_space_get_keys(first, &n_keys);
    const W2wSpaceKey *other = w2w_space_get_keys(second, &n_other);

    g_assert_cmpstr(w2w_space_get_fingerprint(first), ==, w2w_space_get_fingerprint(second));
    g_assert_cmpfloat(w2w_space_get_lora_scale(first), ==, w2w_space_get_lora_scale(second));
    g_assert_cmpuint(w2w_space_get_n_with_statistics(second), ==, p);
    w2w_space_get_missing(second, &n_missing);
    g_assert_cmpuint(n_missing, ==, 0);
    for (gint64 row = 0; row < w2w_space_get_n_people(first); row += 97) {
        w2w_space_get_person(first, row, person, &error);
        w2w_space_get_person(second, row, again, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(person, p * sizeof *person, again, p * sizeof *again);
        g_assert_cmpstr(w2w_space_get_person_name(first, row), ==,
                        w2w_space_get_person_name(second, row));
        g_assert_cmpstr(w2w_space_get_person_file(first, row), ==,
                        w2w_space_get_person_file(second, row));
        assert_same_theta(first, second, person, k);
        assert_same_theta(first, second, person, 3);
    }
    w2w_space_unproject(first, person, k, theta, &error);
    g_assert_no_error(error);
    w2w_space_project(first, theta, person, &error);
    w2w_space_project(second, theta, again, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(person, k * sizeof *person, again, k * sizeof *again);
    g_assert_true(g_strv_equal(names, w2w_space_get_attributes(second)));
    g_assert_nonnull(names[0]);
    for (; *names != NULL; names++) {
        W2wScoreRange a, b;

        g_assert_cmpmem(w2w_space_get_direction(first, *names, NULL), p * sizeof(double),
                        w2w_space_get_direction(second, *names, NULL), p * sizeof(double));
        g_assert_true(w2w_space_get_score_range(first, *names, &a, NULL));
        g_assert_true(w2w_space_get_score_range(second, *names, &b, NULL));
        g_assert_cmpmem(&a, sizeof a, &b, sizeof b);
        g_assert_cmpmem(
            w2w_space_get_labels(first, *names, NULL), (gsize)w2w_space_get_n_people(first),
            w2w_space_get_labels(second, *names, NULL), (gsize)w2w_space_get_n_people(first));
    }
    g_assert_cmpuint(n_keys, >, 0);
    g_assert_cmpuint(n_keys, ==, n_other);
    for (guint i = 0; i < n_keys; i++) {
        g_assert_cmpstr(keys[i].path, ==, other[i].path);
        g_assert_cmpint(keys[i].is_b, ==, other[i].is_b);
        g_assert_cmpint(keys[i].offset, ==, other[i].offset);
    }
    remove_folder(folder);
}

/* Of a file, of rows and of columns: always the same bytes. */
static void test_saved_again(void)
{
    char *folder = make_folder();
    g_autofree char *path = save_embedded(folder);
    g_autofree char *copy = g_build_filename(folder, "copy.safetensors", NULL);
    g_autoptr(W2wSpace) space = open_space(path);
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    gsize n_first, n_second;
    g_autoptr(GError) error = NULL;

    w2w_space_save(space, copy, NULL, NULL, &error);
    g_assert_no_error(error);
    g_file_get_contents(path, &first, &n_first, &error);
    g_file_get_contents(copy, &second, &n_second, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(first, n_first, second, n_second);
    remove_folder(folder);
}

/* The card comes along: a model and the file are a world of that name. */
static void test_card(void)
{
    char *folder = make_folder();
    g_autofree char *path = save_embedded(folder);
    g_autofree char *model = g_build_filename(w2w_world_get_default_directory(), "model", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wWorld) embedded = w2w_world_open(w2w_world_get_default_directory(), &error);
    g_autoptr(W2wWorld) parts = NULL;
    g_autoptr(W2wWorld) whole = NULL;
    const W2wWorldCard *card, *other;

    g_assert_no_error(error);
    parts = w2w_world_open_parts(model, path, &error);
    g_assert_no_error(error);
    card = w2w_world_get_card(embedded);
    other = w2w_world_get_card(parts);
    g_assert_cmpstr(card->name, ==, other->name);
    g_assert_cmpint(card->steps, ==, other->steps);
    g_assert_cmpuint(card->directions->len, ==, other->directions->len);
    for (guint i = 0; i < card->directions->len; i++)
        g_assert_cmpstr(((const W2wDirectionCard *)card->directions->pdata[i])->label, ==,
                        ((const W2wDirectionCard *)other->directions->pdata[i])->label);

    /* And a folder of a model and the file is one without a world.json. */
    link_file(folder, "model", model);
    whole = w2w_world_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(w2w_world_get_card(whole)->name, ==, card->name);
    remove_folder(folder);
}

/* A copy of `path` without one tensor or piece of metadata, or with metadata of another value. */
static char *change_file(const char *folder, const char *path, const char *tensor,
                         W2wArray *replacement, const char *key, const char *value)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(path, &error);
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    char *changed = g_build_filename(folder, "changed.safetensors", NULL);
    GHashTableIter iter;
    gpointer name, text;

    g_assert_no_error(error);
    g_hash_table_iter_init(&iter, w2w_safetensors_get_all_metadata(file));
    while (g_hash_table_iter_next(&iter, &name, &text)) {
        if (g_strcmp0(name, key) != 0)
            w2w_safetensors_writer_set_metadata(writer, name, text);
        else if (value != NULL)
            w2w_safetensors_writer_set_metadata(writer, name, value);
    }
    for (const char *const *each = w2w_safetensors_get_keys(file); *each != NULL; each++) {
        if (g_strcmp0(*each, tensor) != 0)
            w2w_safetensors_writer_add(writer, *each, w2w_safetensors_peek(file, *each));
        else if (replacement != NULL)
            w2w_safetensors_writer_add(writer, *each, replacement);
    }
    w2w_safetensors_writer_save(writer, changed, &error);
    g_assert_no_error(error);
    return changed;
}

static gboolean is_missing(const W2wSpace *space, const char *name)
{
    guint n;
    const W2wSpaceMissing *missing = w2w_space_get_missing(space, &n);

    for (guint i = 0; i < n; i++) {
        g_assert_cmpuint(strlen(missing[i].needed_for), >, 0);
        if (strstr(missing[i].name, name) != NULL)
            return TRUE;
    }
    return FALSE;
}

/* What is not there is named, and the rest works. */
static void test_missing_parts(void)
{
    static const struct {
        const char *tensor, *key, *missing;
        gboolean has_people, has_names, has_directions;
    } cases[] = {
        {"projections", NULL, "projections", FALSE, FALSE, FALSE},
        {"labels", NULL, "labels", TRUE, TRUE, FALSE},
        {"people", NULL, NULL, TRUE, FALSE, TRUE},
        {"files", NULL, NULL, TRUE, TRUE, TRUE},
        {"directions", NULL, NULL, TRUE, TRUE, TRUE}, /* computed anew */
        {"score_ranges", NULL, NULL, TRUE, TRUE, TRUE},
        {NULL, "keys", "keys", TRUE, TRUE, TRUE},
        {NULL, "lora_scale", "lora_scale", TRUE, TRUE, TRUE},
        {NULL, "card", NULL, TRUE, TRUE, TRUE},
    };
    char *folder = make_folder();
    g_autofree char *path = save_embedded(folder);
    g_autoptr(W2wSpace) whole = open_space(path);
    g_autofree float *theta = g_new(float, (gsize)w2w_space_get_n_weights(whole));
    g_autofree float *person = g_new0(float, w2w_space_get_n_components(whole));
    const char *attribute = w2w_space_get_attributes(whole)[0];

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *changed =
            change_file(folder, path, cases[i].tensor, NULL, cases[i].key, NULL);
        g_autoptr(W2wSpace) space = open_space(changed);
        g_autoptr(GError) error = NULL;

        g_test_message("without %s", cases[i].tensor != NULL ? cases[i].tensor : cases[i].key);
        g_assert_true(cases[i].missing == NULL || is_missing(space, cases[i].missing));
        g_assert_true(w2w_space_unproject(space, person, 5, theta, &error));
        g_assert_cmpint(w2w_space_sample(space, 1.0, 3, person, NULL), ==, cases[i].has_people);
        g_assert_cmpint(w2w_space_get_person_name(space, 0) != NULL, ==, cases[i].has_names);
        g_assert_cmpint(w2w_space_get_direction(space, attribute, NULL) != NULL, ==,
                        cases[i].has_directions);
        if (cases[i].has_directions) { /* stored ones come from the pseudo-inverse's float32 */
            const double *a = w2w_space_get_direction(space, attribute, NULL);
            const double *b = w2w_space_get_direction(whole, attribute, NULL);
            double largest = 0.0;

            for (guint j = 0; j < w2w_space_get_n_with_statistics(space); j++)
                largest = MAX(largest, fabs(b[j]));
            for (guint j = 0; j < w2w_space_get_n_with_statistics(space); j++)
                g_assert_cmpfloat_with_epsilon(a[j], b[j], 1e-5 * largest);
        }
    }
    remove_folder(folder);
}

static W2wArray *floats(gint64 n_rows, gint64 n_columns, float value)
{
    g_autofree float *values = g_new(float, (gsize)(n_rows * n_columns));
    g_autoptr(GError) error = NULL;
    W2wArray *array;

    for (gint64 i = 0; i < n_rows * n_columns; i++)
        values[i] = value;
    array = w2w_array_new_f32(2, (const gint64[]){n_rows, n_columns}, values, &error);
    g_assert_no_error(error);
    return array;
}

static void test_bad_files(void)
{
    static const struct {
        const char *tensor; /* left out, or 3 × 3 with this value where has_value */
        gboolean has_value;
        float value;
        const char *key, *text;
        W2wError code;
        const char *word;
    } cases[] = {
        {"mean", FALSE, 0, NULL, NULL, W2W_ERROR_FORMAT, "mean"},
        {"std", FALSE, 0, NULL, NULL, W2W_ERROR_FORMAT, "std"},
        {"components", FALSE, 0, NULL, NULL, W2W_ERROR_FORMAT, "components"},
        {"mean", TRUE, 1, NULL, NULL, W2W_ERROR_FORMAT, "(3, 3)"},
        {"components", TRUE, 1, NULL, NULL, W2W_ERROR_MISMATCH, "“components”"},
        {"projections", TRUE, NAN, NULL, NULL, W2W_ERROR_FORMAT, "not finite"},
        {"labels", TRUE, 1, NULL, NULL, W2W_ERROR_MISMATCH, "“labels”"},
        {"directions", TRUE, 1, NULL, NULL, W2W_ERROR_MISMATCH, "“directions”"},
        {"people", TRUE, 1, NULL, NULL, W2W_ERROR_FORMAT, "“people”"},
        {NULL, FALSE, 0, "format", "w2w-identity", W2W_ERROR_FORMAT, "w2w-space"},
        {NULL, FALSE, 0, "format", NULL, W2W_ERROR_FORMAT, "w2w-space"},
        {NULL, FALSE, 0, "version", "2", W2W_ERROR_UNSUPPORTED, "version is 2"},
        {NULL, FALSE, 0, "lora_scale", "-3", W2W_ERROR_FORMAT, "lora_scale"},
        {NULL, FALSE, 0, "lora_scale", "many", W2W_ERROR_FORMAT, "lora_scale"},
        {NULL, FALSE, 0, "attributes", "[\"Young\"]", W2W_ERROR_MISMATCH, "“labels”"},
        {NULL, FALSE, 0, "attributes", "[", W2W_ERROR_FORMAT, "JSON"},
        {NULL, FALSE, 0, "keys", "[[\"a\", \"A\", 3]]", W2W_ERROR_FORMAT, "lora_B"},
        {NULL, FALSE, 0, "keys", "[[\"a\", \"C\", 3]]", W2W_ERROR_FORMAT, "“keys”"},
        {NULL, FALSE, 0, "keys", "[[\"a\", \"A\", 3], [\"a\", \"B\", 3]]", W2W_ERROR_MISMATCH,
         "“keys”"},
        {NULL, FALSE, 0, "keys", "{}", W2W_ERROR_FORMAT, "list"},
        {NULL, FALSE, 0, "card", "[]", W2W_ERROR_FORMAT, "card"},
    };
    char *folder = make_folder();
    g_autofree char *path = save_embedded(folder);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wArray) replacement = cases[i].has_value ? floats(3, 3, cases[i].value) : NULL;
        g_autofree char *changed =
            change_file(folder, path, cases[i].tensor, replacement, cases[i].key, cases[i].text);
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wSpace) space = w2w_space_open(changed, &error);

        g_assert_null(space);
        g_assert_error(error, W2W_ERROR, (gint)cases[i].code);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, cases[i].word));
        g_assert_nonnull(strstr(error->message, changed));
    }
    remove_folder(folder);
}

/* --- gigabytes --- */

/* upstream's numbers */
enum { N = 99648, K = 10000, N_USED = 3 };

static gint64 resident_bytes(void)
{
    g_autofree char *text = NULL;
    long size = 0, resident = 0;

    g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    g_assert_cmpint(sscanf(text, "%ld %ld", &size, &resident), ==, 2);
    return (gint64)resident * sysconf(_SC_PAGESIZE);
}

static float *make_column_values(void)
{
    float *values = g_new(float, (gsize)N_USED *N);

    for (guint i = 0; i < N_USED * N; i++)
        values[i] = (float)(i % 1000) / 1000.0f;
    return values;
}

static void write_mean_and_std(const char *folder)
{
    g_autofree float *ones = g_new(float, N);

    for (guint i = 0; i < N; i++)
        ones[i] = 1.0f;
    write_pt_vector(folder, "mean.pt", ones, N);
    write_pt_vector(folder, "std.pt", ones, N);
}

/* Opens at once, and a few components cost what they are, not what the file is. */
static void check_large(const char *path, const float *columns)
{
    const float coefficients[N_USED] = {1.0f, -2.0f, 0.5f};
    const gint64 start = g_get_monotonic_time(), before = resident_bytes();
    g_autoptr(W2wSpace) space = open_space(path);
    g_autofree float *theta = g_new(float, N);
    g_autoptr(GError) error = NULL;
    double seconds;

    w2w_space_get_fingerprint(space);
    seconds = (double)(g_get_monotonic_time() - start) / 1e6;
    g_test_message("opened in %.3f s", seconds);
    g_assert_cmpfloat(seconds, <, 1.0); /* 0.02 s; a walk over 4 GB takes seconds */
    g_assert_cmpuint(w2w_space_get_n_components(space), ==, K);
    w2w_space_unproject(space, coefficients, N_USED, theta, &error);
    g_assert_no_error(error);
    for (guint i = 0; i < N; i += 17)
        g_assert_cmpfloat_with_epsilon(
            theta[i], 1.0 + columns[i] - 2.0 * columns[N + i] + 0.5 * columns[2 * N + i], 1e-6);
    g_test_message("%.1f MB resident", (double)(resident_bytes() - before) / 1e6);
    g_assert_cmpint(resident_bytes() - before, <, 64 << 20);
}

/* V as an SVD leaves it: a transposed view, its columns in one piece. */
static void test_large_pt(void)
{
    char *folder = make_folder();
    g_autofree float *columns = make_column_values();

    write_mean_and_std(folder);
    write_pt_sparse_tensor(folder, "V.pt", 2, (const gint64[]){N, K}, (const gint64[]){1, N},
                           (guint64)N * K, columns, (gsize)N_USED * N);
    check_large(folder, columns);
    remove_folder(folder);
}

/* In rows it opens as fast; walking it is a matter of reading the file. */
static void test_large_pt_in_rows(void)
{
    char *folder = make_folder();
    const float first[2] = {0.25f, 0.5f};
    const gint64 start = g_get_monotonic_time(), before = resident_bytes();
    g_autoptr(W2wSpace) space = NULL;

    write_mean_and_std(folder);
    write_pt_sparse_tensor(folder, "V.pt", 2, (const gint64[]){N, K}, (const gint64[]){K, 1},
                           (guint64)N * K, first, 2);
    space = open_space(folder);
    w2w_space_get_fingerprint(space);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * G_USEC_PER_SEC);
    g_assert_cmpint(resident_bytes() - before, <, 64 << 20);
    remove_folder(folder);
}

static void test_large_file(void)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "large.safetensors", NULL);
    g_autofree float *columns = make_column_values();
    g_autofree double *ones = g_new(double, N);
    const guint64 n_vector = (guint64)N * 8, n_components = (guint64)N * K * 4;
    g_autofree char *header = g_strdup_printf(
        "{\"__metadata__\":{\"format\":\"w2w-space\",\"version\":\"1\"},"
        "\"mean\":{\"dtype\":\"F64\",\"shape\":[%d],\"data_offsets\":[0,%" G_GUINT64_FORMAT "]},"
        "\"std\":{\"dtype\":\"F64\",\"shape\":[%d],\"data_offsets\":[%" G_GUINT64_FORMAT
        ",%" G_GUINT64_FORMAT "]},"
        "\"components\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%" G_GUINT64_FORMAT
        ",%" G_GUINT64_FORMAT "]}}",
        N, n_vector, N, n_vector, 2 * n_vector, K, N, 2 * n_vector, 2 * n_vector + n_components);
    const guint64 length = GUINT64_TO_LE((guint64)strlen(header));
    FILE *file = fopen(path, "wb");

    g_assert_nonnull(file);
    for (guint i = 0; i < N; i++)
        ones[i] = 1.0;
    fwrite(&length, 1, sizeof length, file);
    fwrite(header, 1, strlen(header), file);
    fwrite(ones, sizeof *ones, N, file);
    fwrite(ones, sizeof *ones, N, file);
    fwrite(columns, sizeof *columns, (gsize)N_USED * N, file);
    g_assert_cmpint(fflush(file), ==, 0);
    g_assert_cmpint(
        ftruncate(fileno(file), (off_t)(8 + strlen(header) + 2 * n_vector + n_components)), ==, 0);
    g_assert_cmpint(fclose(file), ==, 0);
    check_large(path, columns);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/space-file/same-as-folder", test_same_as_folder);
    g_test_add_func("/space-file/saved-again", test_saved_again);
    g_test_add_func("/space-file/card", test_card);
    g_test_add_func("/space-file/missing-parts", test_missing_parts);
    g_test_add_func("/space-file/bad-files", test_bad_files);
    g_test_add_func("/space-file/large-pt", test_large_pt);
    g_test_add_func("/space-file/large-pt-in-rows", test_large_pt_in_rows);
    g_test_add_func("/space-file/large-file", test_large_file);
    return g_test_run();
}
