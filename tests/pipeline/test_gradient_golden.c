/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loss and gradient through the whole UNet against PyTorch's (gradient.safetensors: sizes that
 * are square and not, two timesteps, hard and soft masks, one image and several at once), with
 * every number of recomputed blocks that a budget of memory can lead to.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/pipeline/training_step.h"
#include "tests/pipeline/golden_pipeline.h"

#define FILE_NAME "gradient"

/* One case of the file, channels last. */
typedef struct {
    char *prefix; /* "16x24.t37." */
    gint n, channels, height, width;
    gsize size; /* of the latents */
    float *latents, *noise, *mask, *timesteps;
} Case;

static void case_free(Case *c)
{
    g_free(c->prefix);
    g_free(c->latents);
    g_free(c->noise);
    g_free(c->mask);
    g_free(c->timesteps);
    g_free(c);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Case, case_free)

static char *key_of(const Case *c, const char *name)
{
    return g_strconcat(c->prefix, name, NULL);
}

static float *read_pixels(const Case *c, W2wGolden *golden, const char *name, gint channels)
{
    g_autofree char *key = key_of(c, name);
    g_autofree float *planes = w2w_golden_get_f32(golden, FILE_NAME, key);
    const gsize image = (gsize)(channels * c->height * c->width);
    float *pixels = g_new(float, image *(gsize)c->n);

    for (gint i = 0; i < c->n; i++)
        golden_to_channels_last(planes + (gsize)i * image, channels, c->height * c->width,
                                pixels + (gsize)i * image);
    return pixels;
}

/* "….t640." says its timestep; several at once have an array of them. */
static float *read_timesteps(const Case *c, W2wGolden *golden)
{
    g_autofree char *key = key_of(c, "timesteps");
    const char *single = g_strrstr(c->prefix, ".t");
    float *timesteps;

    if (w2w_safetensors_peek(w2w_golden_get_file(golden, FILE_NAME), key) != NULL)
        return w2w_golden_get_f32(golden, FILE_NAME, key);
    g_assert_nonnull(single);
    timesteps = g_new(float, (gsize)c->n);
    for (gint i = 0; i < c->n; i++)
        timesteps[i] = (float)g_ascii_strtod(single + 2, NULL);
    return timesteps;
}

static Case *read_case(W2wGolden *golden, const char *latents_key)
{
    const W2wArray *latents = w2w_golden_get(golden, FILE_NAME, latents_key);
    Case *c = g_new0(Case, 1);

    c->prefix = g_strndup(latents_key, strlen(latents_key) - strlen("latents"));
    c->n = (gint)latents->shape[0];
    c->channels = (gint)latents->shape[1];
    c->height = (gint)latents->shape[2];
    c->width = (gint)latents->shape[3];
    c->size = (gsize)latents->n_elements;
    c->latents = read_pixels(c, golden, "latents", c->channels);
    c->noise = read_pixels(c, golden, "noise", c->channels);
    c->mask = read_pixels(c, golden, "mask", 1);
    c->timesteps = read_timesteps(c, golden);
    return c;
}

static void compare(const Case *c, W2wGolden *golden, const char *name, const float *actual)
{
    g_autofree char *key = key_of(c, name);

    w2w_golden_compare(golden, FILE_NAME, key, NULL, actual);
}

/* The text of the file for every image. */
static void set_text(const Case *c, W2wGolden *golden, W2wTrainingStep *step)
{
    const gsize size = (gsize)w2w_golden_get(golden, FILE_NAME, "text_embedding")->n_elements;
    g_autofree float *text = w2w_golden_get_f32(golden, FILE_NAME, "text_embedding");
    g_autofree float *all = g_new(float, size *(gsize)c->n);

    for (gint i = 0; i < c->n; i++)
        memcpy(all + (gsize)i * size, text, size * sizeof *text);
    w2w_training_step_set_text(step, all);
}

typedef struct {
    float loss;
    float *noise_pred, *d_theta, *d_coefficients;
} Result;

static void result_clear(Result *result)
{
    g_free(result->noise_pred);
    g_free(result->d_theta);
    g_free(result->d_coefficients);
}

/* d_c = Vᵀ (std ⊙ d_theta) */
static float *to_coefficients(const W2wSpace *space, const float *d_theta)
{
    g_autoptr(GError) error = NULL;
    float *d = g_new0(float, w2w_space_get_n_components(space));

    w2w_space_project_gradient(space, d_theta, w2w_space_get_n_components(space), d, &error);
    g_assert_no_error(error);
    return d;
}

static Result run(const GoldenPipeline *fixture, const Case *c, guint64 memory, guint *n_recomputed)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(fixture->pipeline));
    const W2wTrainingStepOptions options = {
        .batch = c->n, .height = c->height, .width = c->width, .memory = memory};
    g_autoptr(W2wIdentity) identity =
        golden_pipeline_get_identity(fixture, FILE_NAME, "coefficients");
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wTrainingStep) step = w2w_training_step_new(fixture->pipeline, &options, &error);
    const gsize image = c->size / (gsize)c->n;
    g_autofree float *noised = g_new(float, c->size);
    g_autofree float *pixels = g_new(float, c->size);
    g_autofree float *weights = g_new(float, (gsize)c->n);
    g_autofree float *losses = g_new(float, (gsize)c->n);
    g_autofree float *theta = NULL;
    W2wTrainingBatch batch = {noised, c->timesteps, c->noise, c->mask, weights};
    Result result = {0};
    gsize n;

    g_assert_no_error(error);
    n = (gsize)w2w_training_step_get_n_weights(step);
    theta = g_new(float, n);
    w2w_space_unproject(space, identity->coefficients, identity->n_coefficients, theta, &error);
    g_assert_no_error(error);
    for (gint i = 0; i < c->n; i++) {
        weights[i] = 1.0f / (float)c->n; /* torch's mean over the batch */
        w2w_noise_schedule_add_noise(w2w_pipeline_get_noise_schedule(fixture->pipeline),
                                     (guint)c->timesteps[i], image, c->latents + (gsize)i * image,
                                     c->noise + (gsize)i * image, noised + (gsize)i * image);
    }
    set_text(c, fixture->golden, step);
    result.d_theta = g_new0(float, n);
    result.noise_pred = g_new(float, c->size);
    w2w_training_step_run(step, theta, &batch, losses, result.d_theta);
    w2w_training_step_get_noise_pred(step, pixels);
    for (gint i = 0; i < c->n; i++) {
        result.loss += losses[i] * weights[i];
        golden_to_planes(pixels + (gsize)i * image, c->channels, c->height * c->width,
                         result.noise_pred + (gsize)i * image);
    }
    result.d_coefficients = to_coefficients(space, result.d_theta);
    *n_recomputed = w2w_training_step_get_memory(step).n_recomputed;
    return result;
}

