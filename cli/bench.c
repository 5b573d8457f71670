/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench: one network alone, timed, for comparing with other engines and with itself.
 *
 * Every repetition sets all inputs, also those that a sampling loop keeps (text, LoRA factors):
 * others compute everything each time, and so do we here.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "engine/diffusion/generator.h"
#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/memory.h"
#include "engine/models/text_encoder.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"

#define TIMESTEP 500.0f

static const W2wParameter parameters[] = {
    {
        .name = "size",
        .type = W2W_PARAMETER_INT,
        .minimum = 8,
        .maximum = 4096,
        .number = 128,
        .label = "Size",
        .blurb = "Width and height of the picture in pixels.",
    },
    {
        .name = "batch",
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = 64,
        .number = 1,
        .label = "Batch",
        .blurb = "How many at once.",
    },
    {
        .name = "reps",
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = 10000,
        .number = 5,
        .label = "Repetitions",
        .blurb = "Timed runs after the first one.",
    },
    {
        .name = "lora",
        .type = W2W_PARAMETER_INT,
        .maximum = 64,
        .label = "LoRA rank",
        .blurb = "Rank of a LoRA on to_q and to_v of the UNet; 0: none.",
    },
    {
        .name = "profile",
        .type = W2W_PARAMETER_INT,
        .maximum = 10000,
        .label = "Profile",
        .blurb =
            "Also write a table of the ops to the error output, each at its fastest of so many "
            "runs; 0: none.",
    },
};

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
    g_autofree char *path = g_build_filename(directory, "vae", NULL);

    models->vae = w2w_vae_open(path, error);
    return models->vae != NULL;
}

static gboolean open_text(Models *models, const char *directory, GError **error)
{
    g_autofree char *path = g_build_filename(directory, "text_encoder", NULL);

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
    g_autofree char *path = g_build_filename(directory, "unet", NULL);
    g_autofree const char **lora_paths = NULL;
    W2wUnetRecordOptions options = {.batch = get(line, "batch")};

    models->unet = w2w_unet_open(path, error);
    if (models->unet == NULL || !open_vae(models, directory, error) ||
        !open_text(models, directory, error))
        return NULL;
    options.height = options.width = get(line, "size") / w2w_vae_get_downscale(models->vae);
    options.text_length = w2w_text_encoder_get_length(models->text);
    if (get(line, "lora") > 0) {
        lora_paths = get_lora_paths(models->unet);
        options.lora_paths = lora_paths;
        options.lora_rank = get(line, "lora");
        options.lora_scale = 1.0f;
    }
    return w2w_unet_record(models->unet, &options, error);
}

static W2wGraph *record(Models *models, const W2wCommandLine *line, const char *directory,
                        GError **error)
{
    const char *work = line->arguments->pdata[0];

    if (strcmp(work, "unet") == 0)
        return record_unet(models, line, directory, error);
    if (strcmp(work, "vae-decode") == 0) {
        gint size;

        if (!open_vae(models, directory, error))
            return NULL;
        size = get(line, "size") / w2w_vae_get_downscale(models->vae);
        return w2w_vae_record_decode(models->vae, get(line, "batch"), size, size, FALSE, error);
    }
    if (strcmp(work, "text") == 0)
        return open_text(models, directory, error)
                   ? w2w_text_encoder_record(models->text, get(line, "batch"), FALSE, error)
                   : NULL;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "“%s” cannot be timed, only: unet, vae-decode, text.", work);
    return NULL;
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

/* Seconds of one run, from inputs on the host to the output on the host. */
static double run_once(W2wPlan *plan, GArray *inputs, float *output)
{
    const gint64 start = g_get_monotonic_time();

    for (guint i = 0; i < inputs->len; i++) {
        const Input *input = &g_array_index(inputs, Input, i);

        w2w_plan_set_input(plan, input->name, input->values);
    }
    w2w_plan_replay(plan);
    w2w_plan_get_output(plan, w2w_plan_get_output_names(plan)[0], output);
    return (g_get_monotonic_time() - start) / 1e6;
}

