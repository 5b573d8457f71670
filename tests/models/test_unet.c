/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The UNet against diffusers: every recorded size and timestep, every block's output, sizes
 * that do not halve evenly, very quiet latents, with and without a LoRA.
 *
 * Cases come from the keys of the golden files: "<H>x<W>.t<timestep>.latents" with one
 * prompt per image, and others whose timestep and prompt params.json names.
 */
#include "engine/models/unet.h"

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/models/network_run.h"

static W2wGolden *golden, *mini;

static W2wUnet *open_unet(const char *directory)
{
    g_autofree char *path = g_build_filename(directory, "model", "unet", NULL);
    g_autoptr(GError) error = NULL;
    W2wUnet *unet = w2w_unet_open(path, &error);

    if (unet == NULL)
        g_error("%s", error->message);
    return unet;
}

static W2wUnetRecordOptions options_for(const W2wArray *latents, const W2wArray *text)
{
    return (W2wUnetRecordOptions){
        .batch = network_run_batch(latents),
        .height = network_run_height(latents),
        .width = network_run_width(latents),
        .text_length = network_run_width(text),
    };
}

static W2wPlan *plan_unet(W2wUnet *unet, const W2wUnetRecordOptions *options, const char *device)
{
    g_autoptr(GError) error = NULL;
    W2wGraph *graph = w2w_unet_record(unet, options, &error);

    g_assert_no_error(error);
    return network_run_plan(graph, device, "UNet");
}

/* The timestep of a case: part of its name, or in params.json. */
static double timestep_of(const char *what)
{
    const char *t = strrchr(what, 't');
    g_autofree char *member = g_strconcat(what, ".timestep", NULL);
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), "unet");

    if (json_object_has_member(params, member))
        return json_object_get_double_member(params, member);
    if (t == NULL || t == what || t[-1] != '.')
        g_error("Neither the name of %s nor params.json gives its timestep.", what);
    return g_ascii_strtod(t + 1, NULL);
}

/* Which of the prompts the case's first image has. */
static gint first_text_of(const char *what)
{
    g_autofree char *member = g_strconcat(what, ".text_embedding", NULL);
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), "unet");

    return json_object_has_member(params, member) ? (gint)json_object_get_int_member(params, member)
                                                  : 0;
}

static void run_case(const NetworkCase *network_case, gboolean inspect)
{
    const char *what = network_case->what;
    g_autoptr(W2wUnet) unet = open_unet(w2w_golden_get_dir(golden));
    g_autofree char *latents_key = g_strconcat(what, ".latents", NULL);
    g_autofree char *noise_key = g_strconcat(what, ".noise_pred", NULL);
    g_autofree char *inside = g_strconcat(what, ".inside.", NULL);
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, "unet"));
    const W2wArray *latents = w2w_golden_get(golden, "unet", latents_key);
    const W2wArray *text = w2w_golden_get(golden, "unet", "text_embedding");
    W2wUnetRecordOptions options = options_for(latents, text);
    g_autoptr(W2wPlan) plan = NULL;
    guint n_inside = 0;

    options.inspect = inspect;
    plan = plan_unet(unet, &options, network_case->device);
    network_run_set(plan, "latents", latents, 0);
    network_run_set(plan, "text_embedding", text, first_text_of(what));
    network_run_fill(plan, "timesteps", (float)timestep_of(what));
    w2w_plan_replay(plan);
    for (guint i = 0; keys[i] != NULL && inspect; i++) {
        if (!g_str_has_prefix(keys[i], inside))
            continue;
        network_run_compare(plan, keys[i] + strlen(what) + 1, golden, "unet", keys[i]);
        n_inside++;
    }
    g_assert_true(!inspect || n_inside > 0);
    network_run_compare(plan, "noise_pred", golden, "unet", noise_key);
}

static void test_noise_prediction(const NetworkCase *network_case)
{
    run_case(network_case, FALSE);
}

static void test_every_block(const NetworkCase *network_case)
{
    run_case(network_case, TRUE);
}

