/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The space against the original frameworks: directions, edits, samples and weights of a
 * golden folder. Every name, count and setting comes from the folder.
 */
#include <math.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_file.h"
#include "engine/w2w/space_internal.h"
#include "engine/w2w/world.h"
#include "tests/golden_files.h"
#include "tests/w2w/space_folder.h"

typedef struct {
    W2wGolden *golden;
    W2wSpace *space;
    const char *const *attributes;
    guint n_attributes, k, p; /* components, and those with statistics */
    gint64 n_people;
} Fixture;

static void open_space(Fixture *fixture, const char *directory)
{
    g_autoptr(GError) error = NULL;

    fixture->space = w2w_space_open(directory, &error);
    g_assert_no_error(error);
    fixture->attributes = w2w_space_get_attributes(fixture->space);
    fixture->n_attributes = g_strv_length((char **)fixture->attributes);
    fixture->k = w2w_space_get_n_components(fixture->space);
    fixture->p = w2w_space_get_n_with_statistics(fixture->space);
    fixture->n_people = w2w_space_get_n_people(fixture->space);
    g_assert_cmpuint(fixture->n_attributes, >, 0);
}

static void set_up(Fixture *fixture, gconstpointer user_data)
{
    g_autofree char *directory = NULL;

    fixture->golden = w2w_golden_open(NULL);
    directory = w2w_golden_get_path(fixture->golden, "space");
    open_space(fixture, directory);
}

static void tear_down(Fixture *fixture, gconstpointer user_data)
{
    w2w_space_free(fixture->space);
    w2w_golden_free(fixture->golden);
}

/* Direction `a` in k components: padded with zeros. */
static double *padded_direction(const Fixture *fixture, guint a)
{
    g_autoptr(GError) error = NULL;
    double *padded = g_new0(double, fixture->k);
    const double *direction =
        w2w_space_get_direction(fixture->space, fixture->attributes[a], &error);

    g_assert_no_error(error);
    memcpy(padded, direction, fixture->p * sizeof *padded);
    return padded;
}

static float *person(const Fixture *fixture, gint64 row)
{
    g_autoptr(GError) error = NULL;
    float *coefficients = g_new0(float, fixture->k);

    w2w_space_get_person(fixture->space, row, coefficients, &error);
    g_assert_no_error(error);
    return coefficients;
}

static gint64 get_int(JsonObject *object, const char *member)
{
    g_assert_true(json_object_has_member(object, member));
    return json_object_get_int_member(object, member);
}

/* {"settings": {name: value}, "protected": [names]} */
static W2wEdits *edits_from_params(JsonObject *settings, JsonArray *protect)
{
    W2wEdits *edits = w2w_edits_new();
    g_autoptr(GList) names = json_object_get_members(settings);

    g_assert_nonnull(names);
    for (const GList *name = names; name != NULL; name = name->next) {
        const W2wDirectionSetting setting = {
            .name = g_strdup(name->data),
            .setting = json_object_get_double_member(settings, name->data)};

        g_array_append_val(edits->directions, setting);
    }
    for (guint i = 0; protect != NULL && i < json_array_get_length(protect); i++)
        w2w_edits_add_protected(edits, json_array_get_string_element(protect, i));
    return edits;
}

static double *get_change(const Fixture *fixture, const W2wEdits *edits, W2wMetric metric)
{
    g_autoptr(GError) error = NULL;
    double *delta = g_new(double, fixture->k);

    w2w_edits_get_change(edits, fixture->space, metric, delta, &error);
    g_assert_no_error(error);
    return delta;
}

static double *add(const Fixture *fixture, const float *coefficients, const double *delta)
{
    double *sum = g_new(double, fixture->k);

    for (guint j = 0; j < fixture->k; j++)
        sum[j] = (double)coefficients[j] + delta[j];
    return sum;
}

