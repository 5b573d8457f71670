/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forwards alone, in batches. */
#include "engine/training/held_loss.h"

#include <math.h>
#include <string.h>

#include "engine/array.h"
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/noising.h"

/* Any number: it must never change, or no two results can be compared. */
#define SEED 12345

/* Divides the timesteps; smaller where memory is short. */
#define MAX_BATCH 16

struct _W2wHeldLoss {
    W2wPipeline *pipeline;
    W2wTrainingStep *step;
    guint batch, n_pictures;
    gsize n, n_pixels;
    float *latents;         /* (n_pictures, h,w,channels), not noised */
    float *masks;           /* (n_pictures, h,w) */
    float *noises;          /* (W2W_HELD_NOISES, h,w,channels) */
    float *noised, *target; /* (batch, h,w,channels) */
    float *batch_masks;     /* (batch, h,w) */
    float *theta;           /* (n_weights); NULL without a space */
    float timesteps[MAX_BATCH], losses[MAX_BATCH];
};

void w2w_held_loss_free(W2wHeldLoss *held)
{
    if (held == NULL)
        return;
    w2w_training_step_free(held->step);
    w2w_aligned_free(held->latents);
    w2w_aligned_free(held->masks);
    w2w_aligned_free(held->noises);
    w2w_aligned_free(held->noised);
    w2w_aligned_free(held->target);
    w2w_aligned_free(held->batch_masks);
    w2w_aligned_free(held->theta);
    g_free(held);
}

static gboolean make_step(W2wHeldLoss *held, const W2wInversionProblem *problem, guint batch,
                          GError **error)
{
    const W2wTrainingStepOptions options = {.batch = (gint)batch,
                                            .height = problem->height,
                                            .width = problem->width,
                                            .memory = problem->memory,
                                            .forward_only = TRUE};
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(held->pipeline);
    const gsize n_text = (gsize)sizes.text_length * (gsize)sizes.text_width;
    W2W_AUTO_ALIGNED float *text = w2w_aligned_alloc(batch, n_text * sizeof *text, "a text", error);

    if (text == NULL)
        return FALSE;
    for (guint b = 0; b < batch; b++)
        memcpy(text + b * n_text, problem->text_embedding, n_text * sizeof *text);
    held->step = w2w_training_step_new(held->pipeline, &options, error);
    if (held->step == NULL)
        return FALSE;
    w2w_training_step_set_text(held->step, text);
    held->batch = batch;
    return TRUE;
}

/* The largest batch that the budget allows. */
static gboolean fit_step(W2wHeldLoss *held, const W2wInversionProblem *problem, GError **error)
{
    for (guint batch = MAX_BATCH;; batch /= 2) {
        GError *of_size = NULL;

        if (make_step(held, problem, batch, &of_size))
            return TRUE;
        if (batch == 1 || !g_error_matches(of_size, W2W_ERROR, W2W_ERROR_MEMORY)) {
            g_propagate_error(error, of_size);
            return FALSE;
        }
        g_error_free(of_size);
    }
}

static gboolean allocate(W2wHeldLoss *held, GError **error)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(held->pipeline));
    const struct {
        float **buffer;
        gsize n;
    } buffers[] = {
        {&held->latents, held->n_pictures * held->n},
        {&held->masks, held->n_pictures * held->n_pixels},
        {&held->noises, W2W_HELD_NOISES * held->n},
        {&held->noised, held->batch * held->n},
        {&held->target, held->batch * held->n},
        {&held->batch_masks, held->batch * held->n_pixels},
        {&held->theta, space != NULL ? (gsize)w2w_space_get_n_weights(space) : 0},
    };

    for (guint i = 0; i < G_N_ELEMENTS(buffers); i++) {
        *buffers[i].buffer = w2w_aligned_alloc(buffers[i].n, sizeof(float), "a held loss", error);
        if (*buffers[i].buffer == NULL)
            return FALSE;
    }
    return TRUE;
}

