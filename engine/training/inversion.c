/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An inversion's steps, and what comes of them. */
#include "engine/training/inversion.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/inversion_internal.h"
#include "engine/training/noising.h"
#include "engine/training/training_progress.h"

/* Losses in each band of timesteps before a running mean is taken for how good coefficients are. */
#define JUDGED (W2W_TIMESTEP_BAND_DEPTH / 2)

/* Standard errors by which a mean may exceed the lowest one by chance. */
#define CHANCE 2.0

static void add_population(W2wInversion *inversion)
{
    const double weight = inversion->recipe.population_weight;
    const double *m = w2w_space_get_coefficient_mean(inversion->space);
    const double *s = w2w_space_get_coefficient_std(inversion->space);
    const guint n_known =
        MIN(inversion->n_components, w2w_space_get_n_with_statistics(inversion->space));

    if (weight == 0.0)
        return;
    for (guint j = 0; j < n_known; j++)
        if (s[j] > 0.0)
            inversion->gradient[j] +=
                (float)(2.0 * weight * (inversion->coefficients[j] - m[j]) / (s[j] * s[j]));
}

/* The images of the step, noised, into the step's buffers. */
static void prepare_images(W2wInversion *inversion, const W2wInversionDraw *draw,
                           W2wTrainingBatch *batch)
{
    const W2wNoiseSchedule *schedule = w2w_pipeline_get_noise_schedule(inversion->pipeline);
    const double scaling_factor = w2w_pipeline_get_scaling_factor(inversion->pipeline);
    const guint n_images = inversion->recipe.batch;
    const gsize n = inversion->n, n_pixels = inversion->n_pixels;

    for (guint b = 0; b < n_images; b++) {
        const gsize picture = draw->pictures != NULL ? draw->pictures[b] : 0;
        float *noised = inversion->noised + b * n;

        g_assert(picture < inversion->n_pictures);
        w2w_sample_posterior(inversion->means + picture * n, inversion->stds + picture * n,
                             draw->posterior_noise != NULL ? draw->posterior_noise + b * n : NULL,
                             scaling_factor, n, noised);
        w2w_noise_schedule_add_noise(schedule, draw->timesteps[b], n, noised, draw->noise + b * n,
                                     noised);
        inversion->float_timesteps[b] = (float)draw->timesteps[b];
        inversion->loss_weights[b] = 1.0f / (float)n_images;
        if (inversion->masks != NULL)
            memcpy(inversion->image_masks + b * n_pixels, inversion->masks + picture * n_pixels,
                   n_pixels * sizeof(float));
    }
    *batch = (W2wTrainingBatch){.latents = inversion->noised,
                                .timesteps = inversion->float_timesteps,
                                .target = draw->noise,
                                .mask = inversion->image_masks,
                                .loss_weights = inversion->loss_weights};
}

/* Losses and gradient of the step's images, as many at once as there is room for. */
static void run_parts(W2wInversion *inversion, const W2wTrainingBatch *batch)
{
    const gint64 n_weights = w2w_space_get_n_weights(inversion->space);
    const gsize n = inversion->n;

    for (guint b = 0; b < inversion->recipe.batch; b += inversion->n_at_once) {
        const W2wTrainingBatch part = {
            .latents = batch->latents + b * n,
            .timesteps = batch->timesteps + b,
            .target = batch->target + b * n,
            .mask = batch->mask != NULL ? batch->mask + b * inversion->n_pixels : NULL,
            .loss_weights = batch->loss_weights + b};

        w2w_training_step_run(inversion->step, inversion->theta, &part, inversion->image_losses + b,
                              b == 0 ? inversion->d_theta : inversion->part_of_d_theta);
        for (gint64 i = 0; b > 0 && i < n_weights; i++)
            inversion->d_theta[i] += inversion->part_of_d_theta[i];
    }
}

/* Adam's step, and the coefficients that it leads to. */
static void move(W2wInversion *inversion)
{
    const W2wInversionRecipe *recipe = &inversion->recipe;
    const double first_summed = (1.0 - recipe->averaged) * recipe->n_steps;

    for (guint j = 0; j < inversion->n_components; j++)
        inversion->gradient[j] = (float)(inversion->scale[j] * inversion->gradient[j]);
    w2w_adam_set_lr(inversion->adam, w2w_inversion_recipe_get_lr(recipe, inversion->n_done));
    w2w_adam_step(inversion->adam, inversion->gradient, inversion->unknowns);
    for (guint j = 0; j < inversion->n_components; j++)
        inversion->coefficients[j] =
            (float)(inversion->origin[j] + inversion->scale[j] * inversion->unknowns[j]);
    if (recipe->averaged > 0.0 && inversion->n_done >= first_summed) {
        for (guint j = 0; j < inversion->n_coefficients; j++)
            inversion->sums[j] += inversion->coefficients[j];
        inversion->n_summed++;
    }
}

/*
 * The running mean with the losses of this step, of the coefficients before it. They are the best
 * so far unless that mean is worse than the lowest by more than chance explains: what a few losses
 * differ by says nothing, and later coefficients have seen more of the picture.
 */
