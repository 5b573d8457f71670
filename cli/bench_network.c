/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench: one network alone, with made-up input.
 *
 * Every repetition sets all inputs, also those that a sampling loop keeps (text, LoRA factors):
 * others compute everything each time, and so do we here.
 */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/session.h"
#include "engine/diffusion/generator.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/models/model_parts.h"
#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"

#define TIMESTEP 500.0f

/* The models that are needed; their graphs point into their weights. */
typedef struct {
    W2wUnet *unet;
    W2wVae *vae;
    W2wTextEncoder *text;
} Models;

static void models_clear(Models *models)
{
    g_clear_pointer(&models->unet, w2w_unet_free);
    g_clear_pointer(&models->vae, w2w_vae_free);
    g_clear_pointer(&models->text, w2w_text_encoder_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Models, models_clear)

static gint get(const W2wCommandLine *line, const char *name)
{
    return (gint)w2w_values_get_int(line->own_values, name);
}

static gboolean open_vae(Models *models, const char *directory, GError **error)
{
    g_autofree char *path = w2w_model_part_path(directory, "vae");

    models->vae = w2w_vae_open(path, error);
    return models->vae != NULL;
}

static gboolean open_text(Models *models, const char *directory, GError **error)
{
    g_autofree char *path = w2w_model_part_path(directory, "text_encoder");

    models->text = w2w_text_encoder_open(path, error);
    return models->text != NULL;
}

/* to_q and to_v, as spaces have them; the strings are the UNet's. */
static const char **get_lora_paths(const W2wUnet *unet)
{
    GPtrArray *paths = g_ptr_array_new();
    guint n_targets;
    const W2wLoraTarget *targets = w2w_unet_get_lora_targets(unet, &n_targets);

    for (guint i = 0; i < n_targets; i++)
        if (g_str_has_suffix(targets[i].path, "to_q") || g_str_has_suffix(targets[i].path, "to_v"))
            g_ptr_array_add(paths, (gpointer)targets[i].path);
    g_ptr_array_add(paths, NULL);
    return (const char **)g_ptr_array_free(paths, FALSE);
}

static W2wGraph *record_unet(Models *models, const W2wCommandLine *line, const char *directory,
                             GError **error)
{
    g_autofree char *path = w2w_model_part_path(directory, "unet");
    g_autofree const char **lora_paths = NULL;
    W2wUnetRecordOptions options = {.batch = get(line, "batch")};

    models->unet = w2w_unet_open(path, error);
    if (models->unet == NULL || !open_vae(models, directory, error) ||
        !open_text(models, directory, error))
        return NULL;
    options.height = options.width = get(line, "size") / w2w_vae_get_downscale(models->vae);
    options.text_length = w2w_text_encoder_get_length(models->text);
    if (get(line, "lora-rank") > 0) {
        lora_paths = get_lora_paths(models->unet);
        options.lora_paths = lora_paths;
        options.lora_rank = get(line, "lora-rank");
        options.lora_scale = 1.0f;
    }
    return w2w_unet_record(models->unet, &options, error);
}

static W2wGraph *record_vae(Models *models, const W2wCommandLine *line, const char *directory,
                            gboolean encode, GError **error)
{
    const gint size = get(line, "size"), batch = get(line, "batch");
    gint latents;

    if (!open_vae(models, directory, error))
        return NULL;
    latents = size / w2w_vae_get_downscale(models->vae);
    return encode ? w2w_vae_record_encode(models->vae, batch, size, size, FALSE, error)
                  : w2w_vae_record_decode(models->vae, batch, latents, latents, FALSE, error);
}

static W2wGraph *record(Models *models, const W2wCommandLine *line, const char *directory,
                        W2wBenchWork work, GError **error)
{
    switch (work) {
    case W2W_BENCH_UNET:
        return record_unet(models, line, directory, error);
    case W2W_BENCH_VAE_DECODE:
    case W2W_BENCH_VAE_ENCODE:
        return record_vae(models, line, directory, work == W2W_BENCH_VAE_ENCODE, error);
    case W2W_BENCH_TEXT:
        return open_text(models, directory, error)
                   ? w2w_text_encoder_record(models->text, get(line, "batch"), FALSE, error)
                   : NULL;
    default:
        g_assert_not_reached(); /* no network */
    }
}

/* Values like real ones: ids inside of the vocabulary, a timestep, normal numbers. */
static void fill_input(const Models *models, const char *name, W2wGenerator *generator,
                       float *values, gsize n)
{
    if (strcmp(name, "input_ids") == 0) {
        g_autofree gint64 *ids = g_new(gint64, n);

        w2w_generator_randint(generator, w2w_text_encoder_get_vocabulary_size(models->text), n,
                              ids);
        for (gsize i = 0; i < n; i++)
            values[i] = (float)ids[i];
    } else if (strcmp(name, "timesteps") == 0) {
        for (gsize i = 0; i < n; i++)
            values[i] = TIMESTEP;
    } else {
        w2w_generator_randn(generator, n, values);
    }
}

typedef struct {
    const char *name;
    float *values; /* aligned */
} Input;

static void clear_input(gpointer data)
{
    w2w_aligned_free(((Input *)data)->values);
}

static GArray *make_inputs(const W2wPlan *plan, const Models *models, GError **error)
{
    g_autoptr(GArray) inputs = g_array_new(FALSE, FALSE, sizeof(Input));
    g_autoptr(W2wGenerator) generator = w2w_generator_new(0);
    const char *const *names = w2w_plan_get_input_names(plan);

    g_array_set_clear_func(inputs, clear_input);
    for (guint i = 0; names[i] != NULL; i++) {
        const gsize n = w2w_shape_n_elements(w2w_plan_get_input_shape(plan, names[i]));
        const Input input = {names[i],
                             w2w_aligned_alloc(n, sizeof(float), "an input of the model", error)};

        if (input.values == NULL)
            return NULL;
        g_array_append_val(inputs, input);
        fill_input(models, names[i], generator, input.values, n);
    }
    return g_steal_pointer(&inputs);
}

/* From inputs on the host to the output on the host. */
static void run_once(W2wPlan *plan, GArray *inputs, float *output)
{
    for (guint i = 0; i < inputs->len; i++) {
        const Input *input = &g_array_index(inputs, Input, i);

        w2w_plan_set_input(plan, input->name, input->values);
    }
    w2w_plan_replay(plan);
    w2w_plan_get_output(plan, w2w_plan_get_output_names(plan)[0], output);
}

typedef struct {
    W2wPlan *plan;
    GArray *inputs;
    float *output;
} Repetition;

static gboolean repeat(gpointer user_data, GError **error)
{
    const Repetition *repetition = user_data;

    run_once(repetition->plan, repetition->inputs, repetition->output);
    return TRUE;
}

static gboolean time_plan(W2wPlan *plan, const Models *models, gint reps, double prepare,
                          JsonObject *json, GError **error)
{
    const W2wPlanInfo info = w2w_plan_get_info(plan);
    const W2wShape shape = w2w_plan_get_output_shape(plan, w2w_plan_get_output_names(plan)[0]);
    g_autoptr(GArray) inputs = make_inputs(plan, models, error);
    W2W_AUTO_ALIGNED float *output = NULL;
    Repetition repetition = {plan, inputs};

    if (inputs == NULL)
        return FALSE;
    output = w2w_aligned_alloc(w2w_shape_n_elements(shape), sizeof *output, "the result", error);
    if (output == NULL)
        return FALSE;
    repetition.output = output;
    json_object_set_double_member(json, "prepare_s", prepare);
    json_object_set_double_member(json, "gflop", info.flops / 1e9);
    json_object_set_double_member(json, "arena_mb", info.arena_bytes / 1e6);
    return w2w_bench_repeat(repeat, &repetition, prepare, reps, json, error);
}

gboolean w2w_bench_network(const W2wCommandLine *line, W2wBenchWork work, W2wWorld *world,
                           W2wDevice *device, JsonObject *json, GError **error)
{
    const gint64 start = g_get_monotonic_time();
    g_auto(Models) models = {0};
    g_autoptr(W2wPlan) plan = NULL;
    W2wGraph *graph = record(&models, line, w2w_world_get_model_directory(world), work, error);

    plan = graph != NULL ? w2w_plan_new(graph, device, W2W_PLAN_DEFAULT, error) : NULL;
    if (plan == NULL || !time_plan(plan, &models, get(line, "reps"),
                                   (g_get_monotonic_time() - start) / 1e6, json, error))
        return FALSE;
    if (get(line, "profile") > 0) {
        g_autofree char *table = w2w_plan_profile(plan, (guint)get(line, "profile"));

        fputs(table, stderr);
    }
    return TRUE;
}
