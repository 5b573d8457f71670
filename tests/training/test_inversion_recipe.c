/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The running mean over bands, the learning rates, and what makes no recipe. */
#include <math.h>

#include "engine/diffusion/noise_schedule.h"
#include "engine/error.h"
#include "engine/training/inversion_recipe.h"
#include "engine/training/noising.h"
#include "engine/training/timestep_bands.h"

/* Every band counts the same, however often it was drawn. */
static void test_bands_count_equally(void)
{
    const guint n_train = 1000, first_of_second = n_train / W2W_N_TIMESTEP_BANDS;
    W2wTimestepBands bands;
    double mean = -1.0;

    w2w_timestep_bands_init(&bands, n_train);
    g_assert_false(w2w_timestep_bands_get_mean(&bands, 1, &mean, NULL));
    for (guint i = 0; i < 5; i++)
        w2w_timestep_bands_add(&bands, 0, 8.0);
    for (guint b = 1; b < W2W_N_TIMESTEP_BANDS; b++) {
        g_assert_false(w2w_timestep_bands_get_mean(&bands, 1, &mean, NULL));
        w2w_timestep_bands_add(&bands, b * n_train / W2W_N_TIMESTEP_BANDS, 0.0);
    }
    g_assert_true(w2w_timestep_bands_get_mean(&bands, 1, &mean, NULL));
    g_assert_false(w2w_timestep_bands_get_mean(&bands, 2, &mean, NULL));
    g_assert_cmpfloat_with_epsilon(mean, 8.0 / W2W_N_TIMESTEP_BANDS, 1e-12);
    /* The edges: the last of the first band, the very last timestep. */
    w2w_timestep_bands_add(&bands, first_of_second - 1, 8.0);
    w2w_timestep_bands_add(&bands, n_train - 1, 4.0);
    w2w_timestep_bands_get_mean(&bands, 1, &mean, NULL);
    g_assert_cmpfloat_with_epsilon(mean, (8.0 + 2.0) / W2W_N_TIMESTEP_BANDS, 1e-12);
}

static void test_old_losses_are_forgotten(void)
{
    W2wTimestepBands bands;
    double mean;

    w2w_timestep_bands_init(&bands, 1000);
    for (guint round = 0; round < 2; round++)
        for (guint i = 0; i < W2W_TIMESTEP_BAND_DEPTH; i++)
            for (guint b = 0; b < W2W_N_TIMESTEP_BANDS; b++)
                w2w_timestep_bands_add(&bands, b * 1000 / W2W_N_TIMESTEP_BANDS,
                                       round == 0 ? 100.0 : 1.0);
    g_assert_true(w2w_timestep_bands_get_mean(&bands, W2W_TIMESTEP_BAND_DEPTH, &mean, NULL));
    g_assert_cmpfloat(mean, ==, 1.0);
}

static void test_learning_rates(void)
{
    W2wInversionRecipe recipe;

    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER, 100);
    recipe.n_steps = 10;
    recipe.lr = 2.0;
    g_assert_cmpfloat(w2w_inversion_recipe_get_lr(&recipe, 9), ==, 2.0);
    recipe.lr_schedule = W2W_LR_LINEAR;
    g_assert_cmpfloat(w2w_inversion_recipe_get_lr(&recipe, 0), ==, 2.0);
    g_assert_cmpfloat_with_epsilon(w2w_inversion_recipe_get_lr(&recipe, 5), 1.0, 1e-12);
    recipe.lr_schedule = W2W_LR_COSINE;
    g_assert_cmpfloat(w2w_inversion_recipe_get_lr(&recipe, 0), ==, 2.0);
    g_assert_cmpfloat_with_epsilon(w2w_inversion_recipe_get_lr(&recipe, 5), 1.0, 1e-12);
    g_assert_cmpfloat(w2w_inversion_recipe_get_lr(&recipe, 9), <, 0.1);
}

/* The paper's numbers, for upstream's space and for one that is narrower. */
static void test_paper_recipes(void)
{
    W2wInversionRecipe recipe;

    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER, 20000);
    g_assert_cmpuint(recipe.n_components, ==, 10000);
    g_assert_cmpuint(recipe.n_steps, ==, 400);
    g_assert_cmpuint(recipe.batch, ==, 1);
    g_assert_cmpfloat(recipe.lr, ==, 0.1);
    g_assert_cmpfloat(recipe.weight_decay, ==, 1e-10);
    g_assert_false(recipe.posterior_means);
    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER, 128);
    g_assert_cmpuint(recipe.n_components, ==, 128);
    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER_OOD, 10000);
    g_assert_cmpuint(recipe.n_components, ==, 1000);
    g_assert_cmpuint(recipe.n_steps, ==, 800);
    g_assert_cmpfloat(recipe.lr, ==, 1.0);
    g_assert_cmpfloat(recipe.weight_decay, ==, 0.0);
    w2w_inversion_recipe_init(&recipe, W2W_INVERSION_PAPER_OOD, 5);
    g_assert_cmpuint(recipe.n_components, ==, 1);
}

static void test_what_makes_no_recipe(void)
{
    for (guint i = 0; i < 9; i++) {
        W2wInversionRecipe recipe;
        g_autoptr(GError) error = NULL;

        w2w_inversion_recipe_init(&recipe, W2W_INVERSION_FAST, 100);
        g_assert_true(w2w_inversion_recipe_check(&recipe, NULL));
        if (i == 0)
            recipe.n_components = 0;
        else if (i == 1)
            recipe.n_steps = 0;
        else if (i == 2)
            recipe.n_steps = W2W_INVERSION_MAX_STEPS + 1;
        else if (i == 3)
            recipe.batch = 0;
        else if (i == 4)
            recipe.lr = 0.0;
        else if (i == 5)
            recipe.lr = NAN;
        else if (i == 6)
            recipe.population_weight = -1.0;
        else if (i == 7)
            recipe.averaged = 1.5;
        else
            recipe.preconditioning = INFINITY;
        g_assert_false(w2w_inversion_recipe_check(&recipe, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    }
}

static void test_noising(void)
{
    double kept[] = {0.75, 0.25};
    const W2wNoiseSchedule schedule = {2, kept};
    const float mean[] = {1.0f, -2.0f}, std[] = {0.5f, 0.25f}, noise[] = {2.0f, -4.0f};
    float sample[2], means[2], noised[2];

    w2w_sample_posterior(mean, std, noise, 0.5, 2, sample);
    w2w_sample_posterior(mean, std, NULL, 0.5, 2, means);
    w2w_noise_schedule_add_noise(&schedule, 1, 2, sample, noise, noised);
    for (guint i = 0; i < 2; i++) {
        g_assert_cmpfloat(means[i], ==, 0.5f * mean[i]);
        g_assert_cmpfloat(sample[i], ==, 0.5f * (mean[i] + std[i] * noise[i]));
        g_assert_cmpfloat_with_epsilon(noised[i], 0.5f * sample[i] + sqrtf(0.75f) * noise[i], 1e-6);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/training/timestep-bands/count-equally", test_bands_count_equally);
    g_test_add_func("/training/timestep-bands/forget", test_old_losses_are_forgotten);
    g_test_add_func("/training/recipe/learning-rates", test_learning_rates);
    g_test_add_func("/training/recipe/paper", test_paper_recipes);
    g_test_add_func("/training/recipe/refused", test_what_makes_no_recipe);
    g_test_add_func("/training/noising", test_noising);
    return g_test_run();
}
