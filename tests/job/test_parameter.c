/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of declared parameters: from text, from the wire and back; what is refused. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/job/parameter.h"

static const char *const choices[] = {"red", "green", NULL};

static const W2wParameter parameters[] = {
    {.name = "count", .type = W2W_PARAMETER_INT, .minimum = 1, .maximum = 64, .number = 4},
    {.name = "factor", .type = W2W_PARAMETER_DOUBLE, .minimum = -1, .maximum = 3, .number = 0.5},
    {.name = "words", .type = W2W_PARAMETER_STRING, .string = "some"},
    {.name = "colour", .type = W2W_PARAMETER_CHOICE, .string = "green", .choices = choices},
    {.name = "seed",
     .type = W2W_PARAMETER_SEED,
     .minimum = -1,
     .maximum = W2W_SEED_MAX,
     .number = -1},
    {.name = "edits", .type = W2W_PARAMETER_EDITS},
    {.name = "identity", .type = W2W_PARAMETER_IDENTITY, .flags = W2W_PARAMETER_REQUIRED},
    {.name = "folder", .type = W2W_PARAMETER_PATH},
    {.name = "quiet", .type = W2W_PARAMETER_SWITCH},
    {.name = "loud", .type = W2W_PARAMETER_SWITCH, .number = 1},
    {.name = "picture", .type = W2W_PARAMETER_PICTURE},
    {.name = "people", .type = W2W_PARAMETER_IDENTITIES, .minimum = -2, .maximum = 2},
    {.name = "lora", .type = W2W_PARAMETER_LORAS},
    {.name = "views", .type = W2W_PARAMETER_PICTURES},
};

static W2wValues *new_values(void)
{
    return w2w_values_new(parameters, G_N_ELEMENTS(parameters));
}

static void test_defaults(void)
{
    g_autoptr(W2wValues) values = new_values();
    g_autoptr(GVariant) variant = g_variant_ref_sink(w2w_values_to_variant(values));

    g_assert_cmpint(w2w_values_get_int(values, "count"), ==, 4);
    g_assert_cmpfloat(w2w_values_get_double(values, "factor"), ==, 0.5);
    g_assert_cmpstr(w2w_values_get_string(values, "words"), ==, "some");
    g_assert_cmpuint(w2w_values_get_choice(values, "colour"), ==, 1);
    g_assert_cmpint(w2w_values_get_int(values, "seed"), ==, -1);
    g_assert_cmpstr(w2w_values_get_string(values, "edits"), ==, "");
    g_assert_cmpstr(w2w_values_get_string(values, "folder"), ==, "");
    g_assert_null(w2w_values_get_bytes(values, "identity"));
    g_assert_null(w2w_values_get_bytes(values, "picture"));
    g_assert_false(w2w_values_get_switch(values, "quiet"));
    g_assert_true(w2w_values_get_switch(values, "loud"));
    g_assert_cmpuint(w2w_values_get_n_items(values, "people"), ==, 0);
    g_assert_cmpuint(w2w_values_get_n_items(values, "lora"), ==, 0);
    g_assert_cmpuint(g_variant_n_children(variant), ==, 0);
}

static void test_text(void)
{
    const struct {
        const char *name, *text;
    } accepted[] = {
        {"count", "1"},
        {"count", "64"},
        {"factor", "-1"},
        {"factor", "2.5e0"},
        {"words", ""},
        {"words", "Zoë −1"},
        {"colour", "red"},
        {"seed", "-1"},
        {"seed", "9007199254740991"},
        {"folder", "\xff/rot"},
        {"edits", "Young=0.5;#3=1"},
        {"quiet", "true"},
        {"loud", "false"},
    };
    g_autoptr(W2wValues) values = new_values();
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(accepted); i++) {
        g_assert_true(w2w_values_set_text(values, accepted[i].name, accepted[i].text, &error));
        g_assert_no_error(error);
    }
    g_assert_cmpint(w2w_values_get_int(values, "count"), ==, 64);
    g_assert_cmpfloat(w2w_values_get_double(values, "factor"), ==, 2.5);
    g_assert_cmpstr(w2w_values_get_string(values, "words"), ==, "Zoë −1");
    g_assert_cmpuint(w2w_values_get_choice(values, "colour"), ==, 0);
    g_assert_cmpint(w2w_values_get_int(values, "seed"), ==, W2W_SEED_MAX);
    g_assert_cmpstr(w2w_values_get_string(values, "folder"), ==, "\xff/rot");
    g_assert_true(w2w_values_get_switch(values, "quiet"));
    g_assert_false(w2w_values_get_switch(values, "loud"));
}

