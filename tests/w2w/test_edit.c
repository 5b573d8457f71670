/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edits: their text form, and what they promise about scores and components. */
#include "engine/w2w/edit.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "tests/w2w/space_folder.h"

static W2wEdits *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    W2wEdits *edits = w2w_edits_parse(text, &error);

    g_assert_no_error(error);
    return edits;
}

static void test_parse(void)
{
    g_autoptr(W2wEdits) edits =
        parse(" Young = -0.8 ;Wavy_Hair=.5; #3=1.5e0 ;protect= Male, Chubby;protect=Male;");
    g_autofree char *text = w2w_edits_to_string(edits);

    g_assert_cmpuint(edits->directions->len, ==, 2);
    g_assert_cmpstr(g_array_index(edits->directions, W2wDirectionSetting, 0).name, ==, "Young");
    g_assert_cmpfloat(g_array_index(edits->directions, W2wDirectionSetting, 0).setting, ==, -0.8);
    g_assert_cmpfloat(g_array_index(edits->directions, W2wDirectionSetting, 1).setting, ==, 0.5);
    g_assert_cmpuint(edits->components->len, ==, 1);
    g_assert_cmpuint(g_array_index(edits->components, W2wComponentSetting, 0).component, ==, 2);
    g_assert_cmpfloat(g_array_index(edits->components, W2wComponentSetting, 0).setting, ==, 1.5);
    g_assert_cmpuint(edits->protect->len, ==, 2);
    g_assert_cmpstr(text, ==, "Young=-0.8;Wavy_Hair=0.5;#3=1.5;protect=Male,Chubby");
}

static void test_round_trip(void)
{
    static const char *const texts[] = {"",
                                        "A=1",
                                        "#1=0",
                                        "protect=B",
                                        "A=0.1;B=-1e-300;#1000=123456789.125;protect=C,D",
                                        "5_o_Clock_Shadow=0.30000000000000004",
                                        "Größe=-2;#2=0.3333333333333333"};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(W2wEdits) edits = parse(texts[i]);
        g_autofree char *text = w2w_edits_to_string(edits);
        g_autoptr(W2wEdits) again = parse(text);
        g_autofree char *text_again = w2w_edits_to_string(again);

        g_assert_cmpstr(text, ==, texts[i]);
        g_assert_cmpstr(text_again, ==, texts[i]);
        for (guint d = 0; d < edits->directions->len; d++)
            g_assert_cmpfloat(g_array_index(edits->directions, W2wDirectionSetting, d).setting, ==,
                              g_array_index(again->directions, W2wDirectionSetting, d).setting);
    }
}

static void test_bad_text(void)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"Young", "Young"},
        {"Young=", "no number"},
        {"Young=0,8", "no number"},
        {"Young=fast", "fast"},
        {"Young=inf", "no number"},
        {"Young=nan", "no number"},
        {"Young=0x1p3", "no number"},
        {"Young=1e999", "no number"},
        {"Young=1 2", "no number"},
        {"=1", "name"},
        {"Young=1;Young=2", "twice"},
        {"#1=1;#1=1", "twice"},
        {"#0=1", "from 1"},
        {"#-1=1", "from 1"},
        {"#1.5=1", "from 1"},
        {"#99999999999999999999=1", "from 1"},
        {"#=1", "from 1"},
        {"#1", "#1"},
        {"protect=", "lacks"},
        {"protect=A,,B", "lacks"},
        {"protect=#1", "#1"},
        {"A,B=1", "A,B"},
        {"A\xff=1", "UTF-8"},
        {"A\x01=1", "cannot"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wEdits) edits = w2w_edits_parse(cases[i].text, &error);

        g_assert_null(edits);
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        if (strstr(error->message, cases[i].word) == NULL)
            g_error("“%s” does not say “%s”.", error->message, cases[i].word);
    }
}

