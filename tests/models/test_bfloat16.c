/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What bfloat16 costs: whole networks on the cpu device in bf16, against float64.
 *
 * The yardstick is the graph as it was recorded on the reference device, where each op's output is
 * rounded to bfloat16 and nothing else is: neither the weights (which the cpu device rounds too)
 * nor the inputs, and no op is fused. The cpu device may be off by 1.5 times as much, as a root
 * mean square over a network's output. Networks: those of the golden folder and of the embedded
 * world; inputs are made up, normally distributed, so that any folder of the same make will do.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"
#include "tests/models/network_run.h"

#define MAX_RATIO 1.5

/* Records the network of one case anew. */
typedef W2wGraph *(*RecordFunc)(const char *model, GError **error);

typedef struct {
    const char *name, *model;
    RecordFunc record;
} Network;

/* --- networks --- */

static W2wGraph *record_unet(const char *model, gboolean lora, GError **error)
{
    g_autofree char *path = g_build_filename(model, "unet", NULL);
    g_autoptr(W2wUnet) unet = w2w_unet_open(path, error);
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    W2wUnetRecordOptions options = {.batch = 2, .height = 10, .width = 13, .text_length = 77};
    const W2wLoraTarget *targets;
    guint n_targets;

    if (unet == NULL)
        return NULL;
    targets = w2w_unet_get_lora_targets(unet, &n_targets);
    for (guint i = 0; i < n_targets; i++)
        g_ptr_array_add(paths, (gpointer)targets[i].path);
    g_ptr_array_add(paths, NULL);
    if (lora) {
        options.lora_paths = (const char *const *)paths->pdata;
        options.lora_rank = 2;
        options.lora_scale = 0.25f;
    }
    return w2w_unet_record(unet, &options, error);
}

static W2wGraph *record_plain_unet(const char *model, GError **error)
{
    return record_unet(model, FALSE, error);
}

static W2wGraph *record_lora_unet(const char *model, GError **error)
{
    return record_unet(model, TRUE, error);
}

static W2wGraph *record_text_encoder(const char *model, GError **error)
{
    g_autofree char *path = g_build_filename(model, "text_encoder", NULL);
    g_autoptr(W2wTextEncoder) encoder = w2w_text_encoder_open(path, error);

    return encoder != NULL ? w2w_text_encoder_record(encoder, 2, FALSE, error) : NULL;
}

static W2wGraph *record_encoder(const char *model, GError **error)
{
    g_autofree char *path = g_build_filename(model, "vae", NULL);
    g_autoptr(W2wVae) vae = w2w_vae_open(path, error);
    const gint downscale = vae != NULL ? w2w_vae_get_downscale(vae) : 1;

    return vae != NULL ? w2w_vae_record_encode(vae, 1, 5 * downscale, 7 * downscale, FALSE, error)
                       : NULL;
}

static W2wGraph *record_decoder(const char *model, GError **error)
{
    g_autofree char *path = g_build_filename(model, "vae", NULL);
    g_autoptr(W2wVae) vae = w2w_vae_open(path, error);

    return vae != NULL ? w2w_vae_record_decode(vae, 1, 6, 9, FALSE, error) : NULL;
}

/* --- running --- */

static float *normal(GRand *random, gint64 n, double deviation)
{
    float *values = g_new(float, n);

    for (gint64 i = 0; i < n; i++)
        values[i] = (float)(deviation * sqrt(-2.0 * log(1.0 - g_rand_double(random))) *
                            cos(2.0 * G_PI * g_rand_double(random)));
    return values;
}

/* Every input, by what its name says of it; the same ones for the same seed. */
static void set_inputs(W2wPlan *plan, guint32 seed)
{
    const char *const *names = w2w_plan_get_input_names(plan);
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);

    for (guint i = 0; names[i] != NULL; i++) {
        const gint64 n = w2w_shape_n_elements(w2w_plan_get_input_shape(plan, names[i]));
        const gboolean is_lora = strstr(names[i], ".lora_") != NULL;
        g_autofree float *values = normal(random, n, is_lora ? 0.1 : 1.0);

        for (gint64 j = 0; j < n && g_str_equal(names[i], "input_ids"); j++)
            values[j] = (float)g_rand_int_range(random, 0, 300); /* not all in bfloat16 */
        for (gint64 j = 0; j < n && g_str_equal(names[i], "timesteps"); j++)
            values[j] = (float)g_rand_int_range(random, 0, 1000);
        w2w_plan_set_input(plan, names[i], values);
    }
}

/* The first output. */
static float *run(const Network *network, const char *device, W2wPlanFlags flags, guint32 seed,
                  gint64 *n)
{
    g_autoptr(GError) error = NULL;
    W2wGraph *graph = network->record(network->model, &error);
    g_autoptr(W2wPlan) plan = NULL;
    const char *output;
    float *values;

    g_assert_no_error(error);
    plan = w2w_plan_new(graph, network_run_device(device), flags, &error);
    g_assert_no_error(error);
    set_inputs(plan, seed);
    w2w_plan_replay(plan);
    output = w2w_plan_get_output_names(plan)[0];
    *n = w2w_shape_n_elements(w2w_plan_get_output_shape(plan, output));
    values = g_new(float, *n);
    w2w_plan_get_output(plan, output, values);
    return values;
}

static double rms_difference(const float *a, const float *b, gint64 n)
{
    double sum = 0.0;

    for (gint64 i = 0; i < n; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum / (double)n);
}

static void test_network(gconstpointer data)
{
    const Network *network = data;
    double yardstick = 0.0, cpu = 0.0;

    for (guint32 seed = 1; seed <= 2; seed++) {
        gint64 n;
        g_autofree float *exact = run(network, "reference-f64", W2W_PLAN_DEFAULT, seed, &n);
        g_autofree float *rounded = run(network, "reference-bf16", 0, seed, &n);
        g_autofree float *ours = run(network, "cpu-bf16", W2W_PLAN_DEFAULT, seed, &n);

        yardstick += rms_difference(rounded, exact, n) / 2.0;
        cpu += rms_difference(ours, exact, n) / 2.0;
    }
    g_test_message("%s of %s: rms %.3g, yardstick %.3g, ratio %.2f", network->name, network->model,
                   cpu, yardstick, cpu / yardstick);
    g_assert_cmpfloat(yardstick, >, 0.0);
    g_assert_cmpfloat(cpu / yardstick, <=, MAX_RATIO);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        RecordFunc record;
    } kinds[] = {{"unet", record_plain_unet},
                 {"unet_with_lora", record_lora_unet},
                 {"text_encoder", record_text_encoder},
                 {"vae_encoder", record_encoder},
                 {"vae_decoder", record_decoder}};
    g_autofree char *golden = w2w_golden_path("model");
    g_autofree char *embedded = g_build_filename(g_getenv("W2W_DATA_DIR"), "model", NULL);
    const struct {
        const char *name, *model;
    } models[] = {{"golden", golden}, {"embedded_world", embedded}};
    static Network networks[G_N_ELEMENTS(kinds) * G_N_ELEMENTS(models)];

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(networks); i++) {
        const guint kind = i % G_N_ELEMENTS(kinds), model = i / G_N_ELEMENTS(kinds);
        g_autofree char *path =
            g_strdup_printf("/bfloat16/%s/%s", models[model].name, kinds[kind].name);

        networks[i] = (Network){kinds[kind].name, models[model].model, kinds[kind].record};
        g_test_add_data_func(path, &networks[i], test_network);
    }
    return g_test_run();
}
