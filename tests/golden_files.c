/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Golden folders: opening, and comparing in the units of tolerances.json. */
#include "tests/golden_files.h"

#include <math.h>

#include "engine/formats/json.h"

/* Of an 8-bit picture's values this part may be 1 off: float32 rounds on either side of a half. */
#define U8_PART_OFF 0.001

struct _W2wGolden {
    char *dir;
    JsonObject *params, *tolerances;
    GHashTable *files; /* name → W2wSafetensors */
};

static const char *test_source_dir(const char *name)
{
    static GHashTable *dirs; /* kept: callers hold the strings as long as they like */
    const char *source_dir = g_getenv("W2W_TEST_SOURCE_DIR");
    char *dir;

    if (source_dir == NULL)
        g_error("Golden tests need W2W_TEST_SOURCE_DIR: the folder “tests” of the sources.");
    if (dirs == NULL)
        dirs = g_hash_table_new(g_str_hash, g_str_equal);
    dir = g_hash_table_lookup(dirs, name);
    if (dir == NULL) {
        dir = g_build_filename(source_dir, "golden", name, NULL);
        g_hash_table_insert(dirs, g_strdup(name), dir);
    }
    return dir;
}

const char *w2w_golden_dir(void)
{
    const char *dir = g_getenv("W2W_GOLDEN");

    return dir != NULL && *dir != 0 ? dir : test_source_dir("a");
}

const char *w2w_golden_mini_dir(void)
{
    static char *dir; /* kept, as those above */
    const char *data = g_getenv("W2W_DATA_DIR");

    if (data == NULL)
        g_error("Golden tests need W2W_DATA_DIR: the folder “data” of the sources.");
    if (dir == NULL)
        dir = g_build_filename(data, "selftest", NULL);
    return dir;
}

char *w2w_golden_path(const char *name)
{
    return g_build_filename(w2w_golden_dir(), name, NULL);
}

W2wGolden *w2w_golden_open(const char *dir)
{
    W2wGolden *golden = g_new0(W2wGolden, 1);

    golden->dir = g_strdup(dir != NULL ? dir : w2w_golden_dir());
    golden->files = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                          (GDestroyNotify)w2w_safetensors_free);
    if (!g_file_test(golden->dir, G_FILE_TEST_IS_DIR))
        g_error("There is no folder %s with golden files.", golden->dir);
    return golden;
}

void w2w_golden_free(W2wGolden *golden)
{
    if (golden == NULL)
        return;
    g_clear_pointer(&golden->params, json_object_unref);
    g_clear_pointer(&golden->tolerances, json_object_unref);
    g_hash_table_unref(golden->files);
    g_free(golden->dir);
    g_free(golden);
}

const char *w2w_golden_get_dir(const W2wGolden *golden)
{
    return golden->dir;
}

char *w2w_golden_get_path(const W2wGolden *golden, const char *name)
{
    return g_build_filename(golden->dir, name, NULL);
}

static JsonObject *load_json(const W2wGolden *golden, const char *name, JsonObject **cache)
{
    g_autofree char *path = w2w_golden_get_path(golden, name);
    g_autoptr(GError) error = NULL;

    if (*cache == NULL)
        *cache = w2w_json_load(path, &error);
    if (*cache == NULL)
        g_error("%s", error->message);
    return *cache;
}

JsonObject *w2w_golden_get_params(W2wGolden *golden)
{
    return load_json(golden, "params.json", &golden->params);
}

JsonObject *w2w_golden_get_tolerances(W2wGolden *golden)
{
    return load_json(golden, "tolerances.json", &golden->tolerances);
}

static char *safetensors_path(const W2wGolden *golden, const char *file)
{
    g_autofree char *name = g_strconcat(file, ".safetensors", NULL);

    return w2w_golden_get_path(golden, name);
}

