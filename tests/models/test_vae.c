/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The VAE against diffusers: pictures to mean and log variance, latents to pictures,
 * every block of both ways.
 *
 * Cases come from the keys of the golden files: "<case>.image", ".mean", ".logvar",
 * ".decoded" (from the mean, or from zeros where params.json says so), ".inside.<module>".
 */
#include "engine/models/vae.h"

#include <string.h>

#include "engine/error.h"
#include "tests/models/network_run.h"

static W2wGolden *golden, *mini;

static W2wVae *open_vae(const char *directory)
{
    g_autofree char *path = g_build_filename(directory, "model", "vae", NULL);
    g_autoptr(GError) error = NULL;
    W2wVae *vae = w2w_vae_open(path, &error);

    if (vae == NULL)
        g_error("%s", error->message);
    return vae;
}

/* Compares what lies "inside" and belongs to this plan's way; returns how many. */
static guint compare_inside(W2wPlan *plan, const char *what)
{
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, "vae"));
    const char *const *outputs = w2w_plan_get_output_names(plan);
    g_autofree char *prefix = g_strconcat(what, ".inside.", NULL);
    guint n = 0;

    for (guint i = 0; keys[i] != NULL; i++) {
        const char *output = keys[i] + strlen(what) + 1;

        if (!g_str_has_prefix(keys[i], prefix) || !g_strv_contains(outputs, output))
            continue;
        network_run_compare(plan, output, golden, "vae", keys[i]);
        n++;
    }
    return n;
}

/* One half of the channels of "moments" against `key`; log variances are clamped as diffusers does.
 */
static void compare_half(W2wPlan *plan, gboolean log_variance, W2wGolden *from, const char *file,
                         const char *key)
{
    const W2wArray *expected = w2w_golden_get(from, file, key);
    const W2wShape shape = w2w_plan_get_output_shape(plan, "moments");
    const gint64 n_rows = w2w_shape_n_rows(shape), n_pixels = (gint64)shape.h * shape.w;
    const gint c = shape.c / 2;
    g_autofree float *moments = g_new(float, w2w_shape_n_elements(shape));
    g_autofree float *half = g_new(float, expected->n_elements);

    g_assert_cmpint(n_rows * c, ==, expected->n_elements);
    w2w_plan_get_output(plan, "moments", moments);
    for (gint64 row = 0; row < n_rows; row++) {
        for (gint i = 0; i < c; i++) {
            float value = moments[row * shape.c + (log_variance ? c : 0) + i];

            if (log_variance)
                value = CLAMP(value, -30.0f, 20.0f);
            half[((row / n_pixels) * c + i) * n_pixels + row % n_pixels] = value;
        }
    }
    w2w_golden_compare(from, file, key, expected, half);
}

static W2wPlan *encode(W2wVae *vae, const char *device, const W2wArray *image, gboolean inspect)
{
    g_autoptr(GError) error = NULL;
    W2wGraph *graph =
        w2w_vae_record_encode(vae, network_run_batch(image), network_run_height(image),
                              network_run_width(image), inspect, &error);
    W2wPlan *plan;

    g_assert_no_error(error);
    plan = network_run_plan(graph, device, "VAE encoder");
    network_run_set(plan, "image", image, 0);
    w2w_plan_replay(plan);
    return plan;
}

static W2wPlan *decode(W2wVae *vae, const char *device, const W2wArray *latents, gboolean zeros,
                       gboolean inspect)
{
    g_autoptr(GError) error = NULL;
    W2wGraph *graph =
        w2w_vae_record_decode(vae, network_run_batch(latents), network_run_height(latents),
                              network_run_width(latents), inspect, &error);
    W2wPlan *plan;

    g_assert_no_error(error);
    plan = network_run_plan(graph, device, "VAE decoder");
    if (zeros)
        network_run_fill(plan, "latents", 0.0f);
    else
        network_run_set(plan, "latents", latents, 0);
    w2w_plan_replay(plan);
    return plan;
}

/* "flat.decoded": "decoded from zeros" */
static gboolean decoded_from_zeros(const char *key)
{
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), "vae");

    return json_object_has_member(params, key) &&
           g_str_equal(json_object_get_string_member(params, key), "decoded from zeros");
}