static void test_shapes(Fixture *fixture, gconstpointer user_data)
{
    g_autofree char *path = w2w_golden_get_path(fixture->golden, "space.json");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) expected = w2w_json_load(path, &error);
    JsonArray *names, *keys, *sizes;
    guint n_keys;
    const W2wSpaceKey *key = w2w_space_get_keys(fixture->space, &n_keys);
    gint64 offset = 0;

    g_assert_no_error(error);
    g_assert_cmpint(w2w_space_get_n_weights(fixture->space), ==, get_int(expected, "n"));
    g_assert_cmpint(fixture->k, ==, get_int(expected, "components"));
    g_assert_cmpint(fixture->p, ==, get_int(expected, "components_with_statistics"));
    g_assert_cmpint(fixture->n_people, ==, get_int(expected, "people"));
    names = json_object_get_array_member(expected, "attributes");
    g_assert_cmpuint(fixture->n_attributes, ==, json_array_get_length(names));
    for (guint i = 0; i < fixture->n_attributes; i++)
        g_assert_cmpstr(fixture->attributes[i], ==, json_array_get_string_element(names, i));
    keys = json_object_get_array_member(expected, "keys"); /* PEFT's form */
    sizes = json_object_get_array_member(expected, "sizes");
    g_assert_cmpuint(n_keys, ==, json_array_get_length(keys));
    for (guint i = 0; i < n_keys; i++) {
        g_autofree char *name = g_strdup_printf("base_model.model.%s.lora_%c.weight", key[i].path,
                                                key[i].is_b ? 'B' : 'A');

        g_assert_cmpstr(name, ==, json_array_get_string_element(keys, i));
        g_assert_cmpint(key[i].length, ==, json_array_get_int_element(sizes, i));
        g_assert_cmpint(key[i].offset, ==, offset);
        offset += key[i].length;
    }
}

static void test_labels(Fixture *fixture, gconstpointer user_data)
{
    g_autofree float *labels =
        g_new(float, (gsize)fixture->n_people * fixture->n_attributes); /* (people, attributes) */

    for (guint a = 0; a < fixture->n_attributes; a++) {
        g_autoptr(GError) error = NULL;
        const gint8 *column = w2w_space_get_labels(fixture->space, fixture->attributes[a], &error);

        g_assert_no_error(error);
        for (gint64 i = 0; i < fixture->n_people; i++)
            labels[i * fixture->n_attributes + a] = column[i];
    }
    w2w_golden_compare(fixture->golden, "pca", "labels", NULL, labels);
}

static void test_projections(Fixture *fixture, gconstpointer user_data)
{
    g_autofree float *rows = g_new(float, (gsize)fixture->n_people * fixture->p);

    for (gint64 i = 0; i < fixture->n_people; i++) {
        g_autofree float *coefficients = person(fixture, i);

        memcpy(rows + i * fixture->p, coefficients, fixture->p * sizeof *rows);
    }
    w2w_golden_compare(fixture->golden, "pca", "projections", NULL, rows);
}

static void test_statistics(Fixture *fixture, gconstpointer user_data)
{
    w2w_golden_compare_f64(fixture->golden, "pca", "coefficient_mean", NULL,
                           w2w_space_get_coefficient_mean(fixture->space));
    w2w_golden_compare_f64(fixture->golden, "pca", "coefficient_std", NULL,
                           w2w_space_get_coefficient_std(fixture->space));
}

static void test_directions(Fixture *fixture, gconstpointer user_data)
{
    g_autofree double *directions = g_new0(double, (gsize)fixture->n_attributes * fixture->k);

    for (guint a = 0; a < fixture->n_attributes; a++) {
        g_autofree double *direction = padded_direction(fixture, a);

        memcpy(directions + (gsize)a * fixture->k, direction, fixture->k * sizeof *direction);
    }
    w2w_golden_compare_f64(fixture->golden, "pca", "directions", NULL, directions);
}