gboolean w2w_golden_has_file(const W2wGolden *golden, const char *file)
{
    g_autofree char *path = safetensors_path(golden, file);

    return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

W2wSafetensors *w2w_golden_get_file(W2wGolden *golden, const char *file)
{
    W2wSafetensors *opened = g_hash_table_lookup(golden->files, file);
    g_autofree char *path = safetensors_path(golden, file);
    g_autoptr(GError) error = NULL;

    if (opened == NULL) {
        opened = w2w_safetensors_open(path, &error);
        if (opened == NULL)
            g_error("%s", error->message);
        g_hash_table_insert(golden->files, g_strdup(file), opened);
    }
    return opened;
}

W2wArray *w2w_golden_get(W2wGolden *golden, const char *file, const char *key)
{
    W2wSafetensors *opened = w2w_golden_get_file(golden, file);
    W2wArray *array = w2w_safetensors_peek(opened, key);

    if (array == NULL)
        g_error("%s lacks the tensor “%s”.", w2w_safetensors_get_name(opened), key);
    return array;
}

float *w2w_golden_get_f32(W2wGolden *golden, const char *file, const char *key)
{
    const W2wArray *array = w2w_golden_get(golden, file, key);
    float *values = g_new(float, MAX(array->n_elements, 1));

    w2w_array_to_f32(array, values);
    return values;
}

static double tolerance(W2wGolden *golden, const char *file, const char *key, const char *member)
{
    JsonObject *object = w2w_golden_get_tolerances(golden);

    for (const char *const *name = (const char *const[]){file, key, NULL}; *name != NULL; name++) {
        JsonNode *node = json_object_get_member(object, *name);

        if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
            g_error("%s/tolerances.json has no entry for %s of %s.", golden->dir, key, file);
        object = json_node_get_object(node);
    }
    if (!json_object_has_member(object, member))
        g_error("%s/tolerances.json has no %s for %s of %s.", golden->dir, member, key, file);
    return json_object_get_double_member(object, member);
}

/* "[1, 0, 5]" of flat index `i`. */
static char *index_to_string(const W2wArray *array, gint64 i)
{
    GString *string = g_string_new("]");

    for (guint d = array->n_dims; d-- > 0;) {
        g_autofree char *number =
            g_strdup_printf("%s%" G_GINT64_FORMAT, d > 0 ? ", " : "", i % array->shape[d]);

        g_string_prepend(string, number);
        i /= array->shape[d];
    }
    g_string_prepend_c(string, '[');
    return g_string_free(string, FALSE);
}

static gboolean compare_floats(W2wGolden *golden, const char *file, const char *key,
                               const W2wArray *expected, const float *actual_f32,
                               const double *actual_f64)
{
    const double unit = tolerance(golden, file, key, "unit");
    const double rms_allowed = tolerance(golden, file, key, "rms");
    const double max_allowed = tolerance(golden, file, key, "max");
    g_autofree double *values = NULL;
    g_autofree char *worst = NULL;
    double sum = 0.0, largest = 0.0, rms;
    gint64 worst_index = 0;
    gboolean ok;

    if (expected == NULL)
        expected = w2w_golden_get(golden, file, key);
    values = g_new(double, MAX(expected->n_elements, 1));
    w2w_array_to_f64(expected, values);
    for (gint64 i = 0; i < expected->n_elements; i++) {
        const double actual = actual_f32 != NULL ? (double)actual_f32[i] : actual_f64[i];
        double difference = actual == values[i] ? 0.0 : fabs(actual - values[i]) / unit;

        if (isnan(difference)) /* on either side: never near enough */
            difference = INFINITY;
        sum += difference * difference;
        if (difference > largest) {
            largest = difference;
            worst_index = i;
        }
    }
    rms = expected->n_elements > 0 ? sqrt(sum / (double)expected->n_elements) : 0.0;
    ok = rms <= rms_allowed && largest <= max_allowed;
    g_test_message("%s %s: rms %.3g (allowed %.3g), max %.3g (allowed %.3g) units of %.3g", file,
                   key, rms, rms_allowed, largest, max_allowed, unit);
    if (!ok) {
        worst = index_to_string(expected, worst_index);
        g_test_fail_printf(
            "%s %s is too far from the original: rms %.3g of %.3g, max %.3g of "
            "%.3g units; worst at %s (flat %" G_GINT64_FORMAT "): %.9g where %.9g was expected",
            file, key, rms, rms_allowed, largest, max_allowed, worst, worst_index,
            actual_f32 != NULL ? (double)actual_f32[worst_index] : actual_f64[worst_index],
            values[worst_index]);
    }
    return ok;
}

gboolean w2w_golden_compare(W2wGolden *golden, const char *file, const char *key,
                            const W2wArray *expected, const float *actual)
{
    return compare_floats(golden, file, key, expected, actual, NULL);
}

gboolean w2w_golden_compare_f64(W2wGolden *golden, const char *file, const char *key,
                                const W2wArray *expected, const double *actual)
{
    return compare_floats(golden, file, key, expected, NULL, actual);
}

gboolean w2w_golden_compare_i64(const char *what, const W2wArray *expected, const gint64 *actual)
{
    gint64 n_different = 0, first = 0;
    g_autofree char *where = NULL;

    for (gint64 i = expected->n_elements; i-- > 0;) {
        if (w2w_array_get_int(expected, i) != actual[i]) {
            n_different++;
            first = i;
        }
    }
    g_test_message("%s: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " integers differ", what,
                   n_different, expected->n_elements);
    if (n_different > 0) {
        where = index_to_string(expected, first);
        g_test_fail_printf("%s: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                           " integers differ; first at %s: %" G_GINT64_FORMAT
                           " where %" G_GINT64_FORMAT " was expected",
                           what, n_different, expected->n_elements, where, actual[first],
                           w2w_array_get_int(expected, first));
    }
    return n_different == 0;
}

gboolean w2w_golden_compare_u8(const char *what, const W2wArray *expected, const guint8 *actual)
{
    gint64 n_off = 0, worst_index = 0;
    int largest = 0;
    g_autofree char *where = NULL;
    gboolean ok;

    for (gint64 i = 0; i < expected->n_elements; i++) {
        const int difference = ABS((int)w2w_array_get(expected, i) - (int)actual[i]);

        n_off += difference != 0;
        if (difference > largest) {
            largest = difference;
            worst_index = i;
        }
    }
    ok = largest <= 1 && (double)n_off <= U8_PART_OFF * (double)expected->n_elements;
    g_test_message("%s: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " values differ, by at most %d",
                   what, n_off, expected->n_elements, largest);
    if (!ok) {
        where = index_to_string(expected, worst_index);
        g_test_fail_printf("%s: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                           " values differ, by at most %d; worst at %s: %d where %d was expected",
                           what, n_off, expected->n_elements, largest, where,
                           (int)actual[worst_index], (int)w2w_array_get(expected, worst_index));
    }
    return ok;
}
