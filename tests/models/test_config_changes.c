/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every field of the three config.json files, changed: the right result, or an error that
 * names the field; never a silently wrong picture.
 *
 * config_changes/ (made by make_config_changes.py) holds what diffusers and transformers make
 * of each change with the weights of the embedded world. Where they fail, so must we.
 * Where they give numbers, ours are the same or we refuse; what is marked as required must
 * not be refused. Errors name the file and the field, and have one of two codes.
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"
#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"
#include "tests/models/network_run.h"

#define DEVICE "cpu"

static W2wGolden *golden; /* config_changes/ */
static JsonNode *cases;
static char *folder; /* a folder of its own for the changed file, with the weights linked */

/* What a model with this config.json gives; NULL with an error. */
typedef W2wPlan *(*OpenAndRun)(const JsonObject *one, GError **error);

static W2wPlan *run_unet(const JsonObject *one, GError **error)
{
    g_autoptr(W2wUnet) unet = w2w_unet_open(folder, error);
    const W2wArray *latents = w2w_golden_get(golden, "outputs", "unet.latents");
    const W2wArray *text = w2w_golden_get(golden, "outputs", "unet.text_embedding");
    const W2wArray *timestep = w2w_golden_get(golden, "outputs", "unet.timestep");
    const W2wUnetRecordOptions options = {.batch = network_run_batch(latents),
                                          .height = network_run_height(latents),
                                          .width = network_run_width(latents),
                                          .text_length = network_run_width(text)};
    JsonNode *sample_size = json_object_get_member((JsonObject *)one, "sample_size");
    W2wGraph *graph = unet != NULL ? w2w_unet_record(unet, &options, error) : NULL;
    W2wPlan *plan;

    if (graph == NULL)
        return NULL;
    if (JSON_NODE_HOLDS_ARRAY(sample_size))
        sample_size = json_array_get_element(json_node_get_array(sample_size), 0);
    g_assert_cmpint(w2w_unet_get_sample_size(unet), ==,
                    JSON_NODE_HOLDS_NULL(sample_size) ? 0 : json_node_get_int(sample_size));
    plan = network_run_plan(graph, DEVICE, "UNet");
    network_run_set(plan, "latents", latents, 0);
    network_run_set(plan, "text_embedding", text, 0);
    network_run_fill(plan, "timesteps", (float)w2w_array_get(timestep, 0));
    w2w_plan_replay(plan);
    return plan;
}

static W2wPlan *run_text_encoder(const JsonObject *one, GError **error)
{
    g_autoptr(W2wTextEncoder) encoder = w2w_text_encoder_open(folder, error);
    g_autofree float *ids = w2w_golden_get_f32(golden, "outputs", "text_encoder.input_ids");
    W2wGraph *graph = encoder != NULL ? w2w_text_encoder_record(encoder, 1, FALSE, error) : NULL;
    W2wPlan *plan;

    if (graph == NULL)
        return NULL;
    plan = network_run_plan(graph, DEVICE, "text encoder");
    w2w_plan_set_input(plan, "input_ids", ids);
    w2w_plan_replay(plan);
    return plan;
}

static W2wPlan *run_vae_encoder(const JsonObject *one, GError **error)
{
    g_autoptr(W2wVae) vae = w2w_vae_open(folder, error);
    const W2wArray *image = w2w_golden_get(golden, "outputs", "vae.image");
    W2wGraph *graph = NULL;
    W2wPlan *plan;

    if (vae != NULL)
        graph = w2w_vae_record_encode(vae, network_run_batch(image), network_run_height(image),
                                      network_run_width(image), FALSE, error);
    if (graph == NULL)
        return NULL;
    plan = network_run_plan(graph, DEVICE, "VAE encoder");
    network_run_set(plan, "image", image, 0);
    w2w_plan_replay(plan);
    return plan;
}

static W2wPlan *run_vae_decoder(const JsonObject *one, GError **error)
{
    g_autoptr(W2wVae) vae = w2w_vae_open(folder, error);
    const W2wArray *latents = w2w_golden_get(golden, "outputs", "vae.latents");
    W2wGraph *graph = NULL;
    W2wPlan *plan;

    if (vae != NULL)
        graph = w2w_vae_record_decode(vae, network_run_batch(latents), network_run_height(latents),
                                      network_run_width(latents), FALSE, error);
    if (graph == NULL)
        return NULL;
    g_assert_cmpfloat(w2w_vae_get_scaling_factor(vae), ==,
                      json_object_get_double_member((JsonObject *)one, "scaling_factor"));
    plan = network_run_plan(graph, DEVICE, "VAE decoder");
    network_run_set(plan, "latents", latents, 0);
    w2w_plan_replay(plan);
    return plan;
}

