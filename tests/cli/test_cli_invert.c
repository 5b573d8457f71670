/* SPDX-License-Identifier: GPL-3.0-or-later */
/* w2w invert as a user runs it: files and report, more pictures, what is refused. */
#include <string.h>

#include "engine/formats/json.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/world.h"
#include "tests/cli/cli_run.h"

static char *face_path(const char *name)
{
    return g_build_filename(w2w_world_get_default_directory(), "faces", name, NULL);
}

static void assert_identity(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wIdentity) identity = w2w_identity_load(path, &error);

    g_assert_no_error(error);
    g_assert_nonnull(strstr(identity->recipe, "\"invert\""));
}

/* The identity, its picture, and the report behind them. */
static void test_files_and_report(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "found.safetensors", NULL);
    g_autofree char *face = face_path("person_05_0.png");
    g_autofree char *more = face_path("person_05_1.png");
    g_autofree char *files = NULL;
    g_autoptr(CliResult) result =
        cli_run("invert", face, "-o", path, "--also-image", more, "--preset", "paper-ood",
                "--steps", "2", "--seed", "3", "--memory", "4G", NULL);

    cli_assert_code(result, 0);
    files = cli_list_folder(folder);
    g_assert_cmpstr(files, ==, "found.png found.safetensors");
    assert_identity(path);
    g_assert_true(g_str_has_prefix(result->out, path));
    g_assert_nonnull(strstr(result->out, "Preset: paper-ood"));
    g_assert_nonnull(strstr(result->out, "a tenth of the space's"));
    g_assert_nonnull(strstr(result->out, "Nearest people:"));
    g_assert_nonnull(strstr(result->out, "Attributes:"));
    g_assert_nonnull(strstr(result->out, "Memory planned:"));
    cli_remove_folder(folder);
}

/* One seed, one identity; the box is the one that was asked for. */
static void test_again_as_json(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *face = face_path("group_1.png");
    g_autofree char *mask = face_path("group_1_mask_0.png");
    g_autofree char *contents[2] = {NULL};
    gsize lengths[2];

    for (guint i = 0; i < 2; i++) {
        g_autofree char *path = g_build_filename(folder, i == 0 ? "a" : "b", NULL);
        g_autoptr(CliResult) result =
            cli_run("invert", face, "--mask", mask, "-o", path, "--steps=2", "--seed=3",
                    "--no-picture", "--crop=selection", "--json", NULL);
        g_autoptr(JsonObject) json = NULL;
        JsonObject *report;

        cli_assert_code(result, 0);
        json = w2w_json_parse(result->out, strlen(result->out), "out", NULL);
        g_assert_nonnull(json);
        report = json_object_get_object_member(
            json_array_get_object_element(json_object_get_array_member(json, "results"), 0),
            "report");
        g_assert_cmpstr(json_object_get_string_member(report, "crop"), ==, "selection");
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(report, "box")), ==, 4);
        g_assert_true(g_file_get_contents(path, &contents[i], &lengths[i], NULL));
    }
    g_assert_cmpmem(contents[0], lengths[0], contents[1], lengths[1]);
    g_free(contents[0]);
    g_free(contents[1]);
    contents[0] = contents[1] = NULL;
    cli_remove_folder(folder);
}

static void test_refused(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x", NULL);
    g_autofree char *face = face_path("person_05_0.png");
    g_autofree char *mask = face_path("group_0_mask_0.png");
    g_autofree char *nothing = face_path("person_99_0.png");
    g_autofree char *files = NULL;
    const struct {
        const char *image, *option, *part;
        int code;
    } cases[] = {
        {face, "--memory=1M", "at least", 1}, {face, "--memory=lots", "memory", 2},
        {face, "--box=1,2", "box", 2},        {face, "--preset=slow", "preset", 2},
        {face, "--lr=-1", "lr", 2},           {nothing, "--steps=1", "person_99_0.png", 1},
        {folder, "--steps=1", folder, 1},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(CliResult) result =
            cli_run("invert", cases[i].image, "-o", path, cases[i].option, NULL);

        cli_assert_code(result, cases[i].code);
        if (strstr(result->err, cases[i].part) == NULL)
            g_error("%s: %s", cases[i].option, result->err);
    }
    {
        g_autoptr(CliResult) result = cli_run("invert", face, "-o", path, "--mask", mask, NULL);

        g_assert_cmpint(result->code, !=, 0);
        g_assert_nonnull(strstr(result->err, "mask"));
    }
    files = cli_list_folder(folder);
    g_assert_cmpstr(files, ==, "");
    cli_remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/invert/files-and-report", test_files_and_report);
    g_test_add_func("/cli/invert/again-as-json", test_again_as_json);
    g_test_add_func("/cli/invert/refused", test_refused);
    return g_test_run();
}
