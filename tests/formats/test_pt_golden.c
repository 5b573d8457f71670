/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What torch.save() wrote, against what torch.load() reads (pt/expected.json): every
 * file there, by its own name; and every other .pt of the golden folder and the
 * embedded world must read.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/pt.h"
#include "tests/golden_files.h"

/* --- one value against its description --- */

static gboolean compare(const char *where, W2wPtValue *value, JsonNode *expected);

static const char *torch_name(W2wDType dtype)
{
    switch (dtype) {
    case W2W_DTYPE_F32:
        return "float32";
    case W2W_DTYPE_F16:
        return "float16";
    case W2W_DTYPE_BF16:
        return "bfloat16";
    case W2W_DTYPE_F64:
        return "float64";
    case W2W_DTYPE_I8:
        return "int8";
    case W2W_DTYPE_I16:
        return "int16";
    case W2W_DTYPE_I32:
        return "int32";
    case W2W_DTYPE_I64:
        return "int64";
    case W2W_DTYPE_U8:
        return "uint8";
    case W2W_DTYPE_BOOL:
        return "bool";
    }
    g_assert_not_reached();
}

static gboolean differs(const char *where, const char *what)
{
    g_test_fail_printf("%s: %s", where, what);
    return FALSE;
}

static gboolean compare_array(const char *where, W2wPtValue *value, JsonObject *expected)
{
    JsonArray *shape = json_object_get_array_member(expected, "shape");
    JsonArray *values = json_object_get_array_member(expected, "values");
    W2wArray *array;

    if (w2w_pt_value_get_type(value) != W2W_PT_ARRAY)
        return differs(where, "a tensor was expected");
    array = w2w_pt_value_get_array(value);
    if (g_strcmp0(torch_name(array->dtype), json_object_get_string_member(expected, "dtype")) != 0)
        return differs(where, "another dtype was expected");
    if (json_array_get_length(shape) != array->n_dims ||
        json_array_get_length(values) != array->n_elements)
        return differs(where, "another shape was expected");
    for (guint d = 0; d < array->n_dims; d++) {
        if (json_array_get_int_element(shape, d) != array->shape[d])
            return differs(where, "another shape was expected");
    }
    for (guint i = 0; i < array->n_elements; i++) {
        if (json_array_get_double_element(values, i) != w2w_array_get(array, i))
            return differs(where, "another number was expected");
    }
    return TRUE;
}

static gboolean compare_scalar(const char *where, W2wPtValue *value, JsonNode *expected)
{
    const W2wPtType type = w2w_pt_value_get_type(value);
    gboolean ok = FALSE;

    if (JSON_NODE_HOLDS_NULL(expected)) /* NaN, in a DataFrame */
        ok = type == W2W_PT_NONE || (type == W2W_PT_FLOAT && isnan(w2w_pt_value_get_float(value)));
    else if (json_node_get_value_type(expected) == G_TYPE_STRING)
        ok = type == W2W_PT_STRING &&
             strcmp(w2w_pt_value_get_string(value), json_node_get_string(expected)) == 0;
    else if (json_node_get_value_type(expected) == G_TYPE_BOOLEAN)
        ok = type == W2W_PT_BOOL && w2w_pt_value_get_bool(value) == json_node_get_boolean(expected);
    else if (json_node_get_value_type(expected) == G_TYPE_INT64)
        ok = type == W2W_PT_INT && w2w_pt_value_get_int(value) == json_node_get_int(expected);
    else
        ok =
            type == W2W_PT_FLOAT && w2w_pt_value_get_float(value) == json_node_get_double(expected);
    return ok || differs(where, "another value was expected");
}

