/* SPDX-License-Identifier: GPL-3.0-or-later */
/* People of a space and of a dataset: names, neighbours, and coefficients from their weights. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/people.h"
#include "tests/w2w/pt_files.h"
#include "tests/w2w/space_folder.h"

static W2wSpace *open_space(const char *path)
{
    g_autoptr(GError) error = NULL;
    W2wSpace *space = w2w_space_open(path, &error);

    g_assert_no_error(error);
    return space;
}

static void test_names(void)
{
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) space = open_space(embedded);
    const gint64 row = w2w_space_get_n_people(space) / 3;
    const char *name = w2w_space_get_person_name(space, row);
    const char *file = w2w_space_get_person_file(space, row);
    g_autoptr(GError) error = NULL;

    g_assert_nonnull(name);
    g_assert_nonnull(file);
    g_assert_cmpstr(name, !=, file);
    g_assert_cmpint(w2w_space_find_person(space, name, &error), ==, row);
    g_assert_cmpint(w2w_space_find_person(space, file, &error), ==, row);
    g_assert_no_error(error);
    g_assert_null(w2w_space_get_person_name(space, w2w_space_get_n_people(space)));
    g_assert_null(w2w_space_get_person_name(space, -1));
    g_assert_cmpint(w2w_space_find_person(space, "nobody at all", &error), ==, -1);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

/* By comparing everybody. */
static void check_nearest(W2wSpace *space, const float *coefficients, guint n_given, guint n_wanted)
{
    const guint n = w2w_space_get_n_with_statistics(space);
    const double *std = w2w_space_get_coefficient_std(space);
    g_autofree float *person = g_new(float, n);
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) nearest =
        w2w_space_find_nearest(space, coefficients, n_given, n_wanted, &error);
    double last = 0.0;

    g_assert_no_error(error);
    g_assert_cmpuint(nearest->len, ==, MIN(n_wanted, w2w_space_get_n_people(space)));
    for (guint i = 0; i < nearest->len; i++) {
        const W2wNeighbour *neighbour = &g_array_index(nearest, W2wNeighbour, i);
        double square = 0.0;

        w2w_space_get_person(space, neighbour->row, person, NULL);
        for (guint j = 0; j < n; j++)
            square += pow(((j < n_given ? coefficients[j] : 0.0f) - person[j]) / std[j], 2);
        g_assert_cmpfloat_with_epsilon(neighbour->distance, sqrt(square), 1e-6);
        g_assert_cmpfloat(neighbour->distance, >=, last);
        last = neighbour->distance;
    }
    /* Nobody else is nearer than the last of them. */
    for (gint64 row = 0; row < w2w_space_get_n_people(space); row++) {
        double square = 0.0;
        gboolean is_listed = FALSE;

        for (guint i = 0; i < nearest->len; i++)
            is_listed |= g_array_index(nearest, W2wNeighbour, i).row == row;
        w2w_space_get_person(space, row, person, NULL);
        for (guint j = 0; j < n; j++)
            square += pow(((j < n_given ? coefficients[j] : 0.0f) - person[j]) / std[j], 2);
        g_assert_true(is_listed || sqrt(square) >= last - 1e-6);
    }
}

static void test_nearest(void)
{
    g_autofree char *embedded = embedded_space();
    g_autoptr(W2wSpace) space = open_space(embedded);
    const guint n = w2w_space_get_n_with_statistics(space);
    g_autofree float *person = g_new(float, n);
    g_autoptr(GArray) self = NULL;

    w2w_space_sample(space, 1.0, 11, person, NULL);
    check_nearest(space, person, n, 7);
    check_nearest(space, person, 5, 3); /* the rest is 0 */
    check_nearest(space, person, n, (guint)w2w_space_get_n_people(space) + 5);
    w2w_space_get_person(space, 42, person, NULL);
    self = w2w_space_find_nearest(space, person, n, 1, NULL);
    g_assert_cmpint(g_array_index(self, W2wNeighbour, 0).row, ==, 42);
    g_assert_cmpfloat(g_array_index(self, W2wNeighbour, 0).distance, ==, 0.0);
}

/* --- datasets --- */

enum { M = 9, N = 40, K = 4 };

static float weight_of(guint i)
{
    return (float)sin(3.0 + 5.7 * i) * 0.1f + 0.3f;
}

/*
 * Weights of M people, their mean and deviation, and a V; one weight does not vary. The dataset is
 * called `name`.
 */
static char *make_space(const char *name)
{
    char *folder = make_folder();
    float weights[M * N], mean[N], std[N], v[N * K];

    for (guint i = 0; i < M * N; i++)
        weights[i] = i % N == 7 ? 0.5f : weight_of(i);
    for (guint j = 0; j < N; j++) {
        double sum = 0.0, square = 0.0;

        for (guint i = 0; i < M; i++)
            sum += weights[i * N + j];
        for (guint i = 0; i < M; i++)
            square += pow(weights[i * N + j] - sum / M, 2);
        mean[j] = (float)(sum / M);
        std[j] = (float)sqrt(square / (M - 1));
    }
    std[7] = 0.0f;
    for (guint i = 0; i < N * K; i++)
        v[i] = weight_of(1000 + i) - 0.3f;
    write_pt_vector(folder, "mean.pt", mean, N);
    write_pt_vector(folder, "std.pt", std, N);
    write_pt_matrix(folder, "V.pt", N, K, v);
    write_pt_matrix(folder, name, M, N, weights);
    return folder;
}