static void test_one_by_one(void)
{
    g_autoptr(W2wEdits) edits = w2w_edits_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    g_assert_true(w2w_edits_add_direction(edits, "Young=-0.8", &error));
    g_assert_true(w2w_edits_add_component(edits, "3=1.5", &error));
    w2w_edits_add_protected(edits, "Male");
    w2w_edits_add_protected(edits, "Male");
    g_assert_no_error(error);
    g_assert_false(w2w_edits_add_direction(edits, "Young=1", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_edits_add_component(edits, "three=1", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    text = w2w_edits_to_string(edits);
    g_assert_cmpstr(text, ==, "Young=-0.8;#3=1.5;protect=Male");
}

/* --- what edits do, on the embedded world --- */

typedef struct {
    W2wSpace *space;
    guint k, p;
    double *delta; /* (k) */
} Fixture;

static void set_up(Fixture *fixture, gconstpointer user_data)
{
    g_autofree char *directory = embedded_space();
    g_autoptr(GError) error = NULL;

    fixture->space = w2w_space_open(directory, &error);
    g_assert_no_error(error);
    fixture->k = w2w_space_get_n_components(fixture->space);
    fixture->p = w2w_space_get_n_with_statistics(fixture->space);
    fixture->delta = g_new(double, fixture->k);
    for (guint j = 0; j < fixture->k; j++)
        fixture->delta[j] = NAN;
}

static void tear_down(Fixture *fixture, gconstpointer user_data)
{
    w2w_space_free(fixture->space);
    g_free(fixture->delta);
}

static void change(Fixture *fixture, const char *text, W2wMetric metric)
{
    g_autoptr(W2wEdits) edits = parse(text);
    g_autoptr(GError) error = NULL;

    w2w_edits_get_change(edits, fixture->space, metric, fixture->delta, &error);
    g_assert_no_error(error);
}

/* d·delta in half ranges */
static double moved(const Fixture *fixture, const char *attribute)
{
    g_autoptr(GError) error = NULL;
    const double *direction = w2w_space_get_direction(fixture->space, attribute, &error);
    W2wScoreRange range;
    double sum = 0.0;

    w2w_space_get_score_range(fixture->space, attribute, &range, &error);
    g_assert_no_error(error);
    for (guint j = 0; j < fixture->p; j++)
        sum += direction[j] * fixture->delta[j];
    return sum / range.half_range;
}

static void assert_usage(Fixture *fixture, const char *text, W2wMetric metric, const char *word,
                         const char *second)
{
    g_autoptr(W2wEdits) edits = parse(text);
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_edits_get_change(edits, fixture->space, metric, fixture->delta, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
    g_assert_nonnull(strstr(error->message, second));
}

/* Not even the sign of a zero. */
static void test_zero(Fixture *fixture, gconstpointer user_data)
{
    static const char *const texts[] = {"", "Young=0", "Young=-0;#2=0;protect=Male",
                                        "protect=Male,Young"};
    g_autofree double *zeros = g_new0(double, fixture->k);

    for (guint metric = 0; metric < 2; metric++) {
        for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
            change(fixture, texts[i], metric);
            g_assert_cmpmem(fixture->delta, fixture->k * sizeof(double), zeros,
                            fixture->k * sizeof(double));
        }
    }
}

static void test_zero_beside_others(Fixture *fixture, gconstpointer user_data)
{
    g_autofree double *alone = g_new(double, fixture->k);

    for (guint metric = 0; metric < 2; metric++) {
        change(fixture, "Eyeglasses=0.7;#4=-1;protect=Male", metric);
        memcpy(alone, fixture->delta, fixture->k * sizeof *alone);
        change(fixture, "Young=0;Eyeglasses=0.7;#9=0;#4=-1;protect=Male", metric);
        g_assert_cmpmem(fixture->delta, fixture->k * sizeof(double), alone,
                        fixture->k * sizeof(double));
    }
}

static void test_population_promises(Fixture *fixture, gconstpointer user_data)
{
    const double *std = w2w_space_get_coefficient_std(fixture->space);

    change(fixture, "Young=-0.8;Wavy_Hair=0.5;#3=1.5;protect=Male,Chubby", W2W_METRIC_POPULATION);
    g_assert_cmpfloat_with_epsilon(moved(fixture, "Young"), -0.8, 1e-9);
    g_assert_cmpfloat_with_epsilon(moved(fixture, "Wavy_Hair"), 0.5, 1e-9);
    g_assert_cmpfloat_with_epsilon(moved(fixture, "Male"), 0.0, 1e-9);
    g_assert_cmpfloat_with_epsilon(moved(fixture, "Chubby"), 0.0, 1e-9);
    g_assert_cmpfloat_with_epsilon(fixture->delta[2], 1.5 * std[2], 1e-9);
}

static double length_in_population(const Fixture *fixture)
{
    const double *std = w2w_space_get_coefficient_std(fixture->space);
    double sum = 0.0;

    for (guint j = 0; j < fixture->p; j++)
        sum += pow(fixture->delta[j] / std[j], 2);
    return sqrt(sum);
}

/* The population edit is the shortest one that does it; the euclidean one along d is longer. */
static void test_population_is_smallest(Fixture *fixture, gconstpointer user_data)
{
    double shortest, along_d;

    change(fixture, "Eyeglasses=1", W2W_METRIC_POPULATION);
    shortest = length_in_population(fixture);
    change(fixture, "Eyeglasses=1", W2W_METRIC_EUCLIDEAN);
    along_d = length_in_population(fixture) / moved(fixture, "Eyeglasses");
    g_assert_cmpfloat(shortest, >, 0.0);
    g_assert_cmpfloat(along_d, >, 1.05 * shortest);
}

static void test_component_alone(Fixture *fixture, gconstpointer user_data)
{
    const double *std = w2w_space_get_coefficient_std(fixture->space);

    for (guint metric = 0; metric < 2; metric++) {
        change(fixture, "#3=1.5", metric);
        for (guint j = 0; j < fixture->k; j++)
            g_assert_cmpfloat_with_epsilon(fixture->delta[j], j == 2 ? 1.5 * std[2] : 0.0,
                                           1e-12 * std[0]);
    }
}

static void test_euclidean_promises(Fixture *fixture, gconstpointer user_data)
{
    g_autofree double *sum = g_new(double, fixture->k);
    g_autofree double *both = g_new(double, fixture->k);

    /* Settings add up … */
    change(fixture, "Young=-0.8", W2W_METRIC_EUCLIDEAN);
    memcpy(sum, fixture->delta, fixture->k * sizeof *sum);
    change(fixture, "Wavy_Hair=0.5", W2W_METRIC_EUCLIDEAN);
    for (guint j = 0; j < fixture->k; j++)
        sum[j] += fixture->delta[j];
    change(fixture, "Young=-0.8;Wavy_Hair=0.5", W2W_METRIC_EUCLIDEAN);
    memcpy(both, fixture->delta, fixture->k * sizeof *both);
    for (guint j = 0; j < fixture->k; j++)
        g_assert_cmpfloat_with_epsilon(both[j], sum[j], 1e-9);
    /* … and protected attributes do not move. */
    change(fixture, "Young=-0.8;#2=1;protect=Male,Chubby", W2W_METRIC_EUCLIDEAN);
    g_assert_cmpfloat_with_epsilon(moved(fixture, "Male"), 0.0, 1e-9);
    g_assert_cmpfloat_with_epsilon(moved(fixture, "Chubby"), 0.0, 1e-9);
    g_assert_cmpfloat(moved(fixture, "Young"), <, 0.0);
}

static void test_bad_edits(Fixture *fixture, gconstpointer user_data)
{
    g_autofree char *beyond = g_strdup_printf("#%u=1", fixture->p + 1);

    for (guint metric = 0; metric < 2; metric++) {
        assert_usage(fixture, "Handsome=1", metric, "Handsome", "Young");
        assert_usage(fixture, "Handsome=0", metric, "Handsome", "Young");
        assert_usage(fixture, "protect=Handsome", metric, "Handsome", "Young");
        assert_usage(fixture, beyond, metric, "component", "statistics");
        assert_usage(fixture, "Young=1;protect=Young", metric, "Young", "protected");
        assert_usage(fixture, "Young=1e38", metric, "too large", "");
    }
}

static void test_without_people(void)
{
    static const char *const names[] = {"mean.pt", "std.pt", "V.pt", NULL};
    g_autofree char *embedded = embedded_space();
    char *folder = link_folder(embedded, names);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wSpace) space = w2w_space_open(folder, &error);
    g_autoptr(W2wEdits) edits = parse("#1=1");
    g_autoptr(W2wEdits) none = parse("");
    g_autofree double *delta = g_new(double, w2w_space_get_n_components(space));

    g_assert_no_error(error);
    g_assert_true(w2w_edits_get_change(none, space, W2W_METRIC_POPULATION, delta, &error));
    g_assert_false(w2w_edits_get_change(edits, space, W2W_METRIC_POPULATION, delta, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "proj_1000pc.pt"));
    remove_folder(folder);
}

static void test_shifts(Fixture *fixture, gconstpointer user_data)
{
    const char *const *attributes = w2w_space_get_attributes(fixture->space);
    g_autofree float *before = g_new(float, fixture->p);
    g_autofree float *after = g_new(float, fixture->p);
    g_autofree W2wAttributeShift *shifts = NULL;
    g_autofree W2wAttributeShift *same = NULL;
    g_autoptr(GError) error = NULL;
    gboolean any_outside = FALSE;

    w2w_space_get_person(fixture->space, 0, before, &error);
    g_assert_no_error(error);
    change(fixture, "Eyeglasses=9;protect=Male", W2W_METRIC_POPULATION);
    for (guint j = 0; j < fixture->p; j++)
        after[j] = before[j] + (float)fixture->delta[j];
    shifts = w2w_edits_get_shifts(fixture->space, before, fixture->p, after, fixture->p, &error);
    g_assert_no_error(error);
    for (guint a = 0; attributes[a] != NULL; a++) {
        g_assert_cmpfloat_with_epsilon(shifts[a].after - shifts[a].before,
                                       moved(fixture, attributes[a]), 1e-4);
        if (g_str_equal(attributes[a], "Eyeglasses"))
            any_outside = shifts[a].outside;
        if (g_str_equal(attributes[a], "Male"))
            g_assert_cmpfloat_with_epsilon(shifts[a].after, shifts[a].before, 1e-4);
    }
    g_assert_true(any_outside);
    same = w2w_edits_get_shifts(fixture->space, before, fixture->p, before, fixture->p, &error);
    for (guint a = 0; attributes[a] != NULL; a++) {
        g_assert_cmpfloat(same[a].before, ==, same[a].after);
        g_assert_false(same[a].outside); /* one of the people */
    }
}

static void test_debias(void)
{
    enum { LENGTH = 5 };
    double direction[LENGTH] = {1.0, 2.0, 3.0, 4.0, 5.0};
    const double first[LENGTH] = {1.0, 1.0, 0.0, 0.0, 0.0};
    const double second[LENGTH] = {0.0, 1.0, 1.0, 0.0, 0.0};
    const double *const both[] = {first, second}, *const twice[] = {first, first};
    g_autoptr(GError) error = NULL;
    double dot[2] = {0.0, 0.0};

    g_assert_true(w2w_direction_debias(direction, LENGTH, both, 0, &error));
    g_assert_cmpfloat(direction[0], ==, 1.0);
    g_assert_true(w2w_direction_debias(direction, LENGTH, both, 2, &error));
    g_assert_no_error(error);
    for (guint j = 0; j < LENGTH; j++) {
        dot[0] += direction[j] * first[j];
        dot[1] += direction[j] * second[j];
    }
    g_assert_cmpfloat_with_epsilon(dot[0], 0.0, 1e-12);
    g_assert_cmpfloat_with_epsilon(dot[1], 0.0, 1e-12);
    g_assert_cmpfloat(direction[4], ==, 5.0);
    g_assert_false(w2w_direction_debias(direction, LENGTH, twice, 2, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

#define ADD(path, test) g_test_add(path, Fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/edit/parse", test_parse);
    g_test_add_func("/edit/round-trip", test_round_trip);
    g_test_add_func("/edit/bad-text", test_bad_text);
    g_test_add_func("/edit/one-by-one", test_one_by_one);
    ADD("/edit/zero-changes-nothing", test_zero);
    ADD("/edit/zero-beside-others-changes-no-bit", test_zero_beside_others);
    ADD("/edit/population-moves-what-was-asked", test_population_promises);
    ADD("/edit/population-is-the-smallest", test_population_is_smallest);
    ADD("/edit/component-alone", test_component_alone);
    ADD("/edit/euclidean-adds-up-and-protects", test_euclidean_promises);
    ADD("/edit/bad-edits", test_bad_edits);
    ADD("/edit/shifts", test_shifts);
    g_test_add_func("/edit/without-people", test_without_people);
    g_test_add_func("/edit/debias", test_debias);
    return g_test_run();
}
