/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench: a network, a picture or loading, timed, for comparing with other engines and with itself.
 */
#include "cli/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/pipeline/pipeline.h"

/* W2wBenchWork */
static const char *const works[] = {"unet", "vae-decode", "vae-encode", "text", "render",
                                    "load", "train",      "invert",     NULL};

static const W2wParameter parameters[] = {
    {
        .name = "part",
        .type = W2W_PARAMETER_CHOICE,
        .string = "render",
        .choices = works,
        .label = "Part",
        .blurb = "What is timed: one network alone, a whole picture, opening world and model, or a "
                 "step of training.",
    },
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
        .blurb = "How many at once, of a network or in a step of training.",
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
        .name = "steps",
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = 1000,
        .number = 20,
        .label = "Steps",
        .blurb = "Steps of a picture.",
    },
    {
        .name = "lora-rank",
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

static gint get(const W2wCommandLine *line, const char *name)
{
    return (gint)w2w_values_get_int(line->own_values, name);
}

/* The most memory that the process ever had, in bytes; 0 where the system does not say. */
static double get_peak_bytes(void)
{
    g_autofree char *status = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/self/status", &status, NULL, NULL))
        return 0.0;
    line = strstr(status, "VmHWM:");
    return line != NULL ? 1024.0 * strtod(line + strlen("VmHWM:"), NULL) : 0.0;
}

static gint compare_seconds(gconstpointer first, gconstpointer second)
{
    const double a = *(const double *)first, b = *(const double *)second;

    return a < b ? -1 : a > b;
}

static gboolean time_once(W2wBenchFunc func, gpointer user_data, double *seconds, GError **error)
{
    const gint64 start = g_get_monotonic_time();

    if (!func(user_data, error))
        return FALSE;
    *seconds = (g_get_monotonic_time() - start) / 1e6;
    return TRUE;
}

gboolean w2w_bench_repeat(W2wBenchFunc func, gpointer user_data, double before, gint reps,
                          JsonObject *json, GError **error)
{
    g_autoptr(GArray) sorted = g_array_new(FALSE, FALSE, sizeof(double));
    g_autoptr(JsonArray) each = json_array_new();
    const double *values;
    double seconds;

    if (!time_once(func, user_data, &seconds, error))
        return FALSE;
    json_object_set_double_member(json, "cold_s", before + seconds);
    for (gint i = 0; i < reps; i++) {
        if (!time_once(func, user_data, &seconds, error))
            return FALSE;
        json_array_add_double_element(each, seconds);
        g_array_append_val(sorted, seconds);
    }
    g_array_sort(sorted, compare_seconds);
    values = (const double *)(gpointer)sorted->data;
    json_object_set_array_member(json, "each_s", g_steal_pointer(&each));
    json_object_set_double_member(json, "best_s", values[0]);
    json_object_set_double_member(json, "median_s",
                                  (values[(reps - 1) / 2] + values[reps / 2]) / 2.0);
    json_object_set_double_member(json, "peak_mb", get_peak_bytes() / 1e6);
    return TRUE;
}

typedef struct {
    const W2wCommandLine *line;
    W2wPipeline *pipeline;
    W2wRenderOptions options;
} Rendering;

static gboolean render(gpointer user_data, GError **error)
{
    const Rendering *rendering = user_data;
    g_autoptr(W2wPicture) picture =
        w2w_pipeline_render(rendering->pipeline, &rendering->options, NULL, error);

    return picture != NULL;
}

/* The base model, or with --lora-rank the average person: an identity costs the same whoever it is.
 */
static gboolean bench_render(const W2wCommandLine *line, W2wWorld *world, W2wDevice *device,
                             JsonObject *json, GError **error)
{
    const W2wWorldCard *card = w2w_world_get_card(world);
    W2wSpace *space = w2w_world_get_space(world);
    const gint64 start = g_get_monotonic_time();
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(W2wPipeline) pipeline = NULL;
    Rendering rendering = {.line = line};

    if (get(line, "lora-rank") > 0 && space != NULL) {
        identity = w2w_identity_new(w2w_space_get_n_components(space), error);
        if (identity == NULL) {
            w2w_device_free(device);
            w2w_world_free(world);
            return FALSE;
        }
    }
    rendering.options = (W2wRenderOptions){
        .identity = identity,
        .prompt = card->class_prompt != NULL ? card->class_prompt : "",
        .negative_prompt = card->negative_prompt,
        .width = get(line, "size"),
        .height = get(line, "size"),
        .steps = (guint)get(line, "steps"),
        .guidance_scale = card->guidance_scale,
    };
    pipeline = w2w_pipeline_new(world, device, error);
    if (pipeline == NULL)
        return FALSE;
    rendering.pipeline = pipeline;
    json_object_set_int_member(json, "steps", rendering.options.steps);
    return w2w_bench_repeat(render, &rendering, (g_get_monotonic_time() - start) / 1e6,
                            get(line, "reps"), json, error);
}

/* Until a first job could be taken; what a picture then plans is the cold of `render`. */
static gboolean load(gpointer user_data, GError **error)
{
    const W2wCommandLine *line = user_data;
    W2wWorld *world = w2w_session_open_world(line, error);
    W2wDevice *device = world != NULL ? w2w_session_open_device(line, error) : NULL;
    g_autoptr(W2wPipeline) pipeline = NULL;

    if (device == NULL) {
        w2w_world_free(world);
        return FALSE;
    }
    pipeline = w2w_pipeline_new(world, device, error);
    return pipeline != NULL;
}

static void describe(const W2wCommandLine *line, const W2wDevice *device, JsonObject *json)
{
    g_autofree char *described = w2w_device_describe(device);

    json_object_set_string_member(json, "bench", w2w_values_get_string(line->own_values, "part"));
    json_object_set_string_member(json, "device", described);
    json_object_set_string_member(json, "dtype", w2w_compute_type_names[device->compute_type]);
    json_object_set_int_member(json, "size", get(line, "size"));
    json_object_set_int_member(json, "batch", get(line, "batch"));
    json_object_set_int_member(json, "lora_rank", get(line, "lora-rank"));
}

static gboolean run_work(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    const W2wBenchWork work = w2w_values_get_choice(line->own_values, "part");
    g_autoptr(W2wWorld) world = NULL;
    g_autoptr(W2wDevice) device = w2w_session_open_device(line, error);

    if (device == NULL)
        return FALSE;
    describe(line, device, json);
    if (work == W2W_BENCH_LOAD)
        return w2w_bench_repeat(load, (gpointer)line, 0.0, get(line, "reps"), json, error);
    world = w2w_session_open_world(line, error);
    if (world == NULL)
        return FALSE;
    if (work == W2W_BENCH_RENDER)
        return bench_render(line, g_steal_pointer(&world), g_steal_pointer(&device), json, error);
    if (work == W2W_BENCH_TRAIN || work == W2W_BENCH_INVERT)
        return w2w_bench_training(line, work, g_steal_pointer(&world), g_steal_pointer(&device),
                                  json, error);
    return w2w_bench_network(line, work, world, device, json, error);
}

static gboolean run_bench(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    g_autoptr(JsonObject) own = json_object_new();
    JsonObject *result = json != NULL ? json : own;

    if (!run_work(line, result, error))
        return FALSE;
    if (json == NULL) { /* for scripts either way */
        g_autofree char *text = w2w_json_write_object(result);

        printf("%s\n", text);
    }
    return TRUE;
}

const W2wCommand w2w_bench_command = {
    .name = "bench",
    .group = "This machine",
    .arguments = "[unet|vae-decode|vae-encode|text|render|load|train|invert]",
    .argument_parameter = "part",
    .blurb = "Time a network, a picture or loading on this machine.",
    .help = "Prints JSON: the device; the seconds of the first run with everything that it has to "
            "prepare (cold_s), of each other one (each_s), the fastest and the median of them; and "
            "the most memory that the program ever had (peak_mb).",
    .own_parameters = parameters,
    .n_own_parameters = G_N_ELEMENTS(parameters),
    .run = run_bench,
};