static const struct {
    const char *model;
    const char *output;
    OpenAndRun run;
} networks[] = {
    {"unet", "noise_pred", run_unet},
    {"text_encoder", "text_embedding", run_text_encoder},
    {"vae", "moments", run_vae_encoder},
    {"vae", "image", run_vae_decoder},
};

/* The JSON text of `field` in the case; NULL: not changed; "": removed. */
static const char *changed_text(const JsonObject *one, const char *field)
{
    JsonObject *values = json_object_get_object_member((JsonObject *)one, "values");
    JsonArray *fields = json_object_get_array_member((JsonObject *)one, "fields");

    for (guint i = 0; i < json_array_get_length(fields); i++)
        if (g_str_equal(json_array_get_string_element(fields, i), field))
            return json_object_has_member(values, field)
                       ? json_object_get_string_member(values, field)
                       : "";
    return NULL;
}

static void append_member(GString *text, const char *field, const char *value)
{
    if (value[0] != '\0')
        g_string_append_printf(text, "%s\"%s\": %s", text->len > 1 ? ", " : "", field, value);
}

/* The model's config.json with the case's fields replaced, removed or added, into `folder`. */
static void write_config(const JsonObject *one)
{
    JsonArray *fields = json_object_get_array_member((JsonObject *)one, "fields");
    const char *model = json_object_get_string_member((JsonObject *)one, "model");
    g_autofree char *source =
        g_build_filename(g_getenv("W2W_DATA_DIR"), "model", model, "config.json", NULL);
    g_autofree char *path = g_build_filename(folder, "config.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) config = w2w_json_load(source, &error);
    g_autoptr(GString) text = g_string_new("{");
    g_autoptr(GList) members = NULL;

    g_assert_no_error(error);
    members = json_object_get_members(config);
    for (GList *l = members; l != NULL; l = l->next) {
        g_autofree char *value = w2w_json_write(json_object_get_member(config, l->data));
        const char *changed = changed_text(one, l->data);

        append_member(text, l->data, changed != NULL ? changed : value);
    }
    for (guint i = 0; i < json_array_get_length(fields); i++) {
        const char *field = json_array_get_string_element(fields, i);

        if (!json_object_has_member(config, field))
            append_member(text, field, changed_text(one, field));
    }
    g_string_append_c(text, '}');
    g_file_set_contents(path, text->str, (gssize)text->len, &error);
    g_assert_no_error(error);
}

static void link_weights(const char *model)
{
    const char *name = g_str_equal(model, "text_encoder") ? "model.safetensors"
                                                          : "diffusion_pytorch_model.safetensors";
    g_autofree char *source =
        g_build_filename(g_getenv("W2W_DATA_DIR"), "model", model, name, NULL);
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_assert_cmpint(symlink(source, path), ==, 0);
}

static void clear_folder(void)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        g_assert_cmpint(g_unlink(path), ==, 0);
    }
}

static void check_refusal(const JsonObject *one, const char *what, const GError *error)
{
    JsonArray *fields = json_object_get_array_member((JsonObject *)one, "fields");
    const char *field = json_array_get_string_element(fields, 0);

    if (json_object_get_boolean_member((JsonObject *)one, "required"))
        g_test_fail_printf("%s must not be refused: %s", what, error->message);
    if (!g_error_matches(error, W2W_ERROR, W2W_ERROR_FORMAT) &&
        !g_error_matches(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED))
        g_test_fail_printf("%s: the error has code %d: %s", what, error->code, error->message);
    if (strstr(error->message, folder) == NULL || strstr(error->message, field) == NULL)
        g_test_fail_printf("%s: the error names not both file and field: %s", what, error->message);
}

/* As network_run_get(). Of a text, `expected` holds every n-th token alone (see the script). */
static float *get_output(W2wPlan *plan, const char *output, const W2wArray *expected)
{
    const W2wShape have = w2w_plan_get_output_shape(plan, output);
    const gint64 n_kept = expected->shape[1];
    g_autofree float *all = NULL;
    float *kept;
    gint64 every;

    if (expected->n_dims != 3)
        return network_run_get(plan, output, expected);
    every = (have.w + n_kept - 1) / n_kept;
    g_assert_cmpint(expected->shape[2], ==, have.c);
    all = g_new(float, w2w_shape_n_elements(have));
    kept = g_new(float, expected->n_elements);
    w2w_plan_get_output(plan, output, all);
    for (gint64 i = 0; i < n_kept; i++)
        memcpy(kept + i * have.c, all + i * every * have.c, (gsize)have.c * sizeof *kept);
    return kept;
}

