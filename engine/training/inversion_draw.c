/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an inversion draws: pictures in turn, timesteps as the recipe says, noise. */
#include <math.h>
#include <string.h>

#include "engine/array.h"
#include "engine/memory.h"
#include "engine/training/inversion_internal.h"

/* 1 / golden ratio: of all numbers the one whose multiples (mod 1) leave the smallest gaps. */
#define GOLDEN 0.61803398874989484820

void w2w_inversion_draw_image(W2wInversion *inversion, float *out)
{
    const gint64 n_pixels = (gint64)inversion->n_pixels;

    w2w_generator_randn(inversion->generator, inversion->n, inversion->planes);
    w2w_transpose_f32(inversion->planes, 1, (gint64)inversion->n / n_pixels, n_pixels, out);
}

gboolean w2w_inversion_draw_first(W2wInversion *inversion, GError **error)
{
    const W2wInversionRecipe *recipe = &inversion->recipe;
    float offset = 0.0f;

    if (recipe->n_noises > 0) {
        inversion->noises = w2w_aligned_alloc(recipe->n_noises, inversion->n * sizeof(float),
                                              "the noises of an inversion", error);
        if (inversion->noises == NULL)
            return FALSE;
        for (guint i = 0; i < recipe->n_noises; i++)
            w2w_inversion_draw_image(inversion, inversion->noises + i * inversion->n);
    }
    if (recipe->timesteps == W2W_TIMESTEPS_SPREAD)
        w2w_generator_rand(inversion->generator, 1, &offset);
    inversion->offset = offset;
    return TRUE;
}

/* A place in 0 … 1 as a timestep. */
static guint to_timestep(double place, guint n_train_timesteps)
{
    return MIN((guint)(place * n_train_timesteps), n_train_timesteps - 1);
}

/* Images of a step that have all but the noise's sign in common. */
static guint count_alike(const W2wInversion *inversion)
{
    return inversion->recipe.antithetic ? 2 : 1;
}

static guint greatest_common_divisor(guint a, guint b)
{
    return b == 0 ? a : greatest_common_divisor(b, a % b);
}

/*
 * Which of `n` the pair (or image) of number `number` gets: each in turn, and the turn moves on by
 * one whenever it would begin at the same place of a step again. Otherwise, with two pictures and
 * two pairs to a step, one picture would only ever meet the lower half of the timesteps.
 */
static guint take_turn(const W2wInversion *inversion, guint64 number, guint n)
{
    const guint per_step = MAX(inversion->recipe.batch / count_alike(inversion), 1);
    const guint64 round = (guint64)n * per_step / greatest_common_divisor(n, per_step);

    return (guint)((number + number / round) % n);
}

static void draw_timesteps(W2wInversion *inversion)
{
    const guint batch = inversion->recipe.batch, n_alike = count_alike(inversion);
    const guint n_parts = (batch + n_alike - 1) / n_alike;
    const guint n_train = w2w_pipeline_get_noise_schedule(inversion->pipeline)->n_train_timesteps;
    const double walked = inversion->offset + GOLDEN * (double)(inversion->n_images / batch);

    for (guint b = 0; b < batch; b++) {
        gint64 timestep;
        float jitter;

        if (b % n_alike != 0) {
            inversion->timesteps[b] = inversion->timesteps[b - 1];
            continue;
        }
        switch (inversion->recipe.timesteps) {
        case W2W_TIMESTEPS_UNIFORM:
            w2w_generator_randint(inversion->generator, n_train, 1, &timestep);
            inversion->timesteps[b] = (guint)timestep;
            break;
        case W2W_TIMESTEPS_STRATIFIED:
            w2w_generator_rand(inversion->generator, 1, &jitter);
            inversion->timesteps[b] =
                to_timestep(((double)(b / n_alike) + (double)jitter) / n_parts, n_train);
            break;
        case W2W_TIMESTEPS_SPREAD:
            inversion->timesteps[b] =
                to_timestep((b / n_alike + walked - floor(walked)) / n_parts, n_train);
            break;
        }
    }
}

static void negate(const float *noise, gsize n, float *out)
{
    for (gsize i = 0; i < n; i++)
        out[i] = -noise[i];
}

static void draw_noise(W2wInversion *inversion)
{
    const W2wInversionRecipe *recipe = &inversion->recipe;
    const gsize n = inversion->n;

    for (guint b = 0; b < recipe->batch; b++) {
        float *noise = inversion->noise + b * n;

        if (recipe->antithetic && b % 2 == 1)
            negate(noise - n, n, noise);
        else if (inversion->noises != NULL)
            memcpy(noise,
                   inversion->noises +
                       n * take_turn(inversion, (inversion->n_images + b) / count_alike(inversion),
                                     recipe->n_noises),
                   n * sizeof *noise);
        else
            w2w_inversion_draw_image(inversion, noise);
    }
}

static void draw_posterior_noise(W2wInversion *inversion)
{
    const gsize n = inversion->n;

    for (guint b = 0; b < inversion->recipe.batch; b++) {
        float *noise = inversion->posterior_noise + b * n;

        if (b % count_alike(inversion) != 0)
            memcpy(noise, noise - n, n * sizeof *noise);
        else
            w2w_inversion_draw_image(inversion, noise);
    }
}

void w2w_inversion_draw(W2wInversion *inversion, W2wInversionDraw *draw)
{
    const W2wInversionRecipe *recipe = &inversion->recipe;

    for (guint b = 0; b < recipe->batch; b++)
        inversion->picture_of[b] = take_turn(
            inversion, (inversion->n_images + b) / count_alike(inversion), inversion->n_pictures);
    if (!recipe->posterior_means)
        draw_posterior_noise(inversion);
    draw_noise(inversion);
    draw_timesteps(inversion);
    inversion->n_images += recipe->batch;
    *draw = (W2wInversionDraw){.pictures = inversion->picture_of,
                               .timesteps = inversion->timesteps,
                               .noise = inversion->noise,
                               .posterior_noise =
                                   recipe->posterior_means ? NULL : inversion->posterior_noise};
}