static void keep_account(W2wInversion *inversion, const W2wInversionDraw *draw, double loss)
{
    double running = NAN, judged, error;

    for (guint b = 0; b < inversion->recipe.batch; b++)
        w2w_timestep_bands_add(&inversion->bands, draw->timesteps[b],
                               (double)inversion->image_losses[b]);
    w2w_timestep_bands_get_mean(&inversion->bands, 1, &running, NULL);
    g_array_append_val(inversion->losses, loss);
    g_array_append_val(inversion->running, running);
    if (w2w_timestep_bands_get_mean(&inversion->bands, JUDGED, &judged, &error) &&
        judged <= inversion->best_loss + CHANCE * error) {
        inversion->best_loss = MIN(inversion->best_loss, judged);
        memcpy(inversion->best, inversion->coefficients,
               inversion->n_coefficients * sizeof *inversion->best);
    }
}

static gboolean is_sane(const W2wInversion *inversion, double loss)
{
    const gint64 n_weights = w2w_space_get_n_weights(inversion->space);
    gboolean sane = isfinite(loss);

    for (gint64 i = 0; i < n_weights; i++)
        sane &= isfinite(inversion->d_theta[i]) != 0;
    return sane;
}

gboolean w2w_inversion_step(W2wInversion *inversion, const W2wInversionDraw *given, double *loss,
                            GError **error)
{
    W2wInversionDraw draw;
    W2wTrainingBatch batch;

    if (given != NULL)
        draw = *given;
    else
        w2w_inversion_draw(inversion, &draw);
    prepare_images(inversion, &draw, &batch);
    if (!w2w_space_unproject(inversion->space, inversion->coefficients, inversion->n_coefficients,
                             inversion->theta, error))
        return FALSE;
    run_parts(inversion, &batch);
    *loss = 0.0;
    for (guint b = 0; b < inversion->recipe.batch; b++)
        *loss += (double)inversion->image_losses[b] / inversion->recipe.batch;
    if (!is_sane(inversion, *loss)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The inversion went astray: at step %u its loss or gradient is no longer a "
                    "number. A lower learning rate helps.",
                    inversion->n_done + 1);
        return FALSE;
    }
    if (!w2w_space_project_gradient(inversion->space, inversion->d_theta, inversion->n_components,
                                    inversion->gradient, error))
        return FALSE;
    keep_account(inversion, &draw, *loss);
    add_population(inversion);
    move(inversion);
    inversion->n_done++;
    return TRUE;
}

/* Of the steps so far; NaN: not known yet. */
static double get_running_loss(const W2wInversion *inversion)
{
    const guint n = inversion->n_done;

    return n > 0 ? g_array_index(inversion->running, double, n - 1) : (double)NAN;
}

gboolean w2w_inversion_run(W2wInversion *inversion, const W2wProgress *progress, GError **error)
{
    const guint n_steps = inversion->recipe.n_steps;
    const W2wTrainingProgress run =
        w2w_training_progress_start(progress, "Step", inversion->n_done, n_steps);
    double loss;

    while (inversion->n_done < n_steps)
        if (!w2w_training_progress_step(&run, inversion->n_done, get_running_loss(inversion),
                                        error) ||
            !w2w_inversion_step(inversion, NULL, &loss, error))
            return FALSE;
    return TRUE;
}

/* --- what comes of them --- */

guint w2w_inversion_get_n_coefficients(const W2wInversion *inversion)
{
    return inversion->n_coefficients;
}

guint w2w_inversion_get_n_components(const W2wInversion *inversion)
{
    return inversion->n_components;
}

const float *w2w_inversion_get_coefficients(const W2wInversion *inversion)
{
    return inversion->coefficients;
}

void w2w_inversion_get_result(const W2wInversion *inversion, float *coefficients)
{
    const gboolean done = inversion->n_done >= inversion->recipe.n_steps;
    const gboolean judged = isfinite(inversion->best_loss);

    memcpy(coefficients, !done && judged ? inversion->best : inversion->coefficients,
           inversion->n_coefficients * sizeof *coefficients);
    if (done && inversion->n_summed > 0)
        for (guint j = 0; j < inversion->n_coefficients; j++)
            coefficients[j] = (float)(inversion->sums[j] / inversion->n_summed);
}

double w2w_inversion_get_best_loss(const W2wInversion *inversion)
{
    return isfinite(inversion->best_loss) ? inversion->best_loss : 0.0;
}

guint w2w_inversion_get_n_done(const W2wInversion *inversion)
{
    return inversion->n_done;
}

const double *w2w_inversion_get_losses(const W2wInversion *inversion)
{
    return (const double *)(gpointer)inversion->losses->data;
}

const double *w2w_inversion_get_running_losses(const W2wInversion *inversion)
{
    return (const double *)(gpointer)inversion->running->data;
}

W2wTrainingMemory w2w_inversion_get_memory(const W2wInversion *inversion)
{
    return w2w_training_step_get_memory(inversion->step);
}