static void check_case(guint number, const JsonObject *one, const char *output, OpenAndRun run)
{
    const char *model = json_object_get_string_member((JsonObject *)one, "model");
    const char *original = json_object_get_string_member((JsonObject *)one, "original");
    g_autofree char *values = NULL;
    g_autofree char *what = NULL;
    g_autofree char *key = NULL;
    g_autofree float *actual = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPlan) plan = NULL;
    const W2wArray *expected;

    values = w2w_json_write(json_object_get_member((JsonObject *)one, "values"));
    what = g_strdup_printf("%s with %s (case %u)", model, values, number);
    write_config(one);
    plan = run(one, &error);
    if (plan == NULL) {
        check_refusal(one, what, error);
        g_test_message("%s: %s", what, error->message);
        return;
    }
    if (g_str_equal(original, "fails")) {
        g_test_fail_printf("%s is no model to the original, but ran here", what);
        return;
    }
    key = g_str_equal(original, "same") ? g_strconcat(model, ".unchanged.", output, NULL)
                                        : g_strdup_printf("%u.%s", number, output);
    expected = w2w_golden_get(golden, "outputs", key);
    actual = get_output(plan, output, expected);
    if (!w2w_golden_compare(golden, "outputs", key, expected, actual))
        g_test_fail_printf("%s gives another result than the original", what);
}

/* All changes of one field of one model. */
typedef struct {
    const char *model;
    const char *field;
    GArray *numbers; /* of the cases */
} Group;

static void group_free(gpointer data)
{
    Group *group = data;

    g_array_unref(group->numbers);
    g_free(group);
}

static void test_field(gconstpointer data)
{
    const Group *group = data;

    link_weights(group->model);
    for (guint i = 0; i < group->numbers->len; i++) {
        const guint number = g_array_index(group->numbers, guint, i);
        JsonObject *one = json_array_get_object_element(json_node_get_array(cases), number);

        for (guint j = 0; j < G_N_ELEMENTS(networks); j++)
            if (g_str_equal(networks[j].model, group->model))
                check_case(number, one, networks[j].output, networks[j].run);
    }
    clear_folder();
}

/* Every field of the world's own files has a case; a new field without one is noticed here. */
static void test_every_field_is_changed(void)
{
    const char *const models[] = {"unet", "vae", "text_encoder"};

    for (guint i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree char *path =
            g_build_filename(g_getenv("W2W_DATA_DIR"), "model", models[i], "config.json", NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) config = w2w_json_load(path, &error);
        g_autoptr(GList) fields = NULL;

        g_assert_no_error(error);
        fields = json_object_get_members(config);
        for (GList *l = fields; l != NULL; l = l->next) {
            guint n = 0;

            for (guint j = 0; j < json_array_get_length(json_node_get_array(cases)); j++) {
                JsonObject *one = json_array_get_object_element(json_node_get_array(cases), j);
                JsonArray *changed = json_object_get_array_member(one, "fields");

                n += g_str_equal(json_object_get_string_member(one, "model"), models[i]) &&
                     json_array_get_length(changed) == 1 &&
                     g_str_equal(json_array_get_string_element(changed, 0), l->data);
            }
            g_assert_cmpuint(n, >, 5);
        }
    }
}

static void add_groups(void)
{
    g_autoptr(GHashTable) groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    JsonArray *list = json_node_get_array(cases);

    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonObject *one = json_array_get_object_element(list, i);
        JsonArray *fields = json_object_get_array_member(one, "fields");
        const char *model = json_object_get_string_member(one, "model");
        const char *field = json_array_get_length(fields) == 1
                                ? json_array_get_string_element(fields, 0)
                                : "sparse_file";
        g_autofree char *path = g_strdup_printf("/config_changes/%s/%s", model, field);
        Group *group = g_hash_table_lookup(groups, path);

        if (group == NULL) {
            group = g_new0(Group, 1);
            group->model = model;
            group->field = field;
            group->numbers = g_array_new(FALSE, FALSE, sizeof(guint));
            g_test_add_data_func_full(path, group, test_field, group_free);
            g_hash_table_insert(groups, g_steal_pointer(&path), group);
        }
        g_array_append_val(group->numbers, i);
    }
}

int main(int argc, char **argv)
{
    g_autofree char *dir = NULL;
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    g_test_init(&argc, &argv, NULL);
    dir = g_build_filename(g_getenv("W2W_TEST_SOURCE_DIR"), "models", "config_changes", NULL);
    golden = w2w_golden_open(dir);
    path = w2w_golden_get_path(golden, "cases.json");
    cases = w2w_json_load_any(path, &error);
    g_assert_no_error(error);
    folder = g_dir_make_tmp("w2w-config-XXXXXX", &error);
    g_assert_no_error(error);
    add_groups();
    g_test_add_func("/config_changes/every_field_is_changed", test_every_field_is_changed);
    status = g_test_run();
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_free(folder);
    json_node_unref(cases);
    w2w_golden_free(golden);
    return status;
}
