/* SPDX-License-Identifier: GPL-3.0-or-later */
/* info on everything that the embedded world is made of; numbers come from the world itself. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/upstream_identity.h"
#include "engine/w2w/world.h"
#include "tests/cli/cli_run.h"
#include "tests/golden_files.h"

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
        {"space", "space", "directions"},
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

/* Parts of a model alone, the scheduler's settings also as a file. */
static void test_model_parts(void)
{
    const struct {
        const char *name, *kind, *member;
    } cases[] = {
        {"model/tokenizer", "tokenizer", "vocabulary"},
        {"model/text_encoder", "text_encoder", "fingerprint"},
        {"model/unet", "unet", "arrays_by_type"},
        {"model/vae", "vae", "numbers"},
        {"model/scheduler", "scheduler", "sampler"},
        {"model/scheduler/scheduler_config.json", "scheduler", "train_timesteps"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = in_world(cases[i].name);
        g_autoptr(JsonObject) json = info(path);

        g_test_message("%s", cases[i].name);
        g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, cases[i].kind);
        g_assert_true(json_object_has_member(json, cases[i].member));
    }
}

/* Every adapter of the golden folder, whatever tool wrote it: format, ranks, modules. */
static void test_loras(void)
{
    g_autoptr(GDir) golden = g_dir_open(w2w_golden_dir(), 0, NULL);
    const char *name;
    guint n = 0;

    g_assert_nonnull(golden);
    while ((name = g_dir_read_name(golden)) != NULL) {
        g_autofree char *path = g_build_filename(w2w_golden_dir(), name, NULL);
        g_autoptr(JsonObject) json = NULL;
        JsonArray *modules;

        if (!g_str_has_prefix(name, "adapter_"))
            continue;
        g_test_message("%s", name);
        json = info(path);
        g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "LoRA");
        g_assert_cmpstr(json_object_get_string_member(json, "format"), ==,
                        name + strlen("adapter_"));
        modules = json_object_get_array_member(json, "modules");
        g_assert_cmpint(json_array_get_length(modules), ==,
                        json_object_get_int_member(json, "unet_modules") +
                            json_object_get_int_member(json, "text_encoder_modules"));
        g_assert_cmpuint(json_array_get_length(modules), >, 0);
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json, "ranks")), >, 0);
        n++;
    }
    g_assert_cmpuint(n, >, 0);
}

/* As weights2weights saves it, as a file and as a folder. */
/* A LoRA under a name that says nothing; arrays whose names only look like a LoRA's. */
static void test_names_that_mislead(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *copy = g_build_filename(folder, "style", NULL);
    g_autofree char *lora =
        g_build_filename(w2w_golden_dir(), "adapter_kohya", "sks.safetensors", NULL);
    g_autofree char *ops = w2w_golden_path("ops.safetensors");
    g_autoptr(JsonObject) of_lora = NULL;
    g_autoptr(JsonObject) of_ops = info(ops);
    g_autoptr(GError) error = NULL;
    g_autofree char *contents = NULL;
    gsize length;

    g_assert_true(g_file_get_contents(lora, &contents, &length, &error));
    g_assert_true(g_file_set_contents(copy, contents, (gssize)length, &error));
    of_lora = info(copy);
    g_assert_cmpstr(json_object_get_string_member(of_lora, "kind"), ==, "LoRA");
    g_assert_cmpstr(json_object_get_string_member(of_ops, "kind"), ==, "safetensors");
    g_assert_true(json_object_has_member(of_ops, "not_a_lora"));
    cli_remove_folder(folder);
}

static void test_upstream_identity(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "w2wmodel.pt", NULL);
    g_autoptr(W2wIdentity) identity = w2w_identity_new(7, NULL);
    g_autoptr(GBytes) bytes = w2w_upstream_identity_to_bytes(identity, NULL);
    const char *const paths[] = {path, folder};
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    g_assert_true(g_file_set_contents(path, data, (gssize)size, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(JsonObject) json = info(paths[i]);

        g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==,
                        "identity of weights2weights");
        g_assert_cmpint(json_object_get_int_member(json, "coefficients"), ==, 7);
    }
    cli_remove_folder(folder);
}