static void add_times(W2wPlan *plan, GArray *inputs, float *output, gint reps, JsonObject *json)
{
    JsonArray *each = json_array_new();
    double best = G_MAXDOUBLE;

    json_object_set_double_member(json, "cold_s", run_once(plan, inputs, output));
    for (gint i = 0; i < reps; i++) {
        const double seconds = run_once(plan, inputs, output);

        json_array_add_double_element(each, seconds);
        best = MIN(best, seconds);
    }
    json_object_set_array_member(json, "each_s", each);
    json_object_set_double_member(json, "best_s", best);
}

static gboolean time_plan(W2wPlan *plan, const Models *models, gint reps, JsonObject *json,
                          GError **error)
{
    const W2wPlanInfo info = w2w_plan_get_info(plan);
    const W2wShape shape = w2w_plan_get_output_shape(plan, w2w_plan_get_output_names(plan)[0]);
    g_autoptr(GArray) inputs = make_inputs(plan, models, error);
    W2W_AUTO_ALIGNED float *output = NULL;
    struct rusage usage;

    if (inputs == NULL)
        return FALSE;
    output = w2w_aligned_alloc(w2w_shape_n_elements(shape), sizeof *output, "the result", error);
    if (output == NULL)
        return FALSE;
    add_times(plan, inputs, output, reps, json);
    json_object_set_double_member(json, "gflop", info.flops / 1e9);
    json_object_set_double_member(json, "arena_mb", info.arena_bytes / 1e6);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        json_object_set_double_member(json, "peak_mb", usage.ru_maxrss / 1e3);
    return TRUE;
}

static gboolean run_bench(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    g_autoptr(W2wWorld) world = NULL;
    g_autoptr(W2wDevice) device = NULL; /* outlives the plan: variables are freed backwards */
    g_auto(Models) models = {0};
    g_autoptr(W2wPlan) plan = NULL;
    g_autoptr(JsonObject) own_json = json_object_new();
    JsonObject *result = json != NULL ? json : own_json;
    g_autofree char *described = NULL;
    g_autofree char *text = NULL;
    W2wGraph *graph;
    gint64 start;

    if (line->arguments->len == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "Say what to time: unet, vae-decode, text.");
        return FALSE;
    }
    world = w2w_session_open_world(line, error);
    if (world == NULL)
        return FALSE;
    device = w2w_session_open_device(line, error);
    if (device == NULL)
        return FALSE;
    start = g_get_monotonic_time();
    graph = record(&models, line, w2w_world_get_model_directory(world), error);
    plan = graph != NULL ? w2w_plan_new(graph, device, W2W_PLAN_DEFAULT, error) : NULL;
    if (plan == NULL)
        return FALSE;
    described = w2w_device_describe(device);
    json_object_set_string_member(result, "bench", line->arguments->pdata[0]);
    json_object_set_string_member(result, "device", described);
    json_object_set_int_member(result, "size", get(line, "size"));
    json_object_set_int_member(result, "batch", get(line, "batch"));
    json_object_set_int_member(result, "lora", get(line, "lora"));
    json_object_set_double_member(result, "prepare_s", (g_get_monotonic_time() - start) / 1e6);
    if (!time_plan(plan, &models, get(line, "reps"), result, error))
        return FALSE;
    if (get(line, "profile") > 0) {
        g_autofree char *table = w2w_plan_profile(plan, (guint)get(line, "profile"));

        fputs(table, stderr);
    }
    if (json == NULL) {
        text = w2w_json_write_object(result);
        printf("%s\n", text);
    }
    return TRUE;
}

const W2wCommand w2w_bench_command = {
    .name = "bench",
    .arguments = "unet|vae-decode|text",
    .max_arguments = 1,
    .blurb = "Time a part of the model on this machine.",
    .help = "Times one network of the model alone, with made-up input, and prints the seconds of "
            "the first run (cold_s), of each other one (each_s) and of the fastest (best_s).",
    .own_parameters = parameters,
    .n_own_parameters = G_N_ELEMENTS(parameters),
    .run = run_bench,
};
