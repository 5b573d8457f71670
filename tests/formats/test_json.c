/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The strict JSON parser: what it reads, what it refuses, and where. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/formats/archive_maker.h"

static JsonObject *parse(const char *text, GError **error)
{
    return w2w_json_parse(text, strlen(text), "x.json", error);
}

static void test_values(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = parse(
        " {\"a\" : [1, -2.5e1, true, false, null, \"\\u00e4\\n\\\"\\ud83d\\ude42\"],\r\n\t\"b\":"
        "{\"c\": {}, \"d\": []}, \"\": 0}\n",
        &error);
    JsonArray *array;

    g_assert_no_error(error);
    array = json_object_get_array_member(object, "a");
    g_assert_cmpuint(json_array_get_length(array), ==, 6);
    g_assert_cmpint(json_array_get_int_element(array, 0), ==, 1);
    g_assert_cmpfloat(json_array_get_double_element(array, 1), ==, -25.0);
    g_assert_true(json_array_get_boolean_element(array, 2));
    g_assert_false(json_array_get_boolean_element(array, 3));
    g_assert_true(json_array_get_null_element(array, 4));
    g_assert_cmpstr(json_array_get_string_element(array, 5), ==, "ä\n\"🙂");
    g_assert_cmpuint(json_object_get_size(json_object_get_object_member(object, "b")), ==, 2);
    g_assert_true(json_object_has_member(object, ""));
}

static void test_numbers(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object =
        parse("{\"max\": 9223372036854775807, \"min\": -9223372036854775808, \"more\": "
              "9223372036854775808, \"tiny\": 1e-400, \"huge\": 1E+400, \"zero\": -0, "
              "\"third\": 0.3333333333333333}",
              &error);

    g_assert_no_error(error);
    g_assert_cmpint(json_object_get_int_member(object, "max"), ==, G_MAXINT64);
    g_assert_cmpint(json_object_get_int_member(object, "min"), ==, G_MININT64);
    g_assert_true(json_node_get_value_type(json_object_get_member(object, "more")) ==
                  G_TYPE_DOUBLE);
    g_assert_cmpfloat(json_object_get_double_member(object, "more"), ==, 0x1p63);
    g_assert_cmpfloat(json_object_get_double_member(object, "tiny"), ==, 0.0);
    g_assert_true(isinf(json_object_get_double_member(object, "huge")));
    g_assert_cmpint(json_object_get_int_member(object, "zero"), ==, 0);
    g_assert_cmpfloat(json_object_get_double_member(object, "third"), ==, 0.3333333333333333);
}

/* As diffusers writes scheduler configs. */
static void test_not_finite(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object =
        parse("{\"lambda_min_clipped\": -Infinity, \"a\": Infinity, \"b\": [NaN]}", &error);

    g_assert_no_error(error);
    g_assert_cmpfloat(json_object_get_double_member(object, "lambda_min_clipped"), ==, -INFINITY);
    g_assert_cmpfloat(json_object_get_double_member(object, "a"), ==, INFINITY);
    g_assert_true(
        isnan(json_array_get_double_element(json_object_get_array_member(object, "b"), 0)));
}

static void test_refused(void)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "ends where a value"},
        {"[1]", "hold a JSON object"},
        {"{\"a\": 1, \"b\": 2, \"a\": 3}", "column 18: the key “a” is there twice"},
        {"{\n  \"x\": {\n    \"q\": 1,\n    \"q\": 1}}", "line 4, column 5: the key “q”"},
        {"{\"\\u0061\": 1, \"a\": 2}", "the key “a” is there twice"},
        {"{\"a\": 1,}", "a key in quotes"},
        {"{\"a\": [1,]}", "found “]” where a value"},
        {"{\"a\" 1}", "a colon"},
        {"{\"a\": 1 \"b\": 2}", "a comma or “}”"},
        {"{\"a\": [1 2]}", "a comma or “]”"},
        {"{\"a\": [1}", "a comma or “]”"},
        {"{a: 1}", "a key in quotes"},
        {"{'a': 1}", "a key in quotes"},
        {"{\"a\": 1} x", "the end of the text"},
        {"{\"a\": 1}{}", "the end of the text"},
        {"{\"a\": 1", "ends where a comma"},
        {"{\"a", "a string that begins here"},
        {"{\"a\": \"\t\"}", "control characters"},
        {"{\"a\": \"\\x\"}", "unknown escape"},
        {"{\"a\": \"\\u12g4\"}", "hexadecimal"},
        {"{\"a\": \"\\u0000\"}", "NUL"},
        {"{\"a\": \"\\ud83d\"}", "surrogate"},
        {"{\"a\": \"\\ud83d\\u0041\"}", "surrogate"},
        {"{\"a\": \"\\ude42\"}", "surrogate"},
        {"{\"a\": 01}", "a comma"},
        {"{\"a\": .5}", "a value"},
        {"{\"a\": 1.}", "not a number"},
        {"{\"a\": -}", "not a number"},
        {"{\"a\": 1e}", "not a number"},
        {"{\"a\": +1}", "a value"},
        {"{\"a\": tru}", "a value"},
        {"{\"a\": nan}", "a value"},
        {"{\"a\": /* */ 1}", "a value"},
        {"{\"a\": \"\xff\"}", "column 8: this is not UTF-8"},
        {"\xef\xbb\xbf{}", "a value"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(parse(cases[i].text, &error));
        g_assert_nonnull(error);
        g_assert_true(g_str_has_prefix(error->message, "x.json "));
        w2w_assert_refused(&error, W2W_ERROR_FORMAT, cases[i].part);
    }
}