/* A euclidean edit of 1 is reach · unit direction. */
static void test_reach(Fixture *fixture, gconstpointer user_data)
{
    g_autofree double *units = g_new0(double, (gsize)fixture->n_attributes * fixture->k);
    g_autofree double *reach = g_new0(double, fixture->n_attributes);

    for (guint a = 0; a < fixture->n_attributes; a++) {
        g_autoptr(W2wEdits) edits = w2w_edits_new();
        const W2wDirectionSetting setting = {.name = g_strdup(fixture->attributes[a]),
                                             .setting = 1.0};
        g_autofree double *delta = NULL;
        double square = 0.0;

        g_array_append_val(edits->directions, setting);
        delta = get_change(fixture, edits, W2W_METRIC_EUCLIDEAN);
        for (guint j = 0; j < fixture->k; j++)
            square += delta[j] * delta[j];
        reach[a] = sqrt(square);
        for (guint j = 0; j < fixture->k; j++)
            units[(gsize)a * fixture->k + j] = delta[j] / reach[a];
    }
    w2w_golden_compare_f64(fixture->golden, "pca", "unit_directions", NULL, units);
    w2w_golden_compare_f64(fixture->golden, "pca", "reach", NULL, reach);
}

static void test_euclidean_edit(Fixture *fixture, gconstpointer user_data)
{
    JsonObject *params =
        json_object_get_object_member(w2w_golden_get_params(fixture->golden), "edited");
    g_autoptr(W2wEdits) edits =
        edits_from_params(json_object_get_object_member(params, "settings"), NULL);
    g_autofree double *delta = get_change(fixture, edits, W2W_METRIC_EUCLIDEAN);
    g_autofree float *before = person(fixture, get_int(params, "person"));
    g_autofree double *after = add(fixture, before, delta);

    w2w_golden_compare_f64(fixture->golden, "pca", "edited", NULL, after);
}

/* "debiased_0_by_1", "joint_0_by_1_2_3": attribute 0 held against the others. */
static void compare_debiased(const Fixture *fixture, const char *key)
{
    g_auto(GStrv) words = g_strsplit(key, "_", -1);
    const guint n_words = g_strv_length(words);
    g_autoptr(GPtrArray) others = g_ptr_array_new_with_free_func(g_free);
    g_autofree double *direction = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(n_words, >=, 4);
    g_assert_cmpstr(words[2], ==, "by");
    direction = padded_direction(fixture, (guint)g_ascii_strtoull(words[1], NULL, 10));
    for (guint i = 3; i < n_words; i++)
        g_ptr_array_add(others,
                        padded_direction(fixture, (guint)g_ascii_strtoull(words[i], NULL, 10)));
    w2w_direction_debias(direction, fixture->k, (const double *const *)others->pdata, others->len,
                         &error);
    g_assert_no_error(error);
    w2w_golden_compare_f64(fixture->golden, "pca", key, NULL, direction);
}

/* "sampled.seed42.factor0.5" */
static void compare_sampled(const Fixture *fixture, const char *key)
{
    const char *seed = strstr(key, ".seed"), *factor = strstr(key, ".factor");
    g_autofree float *coefficients = g_new(float, fixture->p);
    g_autoptr(GError) error = NULL;

    g_assert_true(seed != NULL && factor != NULL);
    w2w_space_sample(fixture->space, g_ascii_strtod(factor + strlen(".factor"), NULL),
                     g_ascii_strtoull(seed + strlen(".seed"), NULL, 10), coefficients, &error);
    g_assert_no_error(error);
    w2w_golden_compare(fixture->golden, "pca", key, NULL, coefficients);
}

/* All keys of pca.safetensors: each has a test here or there. */
static void test_debiased_and_sampled(Fixture *fixture, gconstpointer user_data)
{
    const char *const *key = w2w_safetensors_get_keys(w2w_golden_get_file(fixture->golden, "pca"));
    const char *const elsewhere[] = {"labels",          "projections", "coefficient_mean",
                                     "coefficient_std", "directions",  "edited",
                                     "unit_directions", "reach",       "singular_values",
                                     "components",      NULL};
    guint n_debiased = 0, n_sampled = 0;

    for (; *key != NULL; key++) {
        if (g_str_has_prefix(*key, "sampled.")) {
            compare_sampled(fixture, *key);
            n_sampled++;
        } else if (strstr(*key, "_by_") != NULL) {
            compare_debiased(fixture, *key);
            n_debiased++;
        } else if (!g_strv_contains(elsewhere, *key)) {
            g_test_fail_printf("pca.safetensors holds “%s”, which no test compares", *key);
        }
    }
    g_assert_cmpuint(n_sampled, >, 0);
    g_assert_cmpuint(n_debiased, >, 0);
}