/* As torch.randn((1, channels, height, width)), one after the other. */
static void draw_noises(W2wHeldLoss *held)
{
    g_autoptr(W2wGenerator) generator = w2w_generator_new(SEED);
    const gint64 n_pixels = (gint64)held->n_pixels;

    for (guint i = 0; i < W2W_HELD_NOISES; i++) {
        w2w_generator_randn(generator, held->n, held->noised); /* there is time enough */
        w2w_transpose_f32(held->noised, 1, (gint64)held->n / n_pixels, n_pixels,
                          held->noises + i * held->n);
    }
}

W2wHeldLoss *w2w_held_loss_new(W2wPipeline *pipeline, const W2wInversionProblem *problem,
                               GError **error)
{
    g_autoptr(W2wHeldLoss) held = g_new0(W2wHeldLoss, 1);

    held->pipeline = pipeline;
    held->n_pictures = problem->n_pictures;
    held->n_pixels = (gsize)problem->height * (gsize)problem->width;
    held->n = held->n_pixels * (gsize)w2w_pipeline_get_sizes(pipeline).latent_channels;
    if (!fit_step(held, problem, error) || !allocate(held, error))
        return NULL;
    for (guint p = 0; p < held->n_pictures; p++) {
        const W2wInversionPicture *picture = &problem->pictures[p];
        float *masks = held->masks + p * held->n_pixels;

        w2w_sample_posterior(picture->mean, picture->std, NULL,
                             w2w_pipeline_get_scaling_factor(pipeline), held->n,
                             held->latents + p * held->n);
        for (gsize i = 0; i < held->n_pixels; i++)
            masks[i] = picture->mask != NULL ? picture->mask[i] : 1.0f;
    }
    draw_noises(held);
    return g_steal_pointer(&held);
}

/* `batch` timesteps from number `first` on, of one picture with one noise. */
static double compute_batch(W2wHeldLoss *held, const float *theta, guint picture, guint noise,
                            guint first)
{
    const W2wNoiseSchedule *schedule = w2w_pipeline_get_noise_schedule(held->pipeline);
    const gsize n = held->n, n_pixels = held->n_pixels;
    const W2wTrainingBatch batch = {.latents = held->noised,
                                    .timesteps = held->timesteps,
                                    .target = held->target,
                                    .mask = held->batch_masks};
    double sum = 0.0;

    for (guint b = 0; b < held->batch; b++) {
        const guint timestep =
            (2 * (first + b) + 1) * schedule->n_train_timesteps / (2 * W2W_HELD_TIMESTEPS);

        w2w_noise_schedule_add_noise(schedule, timestep, n, held->latents + picture * n,
                                     held->noises + noise * n, held->noised + b * n);
        memcpy(held->target + b * n, held->noises + noise * n, n * sizeof(float));
        memcpy(held->batch_masks + b * n_pixels, held->masks + picture * n_pixels,
               n_pixels * sizeof(float));
        held->timesteps[b] = (float)timestep;
    }
    w2w_training_step_run(held->step, theta, &batch, held->losses, NULL);
    for (guint b = 0; b < held->batch; b++)
        sum += (double)held->losses[b];
    return sum;
}

gboolean w2w_held_loss_compute(W2wHeldLoss *held, const float *theta, const W2wProgress *progress,
                               double *loss, GError **error)
{
    const guint n_rounds = held->n_pictures * W2W_HELD_NOISES;
    double sum = 0.0;

    for (guint round = 0; round < n_rounds; round++)
        for (guint first = 0; first < W2W_HELD_TIMESTEPS; first += held->batch) {
            const double part = (round + (double)first / W2W_HELD_TIMESTEPS) / n_rounds;

            if (!w2w_progress_step(progress, part, "Measuring the loss", error))
                return FALSE;
            sum +=
                compute_batch(held, theta, round / W2W_HELD_NOISES, round % W2W_HELD_NOISES, first);
        }
    *loss = sum / (n_rounds * W2W_HELD_TIMESTEPS);
    return TRUE;
}

gboolean w2w_held_loss_compute_of(W2wHeldLoss *held, const float *coefficients,
                                  guint n_coefficients, const W2wProgress *progress, double *loss,
                                  GError **error)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(held->pipeline));

    return w2w_space_unproject(space, coefficients, n_coefficients, held->theta, error) &&
           w2w_held_loss_compute(held, held->theta, progress, loss, error);
}