/* Without proj_1000pc.pt the people are those of the weights. */
static void test_projections_of_a_dataset(void)
{
    static const char *const names[] = {"all_weights.pt", "dog_weights.pt"};

    for (guint d = 0; d < G_N_ELEMENTS(names); d++) {
        char *folder = make_space(names[d]);
        g_autoptr(W2wSpace) space = open_space(folder);
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wDataset) dataset = w2w_dataset_open(folder, &error);
        float theta[N], coefficients[K], projected[K];
        guint n_missing;
        const W2wSpaceMissing *missing = w2w_space_get_missing(space, &n_missing);

        g_assert_no_error(error);
        g_assert_cmpuint(n_missing, >, 0);
        g_assert_cmpstr(missing[0].name, ==, "proj_1000pc.pt");
        g_assert_cmpint(w2w_space_get_n_people(space), ==, M);
        g_assert_cmpuint(w2w_space_get_n_with_statistics(space), ==, MIN(K, M - 1));
        for (gint64 row = 0; row < M; row++) {
            w2w_space_get_person(space, row, coefficients, &error);
            w2w_dataset_get_row(dataset, row, theta, &error);
            w2w_space_project(space, theta, projected, &error);
            g_assert_no_error(error);
            for (guint j = 0; j < w2w_space_get_n_with_statistics(space); j++)
                g_assert_cmpfloat_with_epsilon(coefficients[j], projected[j], 1e-5);
        }
        g_assert_cmpfloat_with_epsilon(w2w_space_get_coefficient_mean(space)[0], 0.0, 1e-5);
        remove_folder(folder);
    }
}

static void assert_open_fails(const char *folder, W2wError code, const char *word)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = w2w_space_open(folder, &error);

    g_assert_null(space);
    g_assert_error(error, W2W_ERROR, (gint)code);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, "all_weights.pt"));
    g_assert_nonnull(strstr(error->message, word));
}

static void test_datasets_that_do_not_fit(void)
{
    char *folder = make_space("all_weights.pt");
    float weights[M * (N + 1)];

    for (guint i = 0; i < M * N; i++) /* another mean */
        weights[i] = weight_of(i) + 0.05f;
    write_pt_matrix(folder, "all_weights.pt", M, N, weights);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "mean.pt");
    for (guint i = 0; i < M * N; i++) /* another deviation */
        weights[i] = weight_of(i) + 0.1f * (weight_of(i) - 0.3f);
    write_pt_matrix(folder, "all_weights.pt", M, N, weights);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "std.pt");
    write_pt_matrix(folder, "all_weights.pt", M, N + 1, weights);
    assert_open_fails(folder, W2W_ERROR_MISMATCH, "mean.pt");
    write_pt_vector(folder, "all_weights.pt", weights, N);
    assert_open_fails(folder, W2W_ERROR_FORMAT, "(40)");
    remove_folder(folder);
}

/* A dataset alone, with names in a dictionary. */
static void test_dataset_alone(void)
{
    char *folder = make_folder();
    static const char *const names[] = {"rex", "bello", "fifi", NULL};
    static const int shapes[][2] = {{1, 1}, {1, 2}, {1, 3}};
    g_autofree char *written = g_build_filename(folder, "weight_dimensions.pt", NULL);
    g_autofree char *labels = g_build_filename(folder, "dog_labels.pt", NULL);
    const float weights[3 * 2] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
    float row[2];
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDataset) dataset = NULL;

    write_pt_matrix(folder, "dog_weights.pt", 3, 2, weights);
    write_pt_dimensions(folder, names, shapes);
    g_assert_cmpint(g_rename(written, labels), ==, 0);
    dataset = w2w_dataset_open(folder, &error);
    g_assert_no_error(error);
    g_assert_cmpint(w2w_dataset_find(dataset, "bello", &error), ==, 1);
    g_assert_true(w2w_dataset_get_row(dataset, 1, row, &error));
    g_assert_no_error(error);
    g_assert_cmpfloat(row[0], ==, 3.0f);
    g_assert_cmpfloat(row[1], ==, 4.0f);
    g_assert_cmpint(w2w_dataset_find(dataset, "waldi", &error), ==, -1);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_dataset_get_row(dataset, 3, row, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);

    g_clear_pointer(&dataset, w2w_dataset_free);
    write_pt_matrix(folder, "dog_weights.pt", 2, 3, weights); /* two rows, three names */
    g_assert_null(w2w_dataset_open(folder, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_clear_error(&error);
    remove_file(folder, "dog_weights.pt");
    g_assert_null(w2w_dataset_open(folder, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/people/names", test_names);
    g_test_add_func("/people/nearest", test_nearest);
    g_test_add_func("/people/projections-of-a-dataset", test_projections_of_a_dataset);
    g_test_add_func("/people/datasets-that-do-not-fit", test_datasets_that_do_not_fit);
    g_test_add_func("/people/dataset-alone", test_dataset_alone);
    return g_test_run();
}
