/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inversion step by step against PyTorch (inversion.safetensors, inversion_ood.safetensors): from
 * the picture through the VAE and the text encoder of the program itself, with the noises and
 * timesteps of the file, to the loss of every step and the coefficients after it.
 */
#include <string.h>

#include "engine/memory.h"
#include "engine/training/inversion.h"
#include "tests/pipeline/golden_pipeline.h"

/* Inputs that a trimmed inversion_ood lacks are those of this one: both were made with them. */
#define FIRST "inversion"

typedef struct {
    GoldenPipeline fixture;
    const char *file;
    gint height, width, channels; /* of the latents */
    gsize n;
    guint n_steps;
    float *mean, *std, *mask, *text;
} Case;

static float *get(const Case *c, const char *key)
{
    W2wGolden *golden = c->fixture.golden;
    const gboolean own = w2w_safetensors_peek(w2w_golden_get_file(golden, c->file), key) != NULL;

    return w2w_golden_get_f32(golden, own ? c->file : FIRST, key);
}

static void encode(Case *c)
{
    W2wGolden *golden = c->fixture.golden;
    const W2wArray *image = w2w_golden_get(golden, FIRST, "image");
    const gint height = (gint)image->shape[2], width = (gint)image->shape[3];
    g_autofree float *planes = get(c, "image");
    g_autofree float *pixels = g_new(float, (gsize)image->n_elements);
    JsonObject *words = json_object_get_object_member(w2w_golden_get_params(golden), "dreambooth");
    const char *prompt = json_object_get_string_member(words, "instance_prompt");
    g_autoptr(GError) error = NULL;

    c->mean = g_new(float, c->n);
    c->std = g_new(float, c->n);
    golden_to_channels_last(planes, 3, (gint64)height * width, pixels);
    w2w_pipeline_encode_image(c->fixture.pipeline, pixels, width, height, c->mean, c->std, &error);
    g_assert_no_error(error);
    c->text = w2w_pipeline_encode_text(c->fixture.pipeline, &prompt, 1, &error);
    g_assert_no_error(error);
}

static void open_case(Case *c, const char *device, const char *file)
{
    const W2wArray *noise;

    memset(c, 0, sizeof *c);
    golden_pipeline_open(&c->fixture, device, NULL);
    c->file = file;
    noise = w2w_golden_get(c->fixture.golden, FIRST, "noise"); /* (steps, 1, channels, h, w) */
    c->n_steps = (guint)noise->shape[0];
    c->channels = (gint)noise->shape[2];
    c->height = (gint)noise->shape[3];
    c->width = (gint)noise->shape[4];
    c->n = (gsize)(c->channels * c->height * c->width);
    c->mask = get(c, "mask");
    encode(c);
}

static void close_case(Case *c)
{
    w2w_aligned_free(c->text);
    g_free(c->mean);
    g_free(c->std);
    g_free(c->mask);
    golden_pipeline_close(&c->fixture);
}

static W2wInversionRecipe read_recipe(const Case *c)
{
    JsonObject *params =
        json_object_get_object_member(w2w_golden_get_params(c->fixture.golden), c->file);
    JsonArray *betas = json_object_get_array_member(params, "betas");
    W2wInversionRecipe recipe;

    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER, 1);
    recipe.n_components = (guint)json_object_get_int_member(params, "components");
    recipe.n_steps = c->n_steps;
    recipe.lr = json_object_get_double_member(params, "lr");
    recipe.weight_decay = json_object_get_double_member(params, "weight_decay");
    recipe.beta1 = json_array_get_double_element(betas, 0);
    recipe.beta2 = json_array_get_double_element(betas, 1);
    return recipe;
}

static W2wInversion *start(Case *c, const W2wInversionRecipe *recipe)
{
    const W2wInversionPicture picture = {c->mean, c->std, c->mask};
    const W2wInversionProblem problem = {.height = c->height,
                                         .width = c->width,
                                         .pictures = &picture,
                                         .n_pictures = 1,
                                         .text_embedding = c->text};
    g_autoptr(GError) error = NULL;
    W2wInversion *inversion =
        w2w_inversion_new(c->fixture.pipeline, recipe, &problem, NULL, &error);

    g_assert_no_error(error);
    return inversion;
}

static void run_case(const char *device, const char *file)
{
    Case c;
    W2wInversionRecipe recipe;
    g_autoptr(W2wInversion) inversion = NULL;
    g_autofree float *noise = NULL, *posterior_noise = NULL, *timesteps = NULL;
    g_autofree float *losses = NULL, *coefficients = NULL, *noise_pixels = NULL,
                     *posterior_pixels = NULL;
    g_autoptr(GError) error = NULL;

    open_case(&c, device, file);
    recipe = read_recipe(&c);
    noise = get(&c, "noise");
    posterior_noise = get(&c, "posterior_noise");
    timesteps = get(&c, "timestep");
    noise_pixels = g_new(float, c.n);
    posterior_pixels = g_new(float, c.n);
    losses = g_new(float, c.n_steps);
    coefficients = g_new(float, c.n_steps *recipe.n_components);
    inversion = start(&c, &recipe);
    g_assert_cmpuint(w2w_inversion_get_n_coefficients(inversion), ==, recipe.n_components);
    for (guint s = 0; s < c.n_steps; s++) {
        const guint timestep = (guint)timesteps[s];
        const W2wInversionDraw draw = {
            .timesteps = &timestep, .noise = noise_pixels, .posterior_noise = posterior_pixels};
        double loss;

        golden_to_channels_last(noise + s * c.n, c.channels, c.height * c.width, noise_pixels);
        golden_to_channels_last(posterior_noise + s * c.n, c.channels, c.height * c.width,
                                posterior_pixels);
        w2w_inversion_step(inversion, &draw, &loss, &error);
        g_assert_no_error(error);
        losses[s] = (float)loss;
        memcpy(coefficients + s * recipe.n_components, w2w_inversion_get_coefficients(inversion),
               recipe.n_components * sizeof *coefficients);
    }
    w2w_golden_compare(c.fixture.golden, file, "loss", NULL, losses);
    w2w_golden_compare(c.fixture.golden, file, "coefficients", NULL, coefficients);
    g_clear_pointer(&inversion, w2w_inversion_free);
    close_case(&c);
}

static void test_paper(gconstpointer device)
{
    run_case(device, FIRST);
}

static void test_out_of_domain(gconstpointer device)
{
    run_case(device, "inversion_ood");
}

int main(int argc, char **argv)
{
    static const char *const devices[] = {"reference", "cpu"};

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(devices); i++) {
        g_autofree char *paper = g_strconcat("/inversion-golden/paper/", devices[i], NULL);
        g_autofree char *ood = g_strconcat("/inversion-golden/paper-ood/", devices[i], NULL);

        g_test_add_data_func(paper, devices[i], test_paper);
        g_test_add_data_func(ood, devices[i], test_out_of_domain);
    }
    return g_test_run();
}