static void add_cases(void)
{
    W2wSafetensors *file = w2w_golden_get_file(golden, "unet");
    const char *const *keys = w2w_safetensors_get_keys(file);
    guint n = 0;

    for (guint i = 0; keys[i] != NULL; i++) {
        g_autofree char *what = NULL;

        if (!g_str_has_suffix(keys[i], ".latents"))
            continue;
        what = g_strndup(keys[i], strlen(keys[i]) - strlen(".latents"));
        network_run_add("unet/noise_prediction", what, test_noise_prediction);
        if (network_run_has_inside(file, what))
            network_run_add("unet/every_block", what, test_every_block);
        n++;
    }
    if (n == 0)
        g_error("%s has no latents.", w2w_safetensors_get_name(file));
}

/* --- LoRA --- */

/* "down_blocks.0….to_q" of a PEFT key; `is_a`: of its A? */
static char *path_of_key(const char *key, gboolean *is_a)
{
    const char *prefix = "base_model.model.";
    const char *end = strstr(key, ".lora_A.weight");

    *is_a = end != NULL;
    if (end == NULL)
        end = strstr(key, ".lora_B.weight");
    if (end == NULL || !g_str_has_prefix(key, prefix))
        g_error("space.json names \"%s\", which is no PEFT key.", key);
    return g_strndup(key + strlen(prefix), (gsize)(end - key) - strlen(prefix));
}

/* Flat weights into the inputs of their keys; `paths` NULL, or filled with the modules in order. */
static void set_lora(W2wPlan *plan, GPtrArray *paths)
{
    g_autofree char *space_path = w2w_golden_get_path(golden, "space.json");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) space = w2w_json_load(space_path, &error);
    g_autofree float *theta = w2w_golden_get_f32(golden, "lora", "theta");
    JsonArray *keys, *sizes;
    gint64 at = 0;

    g_assert_no_error(error);
    keys = json_object_get_array_member(space, "keys");
    sizes = json_object_get_array_member(space, "sizes");
    for (guint i = 0; i < json_array_get_length(keys); i++) {
        gboolean is_a;
        g_autofree char *path = path_of_key(json_array_get_string_element(keys, i), &is_a);
        g_autofree char *input = g_strconcat(path, is_a ? ".lora_A" : ".lora_B", NULL);
        const gint64 size = json_array_get_int_element(sizes, i);

        if (paths != NULL && is_a)
            g_ptr_array_add(paths, g_strdup(path));
        if (plan != NULL) {
            g_assert_true(w2w_plan_has_input(plan, input));
            g_assert_cmpint(w2w_shape_n_elements(w2w_plan_get_input_shape(plan, input)), ==, size);
            w2w_plan_set_input(plan, input, theta + at);
        }
        at += size;
    }
    g_assert_cmpint(at, ==, w2w_golden_get(golden, "lora", "theta")->n_elements);
}

/* alpha / rank of the golden LoRA: of the recipe in params.json's making, a constant of the method.
 */
#define LORA_SCALE 27.0f

static void test_lora(const NetworkCase *network_case)
{
    g_autoptr(W2wUnet) unet = open_unet(w2w_golden_get_dir(golden));
    const W2wArray *latents = w2w_golden_get(golden, "lora", "latents");
    const W2wArray *text = w2w_golden_get(golden, "lora", "text_embedding");
    const float timestep = (float)w2w_array_get(w2w_golden_get(golden, "lora", "timestep"), 0);
    W2wUnetRecordOptions options = options_for(latents, text);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(W2wPlan) plan = NULL;

    set_lora(NULL, paths);
    g_ptr_array_add(paths, NULL);
    options.lora_paths = (const char *const *)paths->pdata;
    options.lora_rank = 1;
    options.lora_scale = LORA_SCALE;
    plan = plan_unet(unet, &options, network_case->device);
    network_run_set(plan, "latents", latents, 0);
    network_run_set(plan, "text_embedding", text, 0);
    network_run_fill(plan, "timesteps", timestep);
    /* Inputs that were never set are zeros: the base model first, then the identity. */
    w2w_plan_replay(plan);
    network_run_compare(plan, "noise_pred", golden, "lora", "noise_pred_base");
    set_lora(plan, NULL);
    w2w_plan_replay(plan);
    network_run_compare(plan, "noise_pred", golden, "lora", "noise_pred");
}

