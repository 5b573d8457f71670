/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tiny UNets and VAEs of every structure that a config can ask for, against diffusers: one
 * level and five, transformers anywhere, several blocks in one, text only, no middle, other
 * activations, pointwise ends, no quant_conv … at sizes that do not halve evenly.
 *
 * structures/ is made by make_structures.py, which also makes any number of random ones for
 * W2W_STRUCTURES=DIR.
 */
#include <string.h>

#include "engine/models/unet.h"
#include "engine/models/vae.h"
#include "tests/models/network_run.h"

static W2wGolden *golden;

static const W2wArray *array_of(const char *name, const char *which)
{
    g_autofree char *key = g_strconcat(name, ".", which, NULL);

    return w2w_golden_get(golden, "arrays", key);
}

static void compare(W2wPlan *plan, const char *output, const char *name)
{
    g_autofree char *key = g_strconcat(name, ".", output, NULL);

    network_run_compare(plan, output, golden, "arrays", key);
}

static void test_unet(const NetworkCase *network_case)
{
    const char *name = network_case->what;
    const W2wArray *latents = array_of(name, "latents");
    const W2wArray *text = array_of(name, "text_embedding");
    const W2wUnetRecordOptions options = {.batch = network_run_batch(latents),
                                          .height = network_run_height(latents),
                                          .width = network_run_width(latents),
                                          .text_length = network_run_width(text)};
    g_autofree char *directory = w2w_golden_get_path(golden, name);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wUnet) unet = w2w_unet_open(directory, &error);
    g_autoptr(W2wPlan) plan = NULL;
    W2wGraph *graph;

    g_assert_no_error(error);
    graph = w2w_unet_record(unet, &options, &error);
    g_assert_no_error(error);
    plan = network_run_plan(graph, network_case->device, name);
    network_run_set(plan, "latents", latents, 0);
    network_run_set(plan, "text_embedding", text, 0);
    network_run_fill(plan, "timesteps", (float)w2w_array_get(array_of(name, "timestep"), 0));
    w2w_plan_replay(plan);
    compare(plan, "noise_pred", name);
}

static void test_vae(const NetworkCase *network_case)
{
    const char *name = network_case->what;
    const W2wArray *picture = array_of(name, "picture");
    const W2wArray *latents = array_of(name, "latents");
    g_autofree char *directory = w2w_golden_get_path(golden, name);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wVae) vae = w2w_vae_open(directory, &error);
    g_autoptr(W2wPlan) encoder = NULL;
    g_autoptr(W2wPlan) decoder = NULL;
    W2wGraph *graph;

    g_assert_no_error(error);
    graph = w2w_vae_record_encode(vae, network_run_batch(picture), network_run_height(picture),
                                  network_run_width(picture), FALSE, &error);
    g_assert_no_error(error);
    encoder = network_run_plan(graph, network_case->device, name);
    network_run_set(encoder, "image", picture, 0);
    w2w_plan_replay(encoder);
    compare(encoder, "moments", name);

    graph = w2w_vae_record_decode(vae, network_run_batch(latents), network_run_height(latents),
                                  network_run_width(latents), FALSE, &error);
    g_assert_no_error(error);
    decoder = network_run_plan(graph, network_case->device, name);
    network_run_set(decoder, "latents", latents, 0);
    w2w_plan_replay(decoder);
    compare(decoder, "image", name);
}

/* One test for every array whose key ends in `suffix`. */
static guint add_all(const char *suffix, NetworkTest test)
{
    W2wSafetensors *file = w2w_golden_get_file(golden, "arrays");
    const char *const *keys = w2w_safetensors_get_keys(file);
    guint n = 0;

    for (guint i = 0; keys[i] != NULL; i++) {
        g_autofree char *name = NULL;

        if (!g_str_has_suffix(keys[i], suffix))
            continue;
        name = g_strndup(keys[i], strlen(keys[i]) - strlen(suffix));
        network_run_add("structures", name, test);
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    g_autofree char *chosen = NULL;
    const char *other = g_getenv("W2W_STRUCTURES");
    int status;

    g_test_init(&argc, &argv, NULL);
    chosen = g_build_filename(g_getenv("W2W_TEST_SOURCE_DIR"), "models", "structures", NULL);
    golden = w2w_golden_open(other != NULL ? other : chosen);
    g_assert_cmpuint(add_all(".noise_pred", test_unet), >, 0);
    g_assert_cmpuint(add_all(".moments", test_vae), >, 0);
    status = g_test_run();
    w2w_golden_free(golden);
    return status;
}