static gboolean compare_data_frame(const char *where, W2wPtValue *value, JsonObject *expected)
{
    JsonObject *columns = json_object_get_object_member(expected, "dataframe");
    JsonArray *index = json_object_get_array_member(expected, "index");
    g_autoptr(GList) names = json_object_get_members(columns);
    guint column = 0;

    if (w2w_pt_value_get_type(value) != W2W_PT_DATAFRAME ||
        w2w_pt_value_get_n_columns(value) != json_object_get_size(columns) ||
        w2w_pt_value_get_n_rows(value) != json_array_get_length(index))
        return differs(where, "a DataFrame of another size was expected");
    for (guint row = 0; row < json_array_get_length(index); row++) {
        g_autoptr(W2wPtValue) label = w2w_pt_value_get_index(value, row);

        if (!compare_scalar(where, label, json_array_get_element(index, row)))
            return FALSE;
    }
    for (const GList *name = names; name != NULL; name = name->next, column++) {
        JsonArray *cells = json_object_get_array_member(columns, name->data);

        if (strcmp(w2w_pt_value_get_string(w2w_pt_value_get_column_name(value, column)),
                   name->data) != 0)
            return differs(where, "another column was expected");
        for (guint row = 0; row < json_array_get_length(cells); row++) {
            g_autoptr(W2wPtValue) cell = w2w_pt_value_get_cell(value, column, row);

            if (!compare_scalar(where, cell, json_array_get_element(cells, row)))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean compare_dict(const char *where, W2wPtValue *value, JsonObject *expected)
{
    g_autoptr(GList) keys = json_object_get_members(expected);
    guint i = 0;

    if (w2w_pt_value_get_type(value) != W2W_PT_DICT ||
        w2w_pt_value_get_length(value) != json_object_get_size(expected))
        return differs(where, "a dictionary of another size was expected");
    for (const GList *key = keys; key != NULL; key = key->next, i++) {
        g_autofree char *inside = g_strdup_printf("%s[“%s”]", where, (char *)key->data);

        if (strcmp(w2w_pt_value_get_string(w2w_pt_value_get_key(value, i)), key->data) != 0)
            return differs(where, "another order of the keys was expected");
        if (w2w_pt_value_lookup(value, key->data) != w2w_pt_value_get_item(value, i))
            return differs(where, "a key finds another value");
        if (!compare(inside, w2w_pt_value_get_item(value, i),
                     json_object_get_member(expected, key->data)))
            return FALSE;
    }
    return TRUE;
}

static gboolean compare(const char *where, W2wPtValue *value, JsonNode *expected)
{
    if (JSON_NODE_HOLDS_OBJECT(expected)) {
        JsonObject *object = json_node_get_object(expected);

        if (json_object_has_member(object, "dtype") && json_object_has_member(object, "values"))
            return compare_array(where, value, object);
        if (json_object_has_member(object, "dataframe"))
            return compare_data_frame(where, value, object);
        return compare_dict(where, value, object);
    }
    if (JSON_NODE_HOLDS_ARRAY(expected)) {
        JsonArray *array = json_node_get_array(expected);

        if (w2w_pt_value_get_type(value) != W2W_PT_LIST ||
            w2w_pt_value_get_length(value) != json_array_get_length(array))
            return differs(where, "a list of another length was expected");
        for (guint i = 0; i < json_array_get_length(array); i++) {
            g_autofree char *inside = g_strdup_printf("%s[%u]", where, i);

            if (!compare(inside, w2w_pt_value_get_item(value, i), json_array_get_element(array, i)))
                return FALSE;
        }
        return TRUE;
    }
    return compare_scalar(where, value, expected);
}

/* --- the files --- */

typedef struct {
    char *path;
    JsonNode *expected; /* NULL: it must read, whatever it holds */
} Case;

static void free_case(gpointer data)
{
    Case *test_case = data;

    g_free(test_case->path);
    g_clear_pointer(&test_case->expected, json_node_unref);
    g_free(test_case);
}

/* Evil files would leave pwned.txt in the current folder. */
static void assert_nothing_was_run(void)
{
    g_assert_false(g_file_test("pwned.txt", G_FILE_TEST_EXISTS));
}

static void test_refused(gconstpointer data)
{
    const Case *test_case = data;
    g_autofree char *name = g_path_get_basename(test_case->path);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPtValue) value = w2w_pt_open(test_case->path, &error);

    assert_nothing_was_run();
    g_assert_null(value);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, name));
    g_assert_nonnull(strstr(error->message, "byte ")); /* where */
    g_assert_true(g_str_has_suffix(error->message, "."));
}

static void test_read(gconstpointer data)
{
    const Case *test_case = data;
    g_autofree char *name = g_path_get_basename(test_case->path);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPtValue) value = w2w_pt_open(test_case->path, &error);

    g_assert_no_error(error);
    if (test_case->expected != NULL)
        compare(name, value, test_case->expected);
}

static W2wPtValue *open_space(const char *name)
{
    g_autofree char *relative = g_build_filename("space", name, NULL);
    g_autofree char *path = w2w_golden_path(relative);
    g_autoptr(GError) error = NULL;
    W2wPtValue *value = w2w_pt_open(path, &error);

    g_assert_no_error(error);
    return value;
}

static void assert_space_shape(const char *name, gint64 n_rows, gint64 n_columns)
{
    g_autoptr(W2wPtValue) value = open_space(name);
    const gint64 shape[] = {n_rows, n_columns};

    g_assert_cmpint(w2w_pt_value_get_type(value), ==, W2W_PT_ARRAY);
    g_assert_true(w2w_array_has_shape(w2w_pt_value_get_array(value), n_columns > 0 ? 2 : 1, shape));
}

