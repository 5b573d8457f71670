/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DreamBooth against PyTorch's and PEFT's own (dreambooth.safetensors): with the same pictures,
 * noise, timesteps and first weights, the loss, the gradient's norm and all weights after each step
 * are the same.
 */
#include <string.h>

#include "engine/memory.h"
#include "engine/training/dreambooth.h"
#include "tests/pipeline/golden_pipeline.h"

#define FILE_NAME "dreambooth"

typedef struct {
    GoldenPipeline fixture;
    W2wDreamboothRecipe recipe;
    gint channels, height, width;
    gsize n; /* of an image's latents */
    gint64 n_weights;
    guint n_steps;
    float *instance, *prior; /* unscaled latents, channels last */
    float *noise;            /* (n_steps,2,h,w,channels) */
    float *text, *theta;
    W2wDreambooth *dreambooth;
} Case;

static const W2wArray *get(Case *c, const char *key)
{
    return w2w_golden_get(c->fixture.golden, FILE_NAME, key);
}

/* (n,C,H,W) to (n,H,W,C). */
static float *read_images(Case *c, const char *key)
{
    g_autofree float *planes = w2w_golden_get_f32(c->fixture.golden, FILE_NAME, key);
    const gsize size = (gsize)get(c, key)->n_elements;
    float *pixels = g_new(float, size);

    g_assert_cmpuint(size % c->n, ==, 0);
    for (gsize from = 0; from < size; from += c->n)
        golden_to_channels_last(planes + from, c->channels, c->height * c->width, pixels + from);
    return pixels;
}

/* The file's latents are in the UNet's scale. */
static float *read_latents(Case *c, const char *key)
{
    const double scaling_factor = w2w_pipeline_get_scaling_factor(c->fixture.pipeline);
    float *latents = read_images(c, key);

    for (gint64 i = 0; i < get(c, key)->n_elements; i++)
        latents[i] = (float)((double)latents[i] / scaling_factor);
    return latents;
}

static void read_recipe(Case *c)
{
    JsonObject *params =
        json_object_get_object_member(w2w_golden_get_params(c->fixture.golden), "dreambooth");
    JsonArray *betas = json_object_get_array_member(params, "betas");

    g_assert_cmpstr(json_object_get_string_member(params, "optimizer"), ==, "AdamW");
    w2w_dreambooth_recipe_init(&c->recipe);
    c->recipe.n_steps = c->n_steps;
    c->recipe.lr = json_object_get_double_member(params, "lr");
    c->recipe.beta1 = json_array_get_double_element(betas, 0);
    c->recipe.beta2 = json_array_get_double_element(betas, 1);
    c->recipe.eps = json_object_get_double_member(params, "eps");
    c->recipe.weight_decay = json_object_get_double_member(params, "weight_decay");
    c->recipe.clip_norm = json_object_get_double_member(params, "clip_grad_norm");
    c->recipe.prior_weight = json_object_get_double_member(params, "prior_weight");
}

static void make_dreambooth(Case *c)
{
    g_autoptr(GError) error = NULL;
    const gsize text_size = (gsize)get(c, "text_embeddings")->n_elements / 2;
    const W2wDreamboothProblem problem = {
        .height = c->height,
        .width = c->width,
        .instance = {.mean = c->instance, .n = (guint)get(c, "instance_latents")->shape[0]},
        .prior = {.mean = c->prior, .n = (guint)get(c, "prior_latents")->shape[0]},
        .instance_text = c->text,
        .class_text = c->text + text_size,
        .start = c->theta,
    };

    c->dreambooth = w2w_dreambooth_new(c->fixture.pipeline, &c->recipe, &problem, &error);
    g_assert_no_error(error);
    g_assert_cmpint(
        w2w_training_step_get_n_weights(w2w_dreambooth_get_training_step(c->dreambooth)), ==,
        c->n_weights);
}