static void run_case(const NetworkCase *network_case, gboolean inspect)
{
    const char *what = network_case->what;
    g_autoptr(W2wVae) vae = open_vae(w2w_golden_get_dir(golden));
    g_autofree char *image = g_strconcat(what, ".image", NULL);
    g_autofree char *mean = g_strconcat(what, ".mean", NULL);
    g_autofree char *logvar = g_strconcat(what, ".logvar", NULL);
    g_autofree char *decoded = g_strconcat(what, ".decoded", NULL);
    g_autoptr(W2wPlan) encoder =
        encode(vae, network_case->device, w2w_golden_get(golden, "vae", image), inspect);
    g_autoptr(W2wPlan) decoder =
        decode(vae, network_case->device, w2w_golden_get(golden, "vae", mean),
               decoded_from_zeros(decoded), inspect);

    if (inspect) {
        g_assert_cmpuint(compare_inside(encoder, what), >, 0);
        g_assert_cmpuint(compare_inside(decoder, what), >, 0);
    }
    compare_half(encoder, FALSE, golden, "vae", mean);
    compare_half(encoder, TRUE, golden, "vae", logvar);
    network_run_compare(decoder, "image", golden, "vae", decoded);
}

static void test_both_ways(const NetworkCase *network_case)
{
    run_case(network_case, FALSE);
}

static void test_every_block(const NetworkCase *network_case)
{
    run_case(network_case, TRUE);
}

static void add_cases(void)
{
    W2wSafetensors *file = w2w_golden_get_file(golden, "vae");
    const char *const *keys = w2w_safetensors_get_keys(file);
    guint n = 0;

    for (guint i = 0; keys[i] != NULL; i++) {
        g_autofree char *what = NULL;

        if (!g_str_has_suffix(keys[i], ".image"))
            continue;
        what = g_strndup(keys[i], strlen(keys[i]) - strlen(".image"));
        network_run_add("vae/both_ways", what, test_both_ways);
        if (network_run_has_inside(file, what))
            network_run_add("vae/every_block", what, test_every_block);
        n++;
    }
    if (n == 0)
        g_error("%s has no images.", w2w_safetensors_get_name(file));
}

static void test_embedded_world(const NetworkCase *network_case)
{
    g_autoptr(W2wVae) vae = open_vae(g_getenv("W2W_DATA_DIR"));
    g_autoptr(W2wPlan) encoder =
        encode(vae, network_case->device, w2w_golden_get(mini, "networks", "image"), FALSE);
    g_autoptr(W2wPlan) decoder =
        decode(vae, network_case->device, w2w_golden_get(mini, "networks", "latents_to_decode"),
               FALSE, FALSE);

    compare_half(encoder, FALSE, mini, "networks", "mean");
    compare_half(encoder, TRUE, mini, "networks", "logvar");
    network_run_compare(decoder, "image", mini, "networks", "decoded");
}

static void test_sizes(void)
{
    g_autoptr(W2wVae) vae = open_vae(w2w_golden_get_dir(golden));
    const gint downscale = w2w_vae_get_downscale(vae);
    const W2wArray *image = w2w_golden_get(golden, "vae", "flat.image");
    const W2wArray *mean = w2w_golden_get(golden, "vae", "flat.mean");
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(network_run_height(image), ==, network_run_height(mean) * downscale);
    g_assert_cmpint(w2w_vae_get_latent_channels(vae), ==, mean->shape[1]);
    g_assert_null(w2w_vae_record_encode(vae, 1, downscale - 1, downscale, FALSE, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(w2w_vae_record_decode(vae, 1, 1, 0, FALSE, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    golden = w2w_golden_open(NULL);
    mini = w2w_golden_open(w2w_golden_mini_dir());
    add_cases();
    network_run_add("vae", "embedded_world", test_embedded_world);
    g_test_add_func("/vae/sizes_are_checked", test_sizes);
    status = g_test_run();
    w2w_golden_free(golden);
    w2w_golden_free(mini);
    return status;
}