static void test_text_refused(void)
{
    const struct {
        const char *name, *text;
    } refused[] = {
        {"count", "0"},
        {"count", "65"},
        {"count", "1.0"},
        {"count", ""},
        {"count", "4 "},
        {"count", "0x4"},
        {"count", "99999999999999999999"},
        {"factor", "3.01"},
        {"factor", "nan"},
        {"factor", "inf"},
        {"factor", "1,5"},
        {"factor", ""},
        {"words", "\xff"},
        {"colour", "blue"},
        {"colour", ""},
        {"colour", "Red"},
        {"seed", "-2"},
        {"seed", "9007199254740992"},
        {"identity", "file"},
        {"quiet", ""},
        {"quiet", "yes"},
        {"picture", "x.png"},
        {"people", "x.safetensors"},
        {"views", "x.png"},
        {"lora", ""},
        {"size", "1"},
    };
    g_autoptr(W2wValues) values = new_values();

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(w2w_values_set_text(values, refused[i].name, refused[i].text, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, refused[i].name));
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
    g_assert_cmpint(w2w_values_get_int(values, "count"), ==, 4); /* as it was */
}

static void assert_lists(const W2wValues *values, GBytes *identity)
{
    double weight = 0.0;

    g_assert_cmpuint(w2w_values_get_n_items(values, "people"), ==, 2);
    g_assert_true(g_bytes_equal(w2w_values_get_item(values, "people", 0, &weight), identity));
    g_assert_cmpfloat(weight, ==, -2.0);
    w2w_values_get_item(values, "people", 1, &weight);
    g_assert_cmpfloat(weight, ==, 0.5);
    g_assert_cmpuint(w2w_values_get_n_items(values, "lora"), ==, 1);
    g_assert_cmpstr(g_bytes_get_data(w2w_values_get_item(values, "lora", 0, &weight), NULL), ==,
                    "\xff");
    g_assert_cmpfloat(weight, ==, 0.25);
    g_assert_cmpuint(w2w_values_get_n_items(values, "views"), ==, 2);
    g_assert_true(g_bytes_equal(w2w_values_get_item(values, "views", 1, &weight), identity));
    g_assert_cmpfloat(weight, ==, W2W_DEFAULT_WEIGHT);
}

static void test_wire_round_trip(void)
{
    g_autoptr(W2wValues) first = new_values();
    g_autoptr(W2wValues) second = new_values();
    g_autoptr(GBytes) bytes = g_bytes_new_static("\0\1\2", 3);
    g_autoptr(GVariant) sent = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(w2w_values_set_text(first, "count", "7", NULL));
    g_assert_true(w2w_values_set_text(first, "factor", "0.1", NULL));
    g_assert_true(w2w_values_set_text(first, "words", "", NULL));
    g_assert_true(w2w_values_set_text(first, "colour", "red", NULL));
    g_assert_true(w2w_values_set_text(first, "seed", "9007199254740991", NULL));
    g_assert_true(w2w_values_set_text(first, "folder", "\xff", NULL));
    g_assert_true(w2w_values_set_bytes(first, "identity", bytes, &error));
    g_assert_true(w2w_values_set_text(first, "quiet", "true", NULL));
    g_assert_true(w2w_values_set_text(first, "loud", "false", NULL));
    g_assert_true(w2w_values_set_bytes(first, "picture", bytes, NULL));
    g_assert_true(w2w_values_add_item(first, "people", bytes, -2.0, NULL));
    g_assert_true(w2w_values_add_item(first, "people", bytes, 0.5, NULL));
    g_assert_true(w2w_values_set_text(first, "lora", "\xff:0.25", NULL));
    for (guint i = 0; i < 2; i++)
        g_assert_true(w2w_values_add_item(first, "views", bytes, W2W_DEFAULT_WEIGHT, NULL));
    sent = g_variant_ref_sink(w2w_values_to_variant(first));
    g_assert_cmpuint(g_variant_n_children(sent), ==, 13);

    g_assert_true(w2w_values_set_variant(second, sent, &error));
    g_assert_no_error(error);
    g_assert_cmpint(w2w_values_get_int(second, "count"), ==, 7);
    g_assert_cmpfloat(w2w_values_get_double(second, "factor"), ==, 0.1);
    g_assert_cmpstr(w2w_values_get_string(second, "words"), ==, "");
    g_assert_cmpuint(w2w_values_get_choice(second, "colour"), ==, 0);
    g_assert_cmpint(w2w_values_get_int(second, "seed"), ==, W2W_SEED_MAX);
    g_assert_cmpstr(w2w_values_get_string(second, "folder"), ==, "\xff");
    g_assert_true(g_bytes_equal(w2w_values_get_bytes(second, "identity"), bytes));
    g_assert_true(g_bytes_equal(w2w_values_get_bytes(second, "picture"), bytes));
    g_assert_true(w2w_values_get_switch(second, "quiet"));
    g_assert_false(w2w_values_get_switch(second, "loud"));
    assert_lists(second, bytes);
    /* What arrives replaces what was there. */
    g_assert_true(w2w_values_set_variant(second, sent, &error));
    assert_lists(second, bytes);
}