/* Scores (n_attributes) of a person: d·(c − m). */
static void get_scores(const Fixture *fixture, const double *coefficients, double *scores)
{
    const double *mean = w2w_space_get_coefficient_mean(fixture->space);

    for (guint a = 0; a < fixture->n_attributes; a++) {
        g_autofree double *direction = padded_direction(fixture, a);

        scores[a] = 0.0;
        for (guint j = 0; j < fixture->p; j++)
            scores[a] += direction[j] * (coefficients[j] - mean[j]);
    }
}

static void test_scores(Fixture *fixture, gconstpointer user_data)
{
    g_autofree double *scores = g_new(double, (gsize)fixture->n_people * fixture->n_attributes);
    g_autofree double *zeros = g_new0(double, fixture->k);
    g_autofree double *half_range = g_new(double, fixture->n_attributes);
    g_autoptr(GError) error = NULL;

    for (gint64 i = 0; i < fixture->n_people; i++) {
        g_autofree float *row = person(fixture, i);
        g_autofree double *coefficients = add(fixture, row, zeros);

        get_scores(fixture, coefficients, scores + i * fixture->n_attributes);
    }
    w2w_golden_compare_f64(fixture->golden, "edits", "score", NULL, scores);
    for (guint a = 0; a < fixture->n_attributes; a++) {
        W2wScoreRange range;
        double low = INFINITY, high = -INFINITY;

        w2w_space_get_score_range(fixture->space, fixture->attributes[a], &range, &error);
        g_assert_no_error(error);
        half_range[a] = range.half_range;
        for (gint64 i = 0; i < fixture->n_people; i++) {
            low = MIN(low, scores[i * fixture->n_attributes + a]);
            high = MAX(high, scores[i * fixture->n_attributes + a]);
        }
        g_assert_cmpfloat_with_epsilon(range.min, low, 1e-9);
        g_assert_cmpfloat_with_epsilon(range.max, high, 1e-9);
    }
    w2w_golden_compare_f64(fixture->golden, "edits", "half_range", NULL, half_range);
}

static void compare_edit(const Fixture *fixture, const char *name, JsonObject *params,
                         gint64 person_row)
{
    g_autofree char *change_key = g_strconcat(name, ".change", NULL);
    g_autofree char *edited_key = g_strconcat(name, ".edited", NULL);
    g_autofree char *score_key = g_strconcat(name, ".score_after", NULL);
    g_autoptr(W2wEdits) edits =
        edits_from_params(json_object_get_object_member(params, "settings"),
                          json_object_get_array_member(params, "protected"));
    g_autofree double *delta = get_change(fixture, edits, W2W_METRIC_POPULATION);
    g_autofree float *before = person(fixture, person_row);
    g_autofree double *after = add(fixture, before, delta);
    g_autofree double *scores = g_new(double, fixture->n_attributes);

    get_scores(fixture, after, scores);
    w2w_golden_compare_f64(fixture->golden, "edits", change_key, NULL, delta);
    w2w_golden_compare_f64(fixture->golden, "edits", edited_key, NULL, after);
    w2w_golden_compare_f64(fixture->golden, "edits", score_key, NULL, scores);
}

static void test_population_edits(Fixture *fixture, gconstpointer user_data)
{
    JsonObject *params =
        json_object_get_object_member(w2w_golden_get_params(fixture->golden), "edits");
    const char *const *key =
        w2w_safetensors_get_keys(w2w_golden_get_file(fixture->golden, "edits"));
    guint n_edits = 0;

    for (; *key != NULL; key++) {
        g_autofree char *name = g_strdup(*key);
        char *dot = strrchr(name, '.');

        if (dot == NULL || !g_str_equal(dot, ".change"))
            continue;
        *dot = 0;
        compare_edit(fixture, name, json_object_get_object_member(params, name),
                     get_int(params, "person"));
        n_edits++;
    }
    g_assert_cmpuint(n_edits, >, 0);
}

