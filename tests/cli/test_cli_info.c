/* SPDX-License-Identifier: GPL-3.0-or-later */
/* info on everything that the embedded world is made of; numbers come from the world itself. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/world.h"
#include "tests/cli/cli_run.h"

static JsonObject *info(const char *path)
{
    g_autoptr(CliResult) result = cli_run("info", "--json", path, NULL);
    g_autoptr(GError) error = NULL;
    JsonObject *json;

    cli_assert_code(result, 0);
    json = w2w_json_parse(result->out, strlen(result->out), "output", &error);
    g_assert_no_error(error);
    return json;
}

static char *in_world(const char *name)
{
    return g_build_filename(w2w_world_get_default_directory(), name, NULL);
}

static void test_world(void)
{
    g_autoptr(W2wWorld) world = w2w_world_open(w2w_world_get_default_directory(), NULL);
    W2wSpace *space = w2w_world_get_space(world);
    const char *const *attributes = w2w_space_get_attributes(space);
    g_autoptr(JsonObject) json = info(w2w_world_get_default_directory());
    g_autoptr(CliResult) text = cli_run("info", NULL);
    JsonObject *part = json_object_get_object_member(json, "space");

    g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "world");
    g_assert_cmpint(json_object_get_int_member(part, "weights"), ==,
                    w2w_space_get_n_weights(space));
    g_assert_cmpstr(json_object_get_string_member(part, "fingerprint"), ==,
                    w2w_space_get_fingerprint(space));
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json, "directions")), ==,
                     g_strv_length((char **)attributes));
    cli_assert_code(text, 0);
    for (guint i = 0; attributes[i] != NULL; i++)
        g_assert_nonnull(strstr(text->out, attributes[i]));
}

static void test_model(void)
{
    const char *const parts[] = {"tokenizer", "text_encoder", "unet", "vae", "scheduler"};
    g_autofree char *path = in_world("model");
    g_autoptr(JsonObject) json = info(path);

    g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "model");
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        g_assert_false(
            json_object_has_member(json_object_get_object_member(json, parts[i]), "problem"));
}

/* What is missing or broken is the answer, not a failure. */
static void test_broken_model(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *unet = g_build_filename(folder, "unet", NULL);
    g_autofree char *config = g_build_filename(unet, "config.json", NULL);
    g_autoptr(JsonObject) json = NULL;

    g_assert_cmpint(g_mkdir_with_parents(unet, 0777), ==, 0);
    g_assert_true(g_file_set_contents(config, "{", 1, NULL));
    json = info(folder);
    g_assert_nonnull(strstr(
        json_object_get_string_member(json_object_get_object_member(json, "unet"), "problem"),
        "config.json"));
    g_assert_cmpstr(
        json_object_get_string_member(json_object_get_object_member(json, "vae"), "problem"), ==,
        "missing");
    cli_remove_folder(folder);
}

static void test_space(void)
{
    g_autofree char *path = in_world("space");
    g_autoptr(JsonObject) json = info(path);

    g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "space");
    g_assert_cmpint(json_object_get_int_member(json, "people"), >, 0);
}

static void test_files(void)
{
    const struct {
        const char *name, *kind, *list;
    } cases[] = {
        {"space/V.pt", "pt", "contents"},
        {"space/identity_df.pt", "pt", "contents"},
        {"space/weight_dimensions.pt", "pt", "contents"},
        {"model/vae/diffusion_pytorch_model.safetensors", "safetensors", "arrays"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = in_world(cases[i].name);
        g_autoptr(JsonObject) json = info(path);

        g_test_message("%s", cases[i].name);
        g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, cases[i].kind);
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json, cases[i].list)),
                         >, 0);
    }
}

/* Where an identity stands among the people; and the control characters of a stranger's recipe. */
static void test_identity(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x", NULL);
    g_autoptr(W2wWorld) world = w2w_world_open(w2w_world_get_default_directory(), NULL);
    W2wSpace *space = w2w_world_get_space(world);
    g_autoptr(W2wIdentity) identity =
        w2w_identity_new(w2w_space_get_n_with_statistics(space), NULL);
    g_autoptr(JsonObject) json = NULL;
    g_autoptr(CliResult) text = NULL;

    g_assert_true(w2w_space_sample(space, 1.0, 1, identity->coefficients, NULL));
    identity->space_fingerprint = g_strdup(w2w_space_get_fingerprint(space));
    identity->recipe = g_strdup("{\"name\": \"\\u001b[31mred\\u0007\"}");
    g_assert_true(w2w_identity_save(identity, path, NULL));
    json = info(path);
    g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "identity");
    g_assert_cmpint(json_object_get_int_member(json, "coefficients"), ==, identity->n_coefficients);
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json, "positions")), ==,
                     g_strv_length((char **)w2w_space_get_attributes(space)));
    text = cli_run("info", path, NULL);
    cli_assert_code(text, 0);
    g_assert_null(strchr(text->out, '\033'));
    g_assert_nonnull(strstr(text->out, "[31mred"));
    cli_remove_folder(folder);
}

static void test_neither(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *card = in_world("world.json");
    const char *const paths[] = {folder, card, "/dev/null", "/nowhere"};

    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(CliResult) result = cli_run("info", paths[i], NULL);

        cli_assert_code(result, 1);
        g_assert_nonnull(strstr(result->err, paths[i]));
    }
    cli_remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/info/world", test_world);
    g_test_add_func("/cli/info/model", test_model);
    g_test_add_func("/cli/info/broken-model", test_broken_model);
    g_test_add_func("/cli/info/space", test_space);
    g_test_add_func("/cli/info/files", test_files);
    g_test_add_func("/cli/info/identity", test_identity);
    g_test_add_func("/cli/info/neither", test_neither);
    return g_test_run();
}