static void test_wire_refused(void)
{
    const char *const refused[] = {
        "@a{sv} {'size': <1>}",
        "@a{sv} {'count': <65>}",
        "@a{sv} {'count': <'4'>}",
        "@a{sv} {'count': <int64 4>}",
        "@a{sv} {'factor': <1>}",
        "@a{sv} {'factor': <3.5>}",
        "@a{sv} {'colour': <'blue'>}",
        "@a{sv} {'seed': <int64 -2>}",
        "@a{sv} {'identity': <'text'>}",
        "@a{ss} {'words': 'text'}",
        "@a{sv} {'quiet': <1>}",
        "@a{sv} {'people': <[(b'x', 2.5)]>}",
        "@a{sv} {'people': <b'x'>}",
        "@a{sv} {'views': <[(b'x', 1.0)]>}",
        "@a{sv} {'views': <b'x'>}",
        "@a{sv} {'lora': <[(b'', 1.0)]>}",
        "@a{sv} {'lora': <[([byte 1, 2], 1.0)]>}",
        "@a{sv} {'lora': <[([byte 1, 0, 2, 0], 1.0)]>}",
    };

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(W2wValues) values = new_values();
        g_autoptr(GVariant) variant = g_variant_parse(NULL, refused[i], NULL, NULL, NULL);
        g_autoptr(GError) error = NULL;

        g_assert_nonnull(variant);
        g_assert_false(w2w_values_set_variant(values, variant, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    }
}

static void test_wire_all_or_nothing(void)
{
    g_autoptr(W2wValues) values = new_values();
    g_autoptr(GVariant) variant =
        g_variant_parse(NULL, "@a{sv} {'count': <9>, 'factor': <9.0>}", NULL, NULL, NULL);

    g_assert_false(w2w_values_set_variant(values, variant, NULL));
    g_assert_cmpint(w2w_values_get_int(values, "count"), ==, 4);
}

static void test_required(void)
{
    g_autoptr(W2wValues) values = new_values();
    g_autoptr(GBytes) bytes = g_bytes_new_static("x", 1);
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_values_check_required(values, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "identity"));
    g_assert_true(w2w_values_set_bytes(values, "identity", bytes, NULL));
    g_assert_true(w2w_values_check_required(values, NULL));
    g_clear_error(&error);
    g_assert_false(w2w_values_set_bytes(values, "words", bytes, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

/* At the last colon, where a number follows and the whole is no file. */
static void test_split_weight(void)
{
    g_autofree char *folder = g_dir_make_tmp("w2w-weights-XXXXXX", NULL);
    g_autofree char *there = g_build_filename(folder, "a:2", NULL);
    g_autofree char *weighted = g_strconcat(there, ":-.5", NULL);
    const struct {
        const char *text, *path;
        double weight;
    } cases[] = {
        {"a.pt", "a.pt", 1.0},         {"a.pt:0.8", "a.pt", 0.8},     {"a:b:-1e-1", "a:b", -0.1},
        {"C:/x", "C:/x", 1.0},         {"a.pt:", "a.pt:", 1.0},       {":3", ":3", 1.0},
        {"a.pt:0,8", "a.pt:0,8", 1.0}, {"a.pt:nan", "a.pt:nan", 1.0}, {there, there, 1.0},
        {weighted, there, -0.5},
    };

    g_assert_true(g_file_set_contents(there, "", 0, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        double weight = 0.0;
        g_autofree char *path = w2w_parameter_split_weight(cases[i].text, &weight);

        g_assert_cmpstr(path, ==, cases[i].path);
        g_assert_cmpfloat(weight, ==, cases[i].weight);
    }
    g_unlink(there);
    g_rmdir(folder);
}

static void test_items_refused(void)
{
    g_autoptr(W2wValues) values = new_values();
    g_autoptr(GBytes) bytes = g_bytes_new_static("x", 1);
    const struct {
        const char *name;
        double weight;
    } refused[] = {{"people", 2.1}, {"people", NAN}, {"lora", 1.0},
                   {"words", 1.0},  {"size", 1.0},   {"views", 0.5}};

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(
            w2w_values_add_item(values, refused[i].name, bytes, refused[i].weight, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, refused[i].name));
    }
    g_assert_cmpuint(w2w_values_get_n_items(values, "people"), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/parameter/defaults", test_defaults);
    g_test_add_func("/job/parameter/text", test_text);
    g_test_add_func("/job/parameter/text-refused", test_text_refused);
    g_test_add_func("/job/parameter/wire-round-trip", test_wire_round_trip);
    g_test_add_func("/job/parameter/wire-refused", test_wire_refused);
    g_test_add_func("/job/parameter/wire-all-or-nothing", test_wire_all_or_nothing);
    g_test_add_func("/job/parameter/split-weight", test_split_weight);
    g_test_add_func("/job/parameter/items-refused", test_items_refused);
    g_test_add_func("/job/parameter/required", test_required);
    return g_test_run();
}