static void test_theta(Fixture *fixture, gconstpointer user_data)
{
    const W2wArray *array = w2w_golden_get(fixture->golden, "lora", "coefficients");
    g_autofree float *coefficients = w2w_golden_get_f32(fixture->golden, "lora", "coefficients");
    g_autofree float *theta = g_new(float, (gsize)w2w_space_get_n_weights(fixture->space));
    g_autofree float *back = g_new(float, fixture->k);
    const guint n = (guint)array->n_elements;
    double largest = 0.0;
    g_autoptr(GError) error = NULL;

    for (guint j = 0; j < n; j++)
        largest = MAX(largest, fabs(coefficients[j]));
    w2w_space_unproject(fixture->space, coefficients, n, theta, &error);
    g_assert_no_error(error);
    w2w_golden_compare(fixture->golden, "lora", "theta", NULL, theta);
    w2w_space_project(fixture->space, theta, back, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < fixture->k; j++) /* what theta's float32 lets through */
        g_assert_cmpfloat_with_epsilon(back[j], j < n ? coefficients[j] : 0.0f, 1e-5 * largest);
}

/* --- where the whole directory is there: what the space was made of --- */

static gboolean golden_has(const char *file, const char *key)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);

    return w2w_golden_has_file(golden, file) &&
           w2w_safetensors_peek(w2w_golden_get_file(golden, file), key) != NULL;
}

static gboolean has_dataset(void)
{
    g_autofree char *path = w2w_golden_path("space/all_weights.pt");

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void test_components(Fixture *fixture, gconstpointer user_data)
{
    const gint64 n = w2w_space_get_n_weights(fixture->space);
    g_autofree double *v = g_new(double, (gsize)n * fixture->k);

    w2w_matrix_read_rows(fixture->space->v, 0, n, v);
    w2w_golden_compare_f64(fixture->golden, "pca", "components", NULL, v);
}

/* coefficients (people, k) of the dataset's rows. */
static float *project_dataset(const Fixture *fixture)
{
    g_autofree char *directory = w2w_golden_get_path(fixture->golden, "space");
    g_autofree float *theta = g_new(float, (gsize)w2w_space_get_n_weights(fixture->space));
    float *coefficients = g_new(float, (gsize)fixture->n_people * fixture->k);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDataset) dataset = w2w_dataset_open(directory, &error);

    g_assert_no_error(error);
    g_assert_cmpint(dataset->weights->shape[0], ==, fixture->n_people);
    for (gint64 i = 0; i < fixture->n_people; i++) {
        w2w_dataset_get_row(dataset, i, theta, &error);
        w2w_space_project(fixture->space, theta, coefficients + i * fixture->k, &error);
        g_assert_no_error(error);
    }
    return coefficients;
}

static void test_dataset(Fixture *fixture, gconstpointer user_data)
{
    g_autofree float *coefficients = project_dataset(fixture);
    g_autofree float *first = g_new(float, (gsize)fixture->n_people * fixture->p);

    for (gint64 i = 0; i < fixture->n_people; i++)
        memcpy(first + i * fixture->p, coefficients + i * fixture->k, fixture->p * sizeof *first);
    w2w_golden_compare(fixture->golden, "pca", "projections", NULL, first);
}

/* A component's singular value is the length of everybody's coefficients along it. */
static void test_singular_values(Fixture *fixture, gconstpointer user_data)
{
    const W2wArray *all = w2w_golden_get(fixture->golden, "pca", "singular_values");
    g_autofree float *coefficients = project_dataset(fixture);
    g_autofree float *expected = g_new(float, fixture->k);
    g_autofree double *lengths = g_new0(double, fixture->k);
    g_autoptr(W2wArray) first = NULL;

    g_assert_cmpint(all->n_elements, >=, fixture->k);
    for (guint j = 0; j < fixture->k; j++) {
        expected[j] = (float)w2w_array_get(all, j);
        for (gint64 i = 0; i < fixture->n_people; i++)
            lengths[j] += pow(coefficients[i * fixture->k + j], 2);
        lengths[j] = sqrt(lengths[j]);
    }
    first = w2w_array_new_f32(1, (const gint64[]){fixture->k}, expected, NULL);
    w2w_golden_compare_f64(fixture->golden, "pca", "singular_values", first, lengths);
}

