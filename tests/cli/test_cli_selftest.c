/* SPDX-License-Identifier: GPL-3.0-or-later */
/* selftest: what it says of this machine, and that it does notice a wrong number. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "tests/cli/cli_run.h"

static JsonObject *parse(const CliResult *result)
{
    g_autoptr(GError) error = NULL;
    JsonObject *json = w2w_json_parse(result->out, strlen(result->out), "output", &error);

    g_assert_no_error(error);
    return json;
}

/* How many rows have this result; each has a deviation. */
static guint count(JsonObject *json, const char *result)
{
    JsonArray *rows = json_object_get_array_member(json, "comparisons");
    guint n = 0;

    for (guint i = 0; i < json_array_get_length(rows); i++) {
        JsonObject *row = json_array_get_object_element(rows, i);

        g_assert_nonnull(json_object_get_string_member(row, "part"));
        g_assert_true(json_object_has_member(row, "deviation"));
        n += strcmp(json_object_get_string_member(row, "result"), result) == 0;
    }
    return n;
}

static guint count_all(JsonObject *json)
{
    return json_array_get_length(json_object_get_array_member(json, "comparisons"));
}

static void test_passes(void)
{
    g_autoptr(CliResult) result = cli_run("selftest", "--json", NULL);
    g_autofree char *pictures =
        g_build_filename(g_getenv("W2W_DATA_DIR"), "selftest", "pictures.safetensors", NULL);
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(pictures, NULL);
    g_autoptr(JsonObject) json = NULL;

    cli_assert_code(result, 0);
    g_assert_nonnull(file);
    json = parse(result);
    /* All pictures that ship, and at least text, UNet, and VAE both ways. */
    g_assert_cmpuint(count_all(json), >=,
                     g_strv_length((char **)w2w_safetensors_get_keys(file)) + 5);
    g_assert_cmpuint(count(json, "passed"), ==, count_all(json));
    g_assert_nonnull(strstr(json_object_get_string_member(json, "device"), "f32"));
    g_assert_true(*json_object_get_string_member(json, "processor") != 0);
}

/* Not a single picture, and every network; float64 is nearer to the original than is allowed. */
static void test_reference(void)
{
    g_autoptr(CliResult) result =
        cli_run("selftest", "--json", "--device", "reference", "--dtype", "f64", NULL);
    g_autoptr(JsonObject) json = NULL;

    cli_assert_code(result, 0);
    json = parse(result);
    g_assert_cmpuint(count_all(json), >=, 5);
    g_assert_cmpuint(count(json, "passed"), ==, count_all(json));
    g_assert_null(strstr(result->out, "\"picture\""));
}

static void copy_file(const char *from, const char *to)
{
    g_autofree char *data = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(from, &data, &size, NULL));
    g_assert_true(g_file_set_contents(to, data, (gssize)size, NULL));
}

/* The embedded world with one number of the frozen pictures changed. */
static char *make_wrong_data(void)
{
    static const char *const links[] = {"model", "space", "world.json"};
    static const char *const files[] = {"params.json", "tolerances.json", "networks.safetensors",
                                        "pictures.safetensors"};
    const char *data = g_getenv("W2W_DATA_DIR");
    char *folder = cli_make_folder();
    g_autofree char *selftest = g_build_filename(folder, "selftest", NULL);
    g_autofree char *changed = g_build_filename(selftest, "pictures.safetensors", NULL);
    g_autofree char *contents = NULL;
    gsize size;

    for (guint i = 0; i < G_N_ELEMENTS(links); i++) {
        g_autofree char *target = g_build_filename(data, links[i], NULL);
        g_autofree char *link = g_build_filename(folder, links[i], NULL);

        g_assert_cmpint(symlink(target, link), ==, 0);
    }
    g_mkdir(selftest, 0700);
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *from = g_build_filename(data, "selftest", files[i], NULL);
        g_autofree char *to = g_build_filename(selftest, files[i], NULL);

        copy_file(from, to);
    }
    g_assert_true(g_file_get_contents(changed, &contents, &size, NULL));
    contents[size - 1] ^= 0x40; /* a value of a picture */
    g_assert_true(g_file_set_contents(changed, contents, (gssize)size, NULL));
    return folder;
}

static void test_notices(void)
{
    g_autofree char *folder = make_wrong_data();
    g_autofree char *before = g_strdup(g_getenv("W2W_DATA_DIR"));
    g_autoptr(CliResult) result = NULL;
    g_autoptr(CliResult) table = NULL;
    g_autoptr(JsonObject) json = NULL;
    g_autofree char *params = g_build_filename(folder, "selftest", "params.json", NULL);

    g_setenv("W2W_DATA_DIR", folder, TRUE);
    result = cli_run("selftest", "--json", NULL);
    cli_assert_code(result, 1);
    json = parse(result);
    g_assert_cmpuint(count(json, "FAILED"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(json, "failed"), ==, 1);
    g_assert_nonnull(strstr(json_object_get_string_member(json, "error"), "1 of "));
    g_assert_true(g_file_set_contents(params, "{}", -1, NULL));
    table = cli_run("selftest", NULL);
    cli_assert_code(table, 1);
    g_assert_nonnull(strstr(table->err, "Install the program again"));
    g_setenv("W2W_DATA_DIR", before, TRUE);
    cli_remove_folder(folder);
}

static void test_another_world(void)
{
    g_autoptr(CliResult) result = cli_run("selftest", "--world", "/somewhere", NULL);

    cli_assert_code(result, 2);
    g_assert_nonnull(strstr(result->err, "leave --world out"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/selftest/passes", test_passes);
    g_test_add_func("/cli/selftest/reference", test_reference);
    g_test_add_func("/cli/selftest/notices", test_notices);
    g_test_add_func("/cli/selftest/another-world", test_another_world);
    return g_test_run();
}
