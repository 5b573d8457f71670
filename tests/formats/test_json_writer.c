/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON writer: short digits, escapes, and what our own reader reads back. */
#include <math.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"

static void test_digits(void)
{
    const struct {
        double number;
        const char *digits;
    } cases[] = {
        {0.8, "0.8"},
        {-0.1, "-0.1"},
        {3.0, "3"},
        {0.0, "0"},
        {1e300, "1e+300"},
        {1.0 / 3.0, "0.3333333333333333"},
        {5e-324, "4.94065645841247e-324"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *digits = w2w_json_format_double(cases[i].number);

        g_assert_cmpstr(digits, ==, cases[i].digits);
        g_assert_cmpfloat(g_ascii_strtod(digits, NULL), ==, cases[i].number);
    }
}

static void test_round_trip(void)
{
    const char *text =
        "{\"b\": [1, -2.5, true, false, null, \"ä\\\"\\\\\\n\\u0001🙂\"], \"a\": {\"x\": {}, "
        "\"y\": []}, \"seed\": 9007199254740991, \"empty\": \"\"}";
    g_autoptr(JsonNode) node = w2w_json_parse_any(text, strlen(text), "x", NULL);
    g_autofree char *written = NULL;

    g_assert_nonnull(node);
    written = w2w_json_write(node);
    g_assert_cmpstr(written, ==, text); /* order too */
}

static void test_not_finite(void)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_autofree char *written = NULL;

    json_object_set_double_member(object, "x", NAN);
    json_object_set_double_member(object, "y", -INFINITY);
    written = w2w_json_write_object(object);
    g_assert_cmpstr(written, ==, "{\"x\": null, \"y\": null}");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/formats/json-writer/digits", test_digits);
    g_test_add_func("/formats/json-writer/round-trip", test_round_trip);
    g_test_add_func("/formats/json-writer/not-finite", test_not_finite);
    return g_test_run();
}
