/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The comparisons with golden files can fail: each is run in a process of its own with
 * numbers just inside and just outside of the tolerance.
 */
#include <math.h>
#include <string.h>

#include "tests/golden_files.h"

/* The first array of tolerances.json that is there and has more than one number. */
static void find_array(W2wGolden *golden, const char **file, const char **key)
{
    JsonObjectIter files, keys;
    JsonNode *file_node, *key_node;

    json_object_iter_init(&files, w2w_golden_get_tolerances(golden));
    while (json_object_iter_next(&files, file, &file_node)) {
        if (!w2w_golden_has_file(golden, *file))
            continue;
        json_object_iter_init(&keys, json_node_get_object(file_node));
        while (json_object_iter_next(&keys, key, &key_node)) {
            const W2wArray *array = w2w_safetensors_peek(w2w_golden_get_file(golden, *file), *key);

            if (array != NULL && array->n_elements > 1)
                return;
        }
    }
    g_error("No array in the golden folder has a tolerance.");
}

/* The golden numbers with `part` of the tolerance of the largest difference added to one. */
static void compare_moved(double part)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    const char *file, *key;
    JsonObject *tolerance;
    g_autofree double *values = NULL;
    W2wArray *array;

    find_array(golden, &file, &key);
    array = w2w_golden_get(golden, file, key);
    tolerance = json_object_get_object_member(
        json_object_get_object_member(w2w_golden_get_tolerances(golden), file), key);
    values = g_new(double, array->n_elements);
    w2w_array_to_f64(array, values);
    values[1] +=
        part * json_object_get_double_member(tolerance, "unit") *
        MIN(json_object_get_double_member(tolerance, "max"),
            json_object_get_double_member(tolerance, "rms") * sqrt((double)array->n_elements));
    w2w_golden_compare_f64(golden, file, key, NULL, values);
}

static void moved_inside(void)
{
    compare_moved(0.99);
}

static void moved_outside(void)
{
    compare_moved(1.01);
}

static void not_a_number(void)
{
    compare_moved(NAN);
}

static void same_f32(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(w2w_golden_mini_dir());
    const char *file, *key;
    g_autofree float *values = NULL;

    find_array(golden, &file, &key);
    values = w2w_golden_get_f32(golden, file, key);
    w2w_golden_compare(golden, file, key, NULL, values);
}

static W2wArray *bytes_array(guint n)
{
    const gint64 shape[] = {n};
    g_autoptr(GBytes) bytes = g_bytes_new_take(g_malloc0(n), n);

    return w2w_array_new_view(W2W_DTYPE_U8, 1, shape, NULL, bytes, 0, "x", NULL);
}

/* Of 2000 values, 2 may be 1 off. */
static void compare_picture(guint n_off, guint8 off)
{
    g_autoptr(W2wArray) expected = bytes_array(2000);
    g_autofree guint8 *actual = g_malloc0(2000);

    memset(actual, off, n_off);
    w2w_golden_compare_u8("a picture", expected, actual);
}

static void two_values_off(void)
{
    compare_picture(2, 1);
}

static void three_values_off(void)
{
    compare_picture(3, 1);
}

static void one_value_far_off(void)
{
    compare_picture(1, 2);
}

static void integers_differ(void)
{
    g_autoptr(W2wArray) expected = bytes_array(3);
    const gint64 actual[] = {0, 1, 0};

    w2w_golden_compare_i64("ids", expected, actual);
}

static const struct Trial {
    const char *name;
    void (*run)(void);
    gboolean passes;
} trials[] = {
    {"moved-inside", moved_inside, TRUE},
    {"moved-outside", moved_outside, FALSE},
    {"not-a-number", not_a_number, FALSE},
    {"same", same_f32, TRUE},
    {"picture-two-off", two_values_off, TRUE},
    {"picture-three-off", three_values_off, FALSE},
    {"picture-one-far-off", one_value_far_off, FALSE},
    {"integers-differ", integers_differ, FALSE},
};

static void test_trial(gconstpointer data)
{
    const struct Trial *trial = data;

    if (g_test_subprocess()) {
        trial->run();
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    if (trial->passes)
        g_test_trap_assert_passed();
    else
        g_test_trap_assert_failed();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(trials); i++) {
        g_autofree char *path = g_strdup_printf(
            "/golden-files/%s/%s", trials[i].passes ? "passes" : "fails", trials[i].name);

        g_test_add_data_func(path, &trials[i], test_trial);
    }
    return g_test_run();
}