static void test_without_lora(const NetworkCase *network_case)
{
    g_autoptr(W2wUnet) unet = open_unet(w2w_golden_get_dir(golden));
    const W2wArray *latents = w2w_golden_get(golden, "lora", "latents");
    const W2wArray *text = w2w_golden_get(golden, "lora", "text_embedding");
    const W2wUnetRecordOptions options = options_for(latents, text);
    g_autoptr(W2wPlan) plan = plan_unet(unet, &options, network_case->device);

    network_run_set(plan, "latents", latents, 0);
    network_run_set(plan, "text_embedding", text, 0);
    network_run_fill(plan, "timesteps",
                     (float)w2w_array_get(w2w_golden_get(golden, "lora", "timestep"), 0));
    w2w_plan_replay(plan);
    network_run_compare(plan, "noise_pred", golden, "lora", "noise_pred_base");
}

/* The space's modules, in its order, are targets of the UNet, in the UNet's order. */
static void test_targets(void)
{
    g_autoptr(W2wUnet) unet = open_unet(w2w_golden_get_dir(golden));
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    guint n_targets, at = 0;
    const W2wLoraTarget *targets = w2w_unet_get_lora_targets(unet, &n_targets);

    set_lora(NULL, paths);
    for (guint i = 0; i < paths->len; i++) {
        while (at < n_targets && !g_str_equal(targets[at].path, g_ptr_array_index(paths, i)))
            at++;
        g_assert_cmpuint(at, <, n_targets);
    }
    g_assert_cmpuint(n_targets, ==,
                     2 * paths->len); /* to_q and to_v of to_q, to_k, to_v, to_out.0 */
    for (guint i = 1; i < n_targets; i++)
        g_assert_cmpint(strcmp(targets[i - 1].path, targets[i].path), <, 0);
}

static void test_bad_requests(void)
{
    const char *const paths[] = {"down_blocks.0.attentions.0.no_such_module", NULL};
    g_autoptr(W2wUnet) unet = open_unet(w2w_golden_get_dir(golden));
    W2wUnetRecordOptions options = {.batch = 1, .height = 8, .width = 8, .text_length = 77};
    g_autoptr(GError) error = NULL;

    options.height = 0;
    g_assert_null(w2w_unet_record(unet, &options, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    options.height = 8;
    options.lora_paths = paths;
    options.lora_rank = 1;
    g_assert_null(w2w_unet_record(unet, &options, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_assert_nonnull(strstr(error->message, paths[0]));
}

/* --- the embedded world --- */

static void test_embedded_world(const NetworkCase *network_case)
{
    g_autoptr(W2wUnet) unet = open_unet(g_getenv("W2W_DATA_DIR"));
    const W2wArray *latents = w2w_golden_get(mini, "networks", "latents");
    const W2wArray *text = w2w_golden_get(mini, "networks", "text_embedding");
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(mini, "networks"));
    const W2wUnetRecordOptions options = options_for(latents, text);
    g_autoptr(W2wPlan) plan = plan_unet(unet, &options, network_case->device);
    const char *prefix = "noise_pred.t";
    guint n = 0;

    network_run_set(plan, "latents", latents, 0);
    network_run_set(plan, "text_embedding", text, 0);
    for (guint i = 0; keys[i] != NULL; i++) {
        if (!g_str_has_prefix(keys[i], prefix) || !g_str_has_suffix(keys[i], ".base"))
            continue;
        network_run_fill(plan, "timesteps", (float)atoi(keys[i] + strlen(prefix)));
        w2w_plan_replay(plan);
        network_run_compare(plan, "noise_pred", mini, "networks", keys[i]);
        n++;
    }
    g_assert_cmpuint(n, >, 0);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    golden = w2w_golden_open(NULL);
    mini = w2w_golden_open(w2w_golden_mini_dir());
    add_cases();
    network_run_add("unet/lora", "identity", test_lora);
    network_run_add("unet/lora", "without", test_without_lora);
    network_run_add("unet", "embedded_world", test_embedded_world);
    g_test_add_func("/unet/lora/targets_are_those_of_the_space", test_targets);
    g_test_add_func("/unet/bad_requests_are_refused", test_bad_requests);
    status = g_test_run();
    w2w_golden_free(golden);
    w2w_golden_free(mini);
    return status;
}