/* A picture of ours and its recipe, of letters beyond ASCII too (iTXt); and a stranger's. */
static void test_picture(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x.png", NULL);
    g_autoptr(W2wPicture) picture = w2w_picture_new(5, 3, NULL);
    const char *const texts[][5] = {
        {"Title", "A", "w2w-recipe", "{\"seed\": 5}", NULL},
        {"Title", "Zoë", "w2w-recipe", "{\"seed\": 5, \"name\": \"Zoë\"}", NULL},
        {NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(JsonObject) json = NULL;

        g_assert_true(w2w_png_write(picture, path, texts[i], NULL));
        json = info(path);
        g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "picture");
        g_assert_cmpint(json_object_get_int_member(json, "width"), ==, 5);
        g_assert_cmpint(json_object_get_int_member(json, "height"), ==, 3);
        if (texts[i][0] == NULL) {
            g_assert_false(json_object_has_member(json, "recipe"));
            continue;
        }
        g_assert_cmpstr(json_object_get_string_member(json, "title"), ==, texts[i][1]);
        g_assert_cmpint(
            json_object_get_int_member(json_object_get_object_member(json, "recipe"), "seed"), ==,
            5);
    }
    cli_remove_folder(folder);
}

/* A checkpoint is told by its names, and what it lacks is the answer. */
static void test_checkpoint(void)
{
    static const char header[] = "{\"model.diffusion_model.out.0.weight\":{\"dtype\":\"F32\","
                                 "\"shape\":[1],\"data_offsets\":[0,4]}}";
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x.safetensors", NULL);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    const guint64 size = GUINT64_TO_LE(strlen(header));
    g_autoptr(JsonObject) json = NULL;

    g_byte_array_append(bytes, (const guint8 *)&size, sizeof size);
    g_byte_array_append(bytes, (const guint8 *)header, (guint)strlen(header));
    g_byte_array_append(bytes, (const guint8 *)"\0\0\0", 4);
    g_assert_true(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
    json = info(path);
    g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "model");
    g_assert_true(json_object_has_member(json_object_get_object_member(json, "unet"), "problem"));
    g_assert_false(
        json_object_has_member(json_object_get_object_member(json, "scheduler"), "problem"));
    cli_remove_folder(folder);
}

/* The rows of a dataset, alone and beside its space; what a folder lacks is named. */
static void test_dataset(void)
{
    g_autofree char *space = w2w_golden_path("space");
    g_autofree char *weights = w2w_dataset_find_file(space);
    g_autoptr(W2wSpace) opened = w2w_space_open(space, NULL);
    g_autoptr(JsonObject) json = NULL;
    g_autoptr(JsonObject) alone = NULL;
    guint n_missing;

    g_assert_nonnull(opened);
    json = info(space);
    g_assert_cmpstr(json_object_get_string_member(json, "kind"), ==, "space");
    w2w_space_get_missing(opened, &n_missing);
    if (n_missing > 0)
        g_assert_cmpuint(json_array_get_length(json_object_get_array_member(json, "missing")), ==,
                         n_missing);
    else
        g_assert_false(json_object_has_member(json, "missing"));
    g_assert_cmpint(weights != NULL, ==, json_object_has_member(json, "dataset"));
    if (weights == NULL)
        return;
    alone = info(weights);
    g_assert_cmpstr(json_object_get_string_member(alone, "kind"), ==, "dataset");
    g_assert_cmpint(json_object_get_int_member(alone, "weights"), ==,
                    w2w_space_get_n_weights(opened));
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
    g_test_add_func("/cli/info/model-parts", test_model_parts);
    g_test_add_func("/cli/info/loras", test_loras);
    g_test_add_func("/cli/info/names-that-mislead", test_names_that_mislead);
    g_test_add_func("/cli/info/upstream-identity", test_upstream_identity);
    g_test_add_func("/cli/info/picture", test_picture);
    g_test_add_func("/cli/info/checkpoint", test_checkpoint);
    g_test_add_func("/cli/info/dataset", test_dataset);
    g_test_add_func("/cli/info/neither", test_neither);
    return g_test_run();
}