static void test_values(gconstpointer device)
{
    GoldenPipeline fixture;
    const char *const *keys;
    guint n_cases = 0;

    golden_pipeline_open(&fixture, device, NULL);
    keys = w2w_safetensors_get_keys(w2w_golden_get_file(fixture.golden, FILE_NAME));
    for (guint i = 0; keys[i] != NULL; i++) {
        g_autoptr(Case) c = NULL;
        Result result;
        guint n_recomputed;

        if (!g_str_has_suffix(keys[i], ".latents"))
            continue;
        c = read_case(fixture.golden, keys[i]);
        result = run(&fixture, c, 0, &n_recomputed);
        g_assert_cmpuint(n_recomputed, ==, 0);
        compare(c, fixture.golden, "loss", &result.loss);
        compare(c, fixture.golden, "noise_pred", result.noise_pred);
        compare(c, fixture.golden, "d_theta", result.d_theta);
        compare(c, fixture.golden, "d_coefficients", result.d_coefficients);
        result_clear(&result);
        n_cases++;
    }
    g_assert_cmpuint(n_cases, >, 0);
    golden_pipeline_close(&fixture);
}

static W2wTrainingMemory measure(const GoldenPipeline *fixture, const Case *c, guint64 budget)
{
    const W2wTrainingStepOptions options = {
        .batch = c->n, .height = c->height, .width = c->width, .memory = budget};
    g_autoptr(GError) error = NULL;
    W2wTrainingMemory memory = {0};

    w2w_training_step_measure(fixture->pipeline, &options, &memory, &error);
    g_assert_no_error(error);
    return memory;
}

/* Any budget gives the same bits, is kept, and too small a one is refused with the least that
 * would do. */
static void test_memory(gconstpointer device)
{
    GoldenPipeline fixture;
    g_autoptr(Case) c = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *key = NULL;
    const char *const *keys;
    W2wTrainingMemory all, memory;
    W2wTrainingStepOptions options = {0};
    Result expected;
    guint n_recomputed, last = 0;

    golden_pipeline_open(&fixture, device, NULL);
    keys = w2w_safetensors_get_keys(w2w_golden_get_file(fixture.golden, FILE_NAME));
    for (guint i = 0; keys[i] != NULL && c == NULL; i++)
        if (g_str_has_suffix(keys[i], ".latents"))
            c = read_case(fixture.golden, keys[i]);
    g_assert_nonnull(c);
    all = measure(&fixture, c, 0);
    g_assert_cmpuint(all.n_blocks, >, 1);
    g_assert_cmpuint(all.total, ==, all.weights + all.activations);
    expected = run(&fixture, c, 0, &n_recomputed);
    /* In some ten steps down to where nothing fits. */
    for (guint64 budget = all.total - 1;; budget = memory.total - 1 - all.activations / 16) {
        Result result;

        options = (W2wTrainingStepOptions){
            .batch = c->n, .height = c->height, .width = c->width, .memory = budget};
        g_clear_error(&error);
        if (!w2w_training_step_measure(fixture.pipeline, &options, &memory, &error))
            break;
        g_assert_cmpuint(memory.total, <=, budget);
        g_assert_cmpuint(memory.n_recomputed, >, last);
        last = memory.n_recomputed;
        result = run(&fixture, c, budget, &n_recomputed);
        g_assert_cmpuint(n_recomputed, ==, memory.n_recomputed);
        g_assert_cmpmem(&result.loss, sizeof result.loss, &expected.loss, sizeof expected.loss);
        g_assert_cmpmem(result.noise_pred, c->size * sizeof(float), expected.noise_pred,
                        c->size * sizeof(float));
        g_assert_cmpmem(result.d_coefficients,
                        w2w_space_get_n_components(
                            w2w_world_get_space(w2w_pipeline_get_world(fixture.pipeline))) *
                            sizeof(float),
                        expected.d_coefficients,
                        w2w_space_get_n_components(
                            w2w_world_get_space(w2w_pipeline_get_world(fixture.pipeline))) *
                            sizeof(float));
        g_test_message("%u of %u blocks recomputed: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                       " bytes of activations",
                       memory.n_recomputed, memory.n_blocks, memory.activations, all.activations);
        result_clear(&result);
    }
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    g_assert_cmpuint(last, >, 0);
    result_clear(&expected);
    golden_pipeline_close(&fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/golden/gradient/values/reference", "reference", test_values);
    g_test_add_data_func("/golden/gradient/values/cpu", "cpu", test_values);
    g_test_add_data_func("/golden/gradient/memory/cpu", "cpu", test_memory);
    g_test_add_data_func("/golden/gradient/memory/reference", "reference", test_memory);
    return g_test_run();
}