static void test_nul(void)
{
    static const char text[] = "{\"a\": \"b\0c\"}";
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_json_parse(text, sizeof text - 1, "x.json", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "column 9: a NUL character");
}

static char *nested(guint depth, const char *opening, const char *closing)
{
    GString *text = g_string_new("{\"a\":");

    for (guint i = 0; i < depth; i++)
        g_string_append(text, opening);
    g_string_append(text, "1");
    for (guint i = 0; i < depth; i++)
        g_string_append(text, closing);
    g_string_append(text, "}");
    return g_string_free(text, FALSE);
}

static void test_nesting(void)
{
    g_autofree char *allowed = nested(W2W_JSON_MAX_DEPTH - 1, "[", "]");
    g_autofree char *too_deep = nested(W2W_JSON_MAX_DEPTH, "{\"b\":", "}");
    g_autofree char *evil = nested(1000000, "[", "]");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = parse(allowed, &error);

    g_assert_no_error(error);
    g_assert_nonnull(object);
    g_assert_null(parse(too_deep, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "nested deeper");
    g_assert_null(parse(evil, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "nested deeper");
}

static void test_sizes(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) many = g_string_new("{\"a\": [0");
    g_autofree char *text = g_strdup("{}");

    /* The limit is checked before the text is looked at. */
    g_assert_null(w2w_json_parse(text, (gsize)W2W_JSON_MAX_BYTES + 1, "x.json", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "at most 100000000 are accepted");
    for (guint i = 0; i < W2W_JSON_MAX_VALUES; i++)
        g_string_append(many, ",0");
    g_string_append(many, "]}");
    g_assert_null(parse(many->str, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "more than 1000000 values");
}

static void test_files(void)
{
    g_autofree char *dir = g_dir_make_tmp("w2w-json-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "a.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = NULL;

    g_assert_null(w2w_json_load(path, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, "there is no such file");
    g_assert_null(w2w_json_load(dir, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, "not a file");
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    g_assert_null(w2w_json_load(path, &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "a.json is not valid JSON");
    g_assert_true(g_file_set_contents(path, "{\"a\": 1}", -1, NULL));
    object = w2w_json_load(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(json_object_get_int_member(object, "a"), ==, 1);
    g_unlink(path);
    g_rmdir(dir);
}

/* Cut anywhere, and with any byte changed: an error or a value, never a crash. */
static void test_damage(void)
{
    static const char text[] =
        "{\"a\": [1, -2.5e1, true, null, \"\\u00e4\\ud83d\\ude42\"], \"b\": {\"c\": -Infinity}}";

    for (gsize length = 0; length < sizeof text - 1; length++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(w2w_json_parse(text, length, "x", &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    }
    for (gsize i = 0; i < sizeof text - 1; i++) {
        for (guint byte = 0; byte < 256; byte++) {
            g_autofree char *changed = g_memdup2(text, sizeof text - 1);
            g_autoptr(GError) error = NULL;
            g_autoptr(JsonNode) node = NULL;

            changed[i] = (char)byte;
            node = w2w_json_parse_any(changed, sizeof text - 1, "x", &error);
            g_assert_true((node == NULL) == (error != NULL));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/values", test_values);
    g_test_add_func("/json/numbers", test_numbers);
    g_test_add_func("/json/numbers-that-are-not-finite", test_not_finite);
    g_test_add_func("/json/refused-with-place", test_refused);
    g_test_add_func("/json/nul-is-refused", test_nul);
    g_test_add_func("/json/nesting-is-limited", test_nesting);
    g_test_add_func("/json/size-is-limited", test_sizes);
    g_test_add_func("/json/files", test_files);
    g_test_add_func("/json/damage-is-no-crash", test_damage);
    return g_test_run();
}
