/* SPDX-License-Identifier: GPL-3.0-or-later */
/* w2w dreambooth as a user calls it, on pictures of one of the embedded world's faces. */
#include <glib/gstdio.h>
#include <string.h>

#include "engine/formats/json.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/world.h"
#include "tests/cli/cli_run.h"

/* No pictures of anybody have to be made, and little is trained. */
#define SHORT "--steps=2", "--prior-weight=0"

static char *folder;

static char *in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* A folder with the pictures of one person. */
static char *make_person(void)
{
    g_autofree char *faces = g_build_filename(w2w_world_get_default_directory(), "faces", NULL);
    g_autoptr(GDir) dir = g_dir_open(faces, 0, NULL);
    char *person = in_folder("person");
    const char *name;
    guint n = 0;

    g_assert_nonnull(dir);
    g_mkdir(person, 0700);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *from = g_build_filename(faces, name, NULL);
        g_autofree char *to = g_build_filename(person, name, NULL);
        g_autofree char *contents = NULL;
        gsize size;

        if (!g_str_has_prefix(name, "person_00_"))
            continue;
        g_assert_true(g_file_get_contents(from, &contents, &size, NULL));
        g_assert_true(g_file_set_contents(to, contents, (gssize)size, NULL));
        n++;
    }
    g_assert_cmpuint(n, >, 1);
    return person;
}

static void test_train(void)
{
    g_autofree char *person = make_person();
    g_autofree char *lora = in_folder("sks.safetensors");
    g_autofree char *identity_path = in_folder("sks-identity.safetensors");
    g_autofree char *picture = in_folder("sks.png");
    g_autofree char *shown = in_folder("shown.png");
    g_autofree char *lora_option = g_strconcat("--lora=", lora, NULL);
    g_autoptr(CliResult) result = cli_run("dreambooth", person, "-o", lora, SHORT, "--json", NULL);
    g_autoptr(CliResult) render = NULL;
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(JsonObject) json = NULL;
    g_autoptr(GError) error = NULL;
    JsonObject *first, *report;

    cli_assert_code(result, 0);
    json = w2w_json_parse(result->out, strlen(result->out), "output", &error);
    g_assert_no_error(error);
    first = json_array_get_object_element(json_object_get_array_member(json, "results"), 0);
    report = json_object_get_object_member(first, "report");
    g_assert_cmpint(json_object_get_int_member(report, "steps"), ==, 2);
    g_assert_cmpint(json_object_get_int_member(report, "class_pictures"), ==, 0);
    g_assert_true(g_file_test(picture, G_FILE_TEST_IS_REGULAR));
    identity = w2w_identity_load(identity_path, &error);
    g_assert_no_error(error);

    /* The LoRA is one that render takes. */
    render =
        cli_run("render", lora_option, "--steps=2", "--width=32", "--height=32", "-o", shown, NULL);
    cli_assert_code(render, 0);
}

static void test_refuses(void)
{
    g_autofree char *missing = in_folder("nobody");
    g_autofree char *output = in_folder("never.safetensors");
    g_autofree char *person = in_folder("person");
    g_autoptr(CliResult) nothing = cli_run("dreambooth", "-o", output, NULL);
    g_autoptr(CliResult) none = cli_run("dreambooth", missing, "-o", output, NULL);
    g_autoptr(CliResult) lr = cli_run("dreambooth", person, "-o", output, "--lr=-1", NULL);
    g_autoptr(CliResult) memory =
        cli_run("dreambooth", person, "-o", output, SHORT, "--memory=1M", NULL);

    cli_assert_code(nothing, 2);
    cli_assert_code(none, 1);
    g_assert_nonnull(strstr(none->err, "nobody"));
    cli_assert_code(lr, 2);
    cli_assert_code(memory, 1);
    g_assert_nonnull(strstr(memory->err, "at least"));
    g_assert_false(g_file_test(output, G_FILE_TEST_EXISTS));
}

int main(int argc, char **argv)
{
    int code;

    g_test_init(&argc, &argv, NULL);
    folder = cli_make_folder();
    g_test_add_func("/cli/dreambooth/train", test_train);
    g_test_add_func("/cli/dreambooth/refuses", test_refuses);
    code = g_test_run();
    cli_remove_folder(folder);
    return code;
}
