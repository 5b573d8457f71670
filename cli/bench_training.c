/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench: a step of training. `train` is the UNet forward and backward, to the gradients of rank-1
 * factors on to_q and to_v, with made-up input, all of which is set every time; `invert` is what an
 * inversion does for each step: a posterior and noise are drawn, theta = mean + std ⊙ V c, forward,
 * backward, Vᵀ, Adam.
 */
#include <stdio.h>

#include "cli/bench.h"
#include "engine/diffusion/generator.h"
#include "engine/memory.h"
#include "engine/training/inversion.h"

#define TIMESTEP         500.0f
#define FACTOR_DEVIATION 0.01f /* of made-up LoRA factors */

static gint get(const W2wCommandLine *line, const char *name)
{
    return (gint)w2w_values_get_int(line->own_values, name);
}

/* --- train --- */

typedef struct {
    W2wTrainingStep *step;
    float *text, *theta, *d_theta, *latents, *target, *timesteps, *loss_weights, *losses;
} Training;

static void training_clear(Training *training)
{
    float *const arrays[] = {training->text,    training->theta,       training->d_theta,
                             training->latents, training->target,      training->timesteps,
                             training->losses,  training->loss_weights};

    w2w_training_step_free(training->step);
    for (guint i = 0; i < G_N_ELEMENTS(arrays); i++)
        w2w_aligned_free(arrays[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Training, training_clear)

static gboolean allocate(float **array, gsize n, GError **error)
{
    *array = w2w_aligned_alloc(n, sizeof **array, "an input of the model", error);
    return *array != NULL;
}

static gboolean make_inputs(Training *training, const W2wTrainingStepOptions *options,
                            W2wPipelineSizes sizes, GError **error)
{
    g_autoptr(W2wGenerator) generator = w2w_generator_new(0);
    const gsize batch = (gsize)options->batch;
    const gsize n_weights = (gsize)w2w_training_step_get_n_weights(training->step);
    const gsize n_text = batch * (gsize)sizes.text_length * (gsize)sizes.text_width;
    const gsize n_latents =
        batch * (gsize)options->height * (gsize)options->width * (gsize)sizes.latent_channels;

    if (!allocate(&training->text, n_text, error) ||
        !allocate(&training->theta, n_weights, error) ||
        !allocate(&training->d_theta, n_weights, error) ||
        !allocate(&training->latents, n_latents, error) ||
        !allocate(&training->target, n_latents, error) ||
        !allocate(&training->timesteps, batch, error) ||
        !allocate(&training->loss_weights, batch, error) ||
        !allocate(&training->losses, batch, error))
        return FALSE;
    w2w_generator_randn(generator, n_text, training->text);
    w2w_generator_randn(generator, n_weights, training->theta);
    for (gsize i = 0; i < n_weights; i++)
        training->theta[i] *= FACTOR_DEVIATION;
    w2w_generator_randn(generator, n_latents, training->latents);
    w2w_generator_randn(generator, n_latents, training->target);
    for (gsize i = 0; i < batch; i++) {
        training->timesteps[i] = TIMESTEP;
        training->loss_weights[i] = 1.0f / (float)batch;
    }
    return TRUE;
}

static gboolean train_once(gpointer user_data, GError **error)
{
    const Training *training = user_data;
    const W2wTrainingBatch batch = {
        .latents = training->latents,
        .timesteps = training->timesteps,
        .target = training->target,
        .loss_weights = training->loss_weights,
    };

    w2w_training_step_set_text(training->step, training->text);
    w2w_training_step_run(training->step, training->theta, &batch, training->losses,
                          training->d_theta);
    return TRUE;
}

static gboolean bench_train(const W2wCommandLine *line, W2wPipeline *pipeline, double before,
                            JsonObject *json, GError **error)
{
    const gint64 start = g_get_monotonic_time();
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(pipeline);
    const gint size = get(line, "size") / sizes.downscale;
    const W2wTrainingStepOptions options = {
        .batch = get(line, "batch"), .height = size, .width = size};
    g_auto(Training) training = {0};
    W2wTrainingMemory memory;

    training.step = w2w_training_step_new(pipeline, &options, error);
    if (training.step == NULL || !make_inputs(&training, &options, sizes, error))
        return FALSE;
    memory = w2w_training_step_get_memory(training.step);
    json_object_set_double_member(json, "weights_mb", memory.weights / 1e6);
    json_object_set_double_member(json, "arena_mb", memory.activations / 1e6);
    if (!w2w_bench_repeat(train_once, &training, before + (g_get_monotonic_time() - start) / 1e6,
                          get(line, "reps"), json, error))
        return FALSE;
    if (get(line, "profile") > 0) {
        g_autofree char *table =
            w2w_training_step_profile(training.step, (guint)get(line, "profile"));

        fputs(table, stderr);
    }
    return TRUE;
}

/* --- invert --- */

static gboolean invert_once(gpointer user_data, GError **error)
{
    double loss;

    return w2w_inversion_step(user_data, NULL, &loss, error);
}

/* A posterior of about the size that pictures have: what is in it costs nothing. */
static float *make_posterior(gsize n, GError **error)
{
    g_autoptr(W2wGenerator) generator = w2w_generator_new(0);
    W2W_AUTO_ALIGNED float *values = w2w_aligned_alloc(n, 2 * sizeof *values, "a picture", error);

    if (values == NULL)
        return NULL;
    w2w_generator_randn(generator, n, values);
    for (gsize i = 0; i < n; i++)
        values[n + i] = 0.1f;
    return g_steal_pointer(&values);
}

/* The paper's own recipe, with as many images in a step as are wanted. */
static gboolean bench_invert(const W2wCommandLine *line, W2wPipeline *pipeline, double before,
                             JsonObject *json, GError **error)
{
    const gint64 start = g_get_monotonic_time();
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(pipeline);
    const gint size = get(line, "size") / sizes.downscale;
    const gsize n_latents = (gsize)size * (gsize)size * (gsize)sizes.latent_channels;
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    const W2wSpace *space = w2w_world_get_space(world);
    const char *prompt = w2w_world_get_card(world)->class_prompt;
    W2W_AUTO_ALIGNED float *text = NULL;
    W2W_AUTO_ALIGNED float *posterior = NULL;
    g_autoptr(W2wInversion) inversion = NULL;
    W2wInversionPicture picture = {0};
    W2wInversionProblem problem = {
        .height = size, .width = size, .pictures = &picture, .n_pictures = 1};
    W2wInversionRecipe recipe;
    W2wTrainingMemory memory;

    if (prompt == NULL)
        prompt = "";
    text = w2w_pipeline_encode_text(pipeline, &prompt, 1, error);
    posterior = text != NULL ? make_posterior(n_latents, error) : NULL;
    if (posterior == NULL)
        return FALSE;
    picture.mean = posterior;
    picture.std = posterior + n_latents;
    problem.text_embedding = text;
    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER,
                              space != NULL ? w2w_space_get_n_components(space) : 0);
    recipe.batch = (guint)get(line, "batch");
    inversion = w2w_inversion_new(pipeline, &recipe, &problem, NULL, error);
    if (inversion == NULL)
        return FALSE;
    memory = w2w_inversion_get_memory(inversion);
    json_object_set_int_member(json, "components", w2w_inversion_get_n_components(inversion));
    json_object_set_double_member(json, "weights_mb", memory.weights / 1e6);
    json_object_set_double_member(json, "arena_mb", memory.activations / 1e6);
    return w2w_bench_repeat(invert_once, inversion, before + (g_get_monotonic_time() - start) / 1e6,
                            get(line, "reps"), json, error);
}

/* --- */

gboolean w2w_bench_training(const W2wCommandLine *line, W2wBenchWork work, W2wWorld *world,
                            W2wDevice *device, JsonObject *json, GError **error)
{
    const gint64 start = g_get_monotonic_time();
    g_autoptr(W2wPipeline) pipeline = w2w_pipeline_new(world, device, error);
    double before;

    if (pipeline == NULL)
        return FALSE;
    /* Whatever the pipeline's device computes in, and whatever the options say. */
    json_object_set_string_member(json, "dtype", w2w_compute_type_names[W2W_COMPUTE_F32]);
    json_object_set_int_member(json, "lora_rank", 1);
    before = (g_get_monotonic_time() - start) / 1e6;
    return work == W2W_BENCH_TRAIN ? bench_train(line, pipeline, before, json, error)
                                   : bench_invert(line, pipeline, before, json, error);
}