static void case_open(Case *c, const char *device)
{
    const W2wArray *latents;

    *c = (Case){0};
    golden_pipeline_open(&c->fixture, device, NULL);
    latents = get(c, "instance_latents");
    c->channels = (gint)latents->shape[1];
    c->height = (gint)latents->shape[2];
    c->width = (gint)latents->shape[3];
    c->n = (gsize)(latents->n_elements / latents->shape[0]);
    c->n_steps = (guint)get(c, "loss")->n_elements;
    c->n_weights = get(c, "theta_initial")->n_elements;
    g_assert_cmpuint(c->n_steps, >, 0);
    c->instance = read_latents(c, "instance_latents");
    c->prior = read_latents(c, "prior_latents");
    c->noise = read_images(c, "noise");
    c->text = w2w_golden_get_f32(c->fixture.golden, FILE_NAME, "text_embeddings");
    c->theta = w2w_golden_get_f32(c->fixture.golden, FILE_NAME, "theta_initial");
    read_recipe(c);
    make_dreambooth(c);
}

static void case_close(Case *c)
{
    w2w_dreambooth_free(c->dreambooth);
    g_free(c->instance);
    g_free(c->prior);
    g_free(c->noise);
    g_free(c->text);
    g_free(c->theta);
    golden_pipeline_close(&c->fixture);
}

static void test_steps(gconstpointer device)
{
    Case c;
    g_autofree float *losses = NULL;
    g_autofree float *norms = NULL;
    g_autofree float *thetas = NULL;

    case_open(&c, device);
    losses = g_new(float, c.n_steps);
    norms = g_new(float, c.n_steps);
    thetas = g_new(float, (gsize)c.n_steps *(gsize)c.n_weights);
    for (guint step = 0; step < c.n_steps; step++) {
        const guint pictures[] = {(guint)w2w_array_get_int(get(&c, "instance_index"), step),
                                  (guint)w2w_array_get_int(get(&c, "prior_index"), step)};
        const guint timesteps[] = {(guint)w2w_array_get_int(get(&c, "timesteps"), 2 * step),
                                   (guint)w2w_array_get_int(get(&c, "timesteps"), 2 * step + 1)};
        const W2wDreamboothDraw draw = {
            .pictures = pictures, .timesteps = timesteps, .noise = c.noise + 2 * step * c.n};
        g_autoptr(GError) error = NULL;
        W2wDreamboothMeasure measure;

        w2w_dreambooth_step(c.dreambooth, &draw, &measure, &error);
        g_assert_no_error(error);
        losses[step] = (float)measure.loss;
        norms[step] = (float)measure.grad_norm;
        memcpy(thetas + (gsize)step * (gsize)c.n_weights, w2w_dreambooth_get_theta(c.dreambooth),
               (gsize)c.n_weights * sizeof *thetas);
    }
    w2w_golden_compare(c.fixture.golden, FILE_NAME, "loss", NULL, losses);
    w2w_golden_compare(c.fixture.golden, FILE_NAME, "grad_norm", NULL, norms);
    w2w_golden_compare(c.fixture.golden, FILE_NAME, "theta", NULL, thetas);
    case_close(&c);
}

/* What the numbers above were made with: the texts of the two prompts. */
static void test_texts(gconstpointer device)
{
    Case c;
    JsonObject *params;
    const char *prompts[2];
    g_autoptr(GError) error = NULL;
    W2W_AUTO_ALIGNED float *text = NULL;

    case_open(&c, device);
    params = json_object_get_object_member(w2w_golden_get_params(c.fixture.golden), "dreambooth");
    prompts[0] = json_object_get_string_member(params, "instance_prompt");
    prompts[1] = json_object_get_string_member(params, "class_prompt");
    text = w2w_pipeline_encode_text(c.fixture.pipeline, prompts, 2, &error);
    g_assert_no_error(error);
    w2w_golden_compare(c.fixture.golden, FILE_NAME, "text_embeddings", NULL, text);
    case_close(&c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/golden/dreambooth/steps/reference", "reference", test_steps);
    g_test_add_data_func("/golden/dreambooth/steps/cpu", "cpu", test_steps);
    g_test_add_data_func("/golden/dreambooth/texts/reference", "reference", test_texts);
    g_test_add_data_func("/golden/dreambooth/texts/cpu", "cpu", test_texts);
    return g_test_run();
}