/* The golden space's own files have the sizes that space.json says. */
static void test_space(void)
{
    g_autofree char *path = w2w_golden_path("space.json");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) space = w2w_json_load(path, &error);
    g_autoptr(W2wPtValue) frame = NULL, dimensions = NULL;
    gint64 n, components, with_statistics, people;
    JsonArray *shapes;

    g_assert_no_error(error);
    n = json_object_get_int_member(space, "n");
    components = json_object_get_int_member(space, "components");
    with_statistics = json_object_get_int_member(space, "components_with_statistics");
    people = json_object_get_int_member(space, "people");
    assert_space_shape("V.pt", n, components);
    assert_space_shape("mean.pt", n, 0);
    assert_space_shape("std.pt", n, 0);
    assert_space_shape("proj_1000pc.pt", people, with_statistics);
    assert_space_shape("pinverse_1000pc.pt", with_statistics, people);

    frame = open_space("identity_df.pt");
    g_assert_cmpint(w2w_pt_value_get_type(frame), ==, W2W_PT_DATAFRAME);
    g_assert_cmpint(w2w_pt_value_get_n_rows(frame), ==, people);
    g_assert_cmpuint(w2w_pt_value_get_n_columns(frame), >=,
                     json_array_get_length(json_object_get_array_member(space, "attributes")));

    dimensions = open_space("weight_dimensions.pt");
    shapes = json_object_get_array_member(space, "shapes");
    g_assert_cmpint(w2w_pt_value_get_type(dimensions), ==, W2W_PT_DICT);
    g_assert_cmpuint(w2w_pt_value_get_length(dimensions), ==, json_array_get_length(shapes));
    for (guint i = 0; i < json_array_get_length(shapes); i++) {
        JsonArray *shape = json_array_get_array_element(shapes, i);
        W2wPtValue *entry = w2w_pt_value_get_item(dimensions, i); /* ((size,), (rows, columns)) */
        W2wPtValue *sizes = w2w_pt_value_get_item(entry, w2w_pt_value_get_length(entry) - 1);

        g_assert_cmpuint(w2w_pt_value_get_length(sizes), ==, json_array_get_length(shape));
        for (guint d = 0; d < json_array_get_length(shape); d++)
            g_assert_cmpint(w2w_pt_value_get_int(w2w_pt_value_get_item(sizes, d)), ==,
                            json_array_get_int_element(shape, d));
    }
}

/* Damage of honest files: cut anywhere, and each byte changed. */
static void test_damage(gconstpointer data)
{
    const Case *test_case = data;
    g_autofree char *contents = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(test_case->path, &contents, &length, NULL));
    for (gsize i = 0; i < length; i++) {
        for (guint way = 0; way < 3; way++) {
            guint8 *copy = g_memdup2(contents, length);
            g_autoptr(GBytes) bytes = g_bytes_new_take(copy, way == 0 ? i : length);
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wPtValue) value = NULL;

            copy[i] ^= way == 1 ? 0xff : 1;
            value = w2w_pt_open_bytes(bytes, "damaged", &error);
            g_assert_true((value == NULL) == (error != NULL));
        }
    }
    assert_nothing_was_run();
}

static void add_case(const char *kind, const char *path, JsonNode *expected, GTestDataFunc function)
{
    Case *test_case = g_new0(Case, 1);
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *test_path = g_strconcat("/pt/", kind, "/", name, NULL);

    test_case->path = g_strdup(path);
    test_case->expected = expected != NULL ? json_node_copy(expected) : NULL;
    g_test_add_data_func_full(test_path, test_case, function, free_case);
}

static void add_expected(void)
{
    g_autofree char *json_path = w2w_golden_path("pt/expected.json");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) expected = w2w_json_load(json_path, &error);
    JsonObjectIter iterator;
    const char *name;
    JsonNode *node;

    if (expected == NULL)
        g_error("%s", error->message);
    json_object_iter_init(&iterator, expected);
    while (json_object_iter_next(&iterator, &name, &node)) {
        g_autofree char *relative = g_build_filename("pt", name, NULL);
        g_autofree char *path = w2w_golden_path(relative);

        if (JSON_NODE_HOLDS_OBJECT(node) &&
            json_object_has_member(json_node_get_object(node), "reject")) {
            add_case("refused", path, NULL, test_refused);
        } else {
            add_case("read", path, node, test_read);
            add_case("damage-is-no-crash", path, NULL, test_damage);
        }
    }
}

static void add_folder(const char *kind, const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    const char *name;
    guint n = 0;

    if (dir == NULL)
        g_error("%s", error->message);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (g_str_has_suffix(name, ".pt")) {
            add_case(kind, path, NULL, test_read);
            n++;
        }
    }
    if (n == 0)
        g_error("There is no .pt file in %s.", folder);
}

int main(int argc, char **argv)
{
    g_autofree char *space = w2w_golden_path("space"), *world = NULL;

    g_test_init(&argc, &argv, NULL);
    world = g_build_filename(g_getenv("W2W_DATA_DIR"), "space", NULL);
    add_expected();
    g_test_add_func("/pt/space-has-the-sizes-of-space.json", test_space);
    add_folder("golden-space", space);
    add_folder("world-space", world);
    return g_test_run();
}