/* The folder without proj and pinverse: the same people, from their weights. */
static void test_people_of_the_dataset(Fixture *fixture, gconstpointer user_data)
{
    static const char *const names[] = {
        "mean.pt", "std.pt", "V.pt", "identity_df.pt", "all_weights.pt", "weight_dimensions.pt",
        NULL};
    g_autofree char *directory = w2w_golden_get_path(fixture->golden, "space");
    char *folder = link_folder(directory, names);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = w2w_space_open(folder, &error);
    g_autofree float *all = g_new(float, (gsize)fixture->n_people * fixture->p);
    g_autofree float *person_row = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(w2w_space_get_n_with_statistics(space), >=, fixture->p);
    person_row = g_new(float, w2w_space_get_n_with_statistics(space));
    for (gint64 i = 0; i < fixture->n_people; i++) {
        w2w_space_get_person(space, i, person_row, &error);
        g_assert_no_error(error);
        memcpy(all + i * fixture->p, person_row, fixture->p * sizeof *all);
    }
    w2w_golden_compare(fixture->golden, "pca", "projections", NULL, all);
    remove_folder(folder);
}

/* The same space as one file gives the same weights and the same directions, to the bit. */
static void test_as_one_file(Fixture *fixture, gconstpointer user_data)
{
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "space.safetensors", NULL);
    const gsize n = (gsize)w2w_space_get_n_weights(fixture->space);
    const W2wArray *array = w2w_golden_get(fixture->golden, "lora", "coefficients");
    g_autofree float *coefficients = w2w_golden_get_f32(fixture->golden, "lora", "coefficients");
    g_autofree float *first = g_new(float, n);
    g_autofree float *second = g_new(float, n);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = NULL;

    w2w_space_save(fixture->space, path, NULL, NULL, &error);
    g_assert_no_error(error);
    space = w2w_space_open(path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(w2w_space_get_fingerprint(space), ==,
                    w2w_space_get_fingerprint(fixture->space));
    w2w_space_unproject(fixture->space, coefficients, (guint)array->n_elements, first, &error);
    w2w_space_unproject(space, coefficients, (guint)array->n_elements, second, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(first, n * sizeof *first, second, n * sizeof *second);
    for (guint a = 0; a < fixture->n_attributes; a++)
        g_assert_cmpmem(w2w_space_get_direction(fixture->space, fixture->attributes[a], NULL),
                        fixture->p * sizeof(double),
                        w2w_space_get_direction(space, fixture->attributes[a], NULL),
                        fixture->p * sizeof(double));
    remove_folder(folder);
}

/* --- the embedded world --- */

static void set_up_world(Fixture *fixture, gconstpointer user_data)
{
    g_autofree char *directory = g_build_filename(w2w_world_get_default_directory(), "space", NULL);

    fixture->golden = w2w_golden_open(w2w_golden_mini_dir());
    open_space(fixture, directory);
}

/*
 * These arrays have no entry in the folder's tolerances.json: float32 numbers that were made
 * from the same files, without a float64 pass. What float32 lets through is what it was measured to
 * let through for the same quantity in golden/a (`file`, `like`), in units of this array's own
 * standard deviation.
 */
static void compare_like(const Fixture *fixture, const char *key, const char *file,
                         const char *like, const double *actual)
{
    g_autofree char *directory =
        g_build_filename(g_getenv("W2W_TEST_SOURCE_DIR"), "golden", "a", NULL);
    g_autoptr(W2wGolden) measured = w2w_golden_open(directory);
    JsonObject *tolerance = json_object_get_object_member(
        json_object_get_object_member(w2w_golden_get_tolerances(measured), file), like);
    const double rms_allowed = json_object_get_double_member(tolerance, "rms");
    const double max_allowed = json_object_get_double_member(tolerance, "max");
    const W2wArray *expected = w2w_golden_get(fixture->golden, "networks", key);
    double mean = 0.0, variance = 0.0, unit, sum = 0.0, largest = 0.0, rms;

    for (gint64 i = 0; i < expected->n_elements; i++)
        mean += w2w_array_get(expected, i) / (double)expected->n_elements;
    for (gint64 i = 0; i < expected->n_elements; i++)
        variance += pow(w2w_array_get(expected, i) - mean, 2) / (double)expected->n_elements;
    unit = sqrt(variance);
    for (gint64 i = 0; i < expected->n_elements; i++) {
        const double difference = fabs(actual[i] - w2w_array_get(expected, i)) / unit;

        sum += difference * difference;
        largest = difference > largest || isnan(difference) ? difference : largest;
    }
    rms = sqrt(sum / (double)expected->n_elements);
    g_test_message("%s: rms %.3g (allowed %.3g), max %.3g (allowed %.3g) units of %.3g", key, rms,
                   rms_allowed, largest, max_allowed, unit);
    if (!(rms <= rms_allowed && largest <= max_allowed))
        g_test_fail_printf("%s is too far from the original: rms %.3g, max %.3g", key, rms,
                           largest);
}

static void test_world_directions(Fixture *fixture, gconstpointer user_data)
{
    JsonArray *names =
        json_object_get_array_member(w2w_golden_get_params(fixture->golden), "attributes");
    g_autofree double *directions = g_new(double, (gsize)fixture->n_attributes * fixture->k);
    g_autofree double *half_range = g_new(double, fixture->n_attributes);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(json_array_get_length(names), ==, fixture->n_attributes);
    for (guint a = 0; a < fixture->n_attributes; a++) {
        g_autofree double *direction = padded_direction(fixture, a);
        W2wScoreRange range;

        g_assert_cmpstr(fixture->attributes[a], ==, json_array_get_string_element(names, a));
        memcpy(directions + (gsize)a * fixture->k, direction, fixture->k * sizeof *direction);
        w2w_space_get_score_range(fixture->space, fixture->attributes[a], &range, &error);
        g_assert_no_error(error);
        half_range[a] = range.half_range;
    }
    compare_like(fixture, "directions", "pca", "directions", directions);
    compare_like(fixture, "half_range", "edits", "half_range", half_range);
}

static void test_world_edit(Fixture *fixture, gconstpointer user_data)
{
    JsonObject *params = w2w_golden_get_params(fixture->golden);
    g_autoptr(W2wEdits) edits =
        edits_from_params(json_object_get_object_member(params, "settings"),
                          json_object_get_array_member(params, "protected"));
    g_autofree double *delta = get_change(fixture, edits, W2W_METRIC_POPULATION);
    g_autofree double *zeros = g_new0(double, fixture->k);
    g_autofree float *before = person(fixture, get_int(params, "person_row"));
    g_autofree double *unchanged = add(fixture, before, zeros);
    g_autofree double *after = add(fixture, before, delta);

    compare_like(fixture, "person", "pca", "projections", unchanged);
    compare_like(fixture, "edited", "edits", "one.edited", after);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("/space/golden/shapes-and-keys", test_shapes);
    ADD("/space/golden/labels", test_labels);
    ADD("/space/golden/projections", test_projections);
    ADD("/space/golden/statistics", test_statistics);
    ADD("/space/golden/directions", test_directions);
    ADD("/space/golden/unit-directions-and-reach", test_reach);
    ADD("/space/golden/euclidean-edit", test_euclidean_edit);
    ADD("/space/golden/debiased-and-sampled", test_debiased_and_sampled);
    ADD("/space/golden/scores-and-half-ranges", test_scores);
    ADD("/space/golden/population-edits", test_population_edits);
    ADD("/space/golden/theta-and-back", test_theta);
    ADD("/space/golden/as-one-file", test_as_one_file);
    if (golden_has("pca", "components"))
        ADD("/space/golden/components", test_components);
    if (has_dataset()) {
        ADD("/space/golden/dataset", test_dataset);
        ADD("/space/golden/people-of-the-dataset", test_people_of_the_dataset);
        if (golden_has("pca", "singular_values"))
            ADD("/space/golden/singular-values", test_singular_values);
    }
    g_test_add("/space/golden/world/directions", Fixture, NULL, set_up_world, test_world_directions,
               tear_down);
    g_test_add("/space/golden/world/edit", Fixture, NULL, set_up_world, test_world_edit, tear_down);
    return g_test_run();
}
