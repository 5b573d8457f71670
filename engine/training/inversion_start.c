/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A place to begin: the people of the dataset who explain the pictures best.
 *
 * All candidates are tried on the same images (timesteps, noises), so that their losses differ by
 * who they are and not by what was drawn. Forwards alone, in a step of its own that is gone before
 * the one with gradients is made: the two never lie in memory together.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/inversion_internal.h"
#include "engine/training/noising.h"

typedef struct {
    gint64 row;
    double loss;
} Candidate;

/* The images that every candidate is tried on. */
typedef struct {
    W2wTrainingStep *step;
    guint n;
    float *noise, *noised, *masks, *timesteps, *losses, *coefficients;
} Tries;

static void tries_clear(Tries *tries)
{
    w2w_training_step_free(tries->step);
    w2w_aligned_free(tries->noise);
    w2w_aligned_free(tries->noised);
    w2w_aligned_free(tries->masks);
    g_free(tries->timesteps);
    g_free(tries->losses);
    w2w_aligned_free(tries->coefficients);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Tries, tries_clear)

/* The step, on as many of the images at once as the budget allows. */
static gboolean make_step(Tries *tries, W2wInversion *inversion, const W2wInversionProblem *problem,
                          guint n_at_once, GError **error)
{
    const W2wTrainingStepOptions options = {.batch = (gint)n_at_once,
                                            .height = problem->height,
                                            .width = problem->width,
                                            .memory = problem->memory,
                                            .forward_only = TRUE};
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(inversion->pipeline);
    const gsize n_text = (gsize)sizes.text_length * (gsize)sizes.text_width;
    W2W_AUTO_ALIGNED float *text =
        w2w_aligned_alloc(n_at_once, n_text * sizeof *text, "a text", error);

    if (text == NULL)
        return FALSE;
    for (guint b = 0; b < n_at_once; b++)
        memcpy(text + b * n_text, problem->text_embedding, n_text * sizeof *text);
    tries->step = w2w_training_step_new(inversion->pipeline, &options, error);
    if (tries->step == NULL)
        return FALSE;
    w2w_training_step_set_text(tries->step, text);
    return TRUE;
}

static gboolean make_images(Tries *tries, W2wInversion *inversion, GError **error)
{
    const W2wNoiseSchedule *schedule = w2w_pipeline_get_noise_schedule(inversion->pipeline);
    const double scaling_factor = w2w_pipeline_get_scaling_factor(inversion->pipeline);
    const gsize n = inversion->n, n_pixels = inversion->n_pixels;

    tries->noise = w2w_aligned_alloc(tries->n, n * sizeof(float), "a start", error);
    if (tries->noise == NULL)
        return FALSE;
    tries->noised = w2w_aligned_alloc(tries->n, n * sizeof(float), "a start", error);
    if (tries->noised == NULL)
        return FALSE;
    tries->masks = w2w_aligned_alloc(tries->n, n_pixels * sizeof(float), "a start", error);
    if (tries->masks == NULL)
        return FALSE;
    tries->coefficients = w2w_aligned_alloc0(
        MAX(inversion->n_coefficients, w2w_space_get_n_with_statistics(inversion->space)),
        sizeof(float), "a start", error);
    if (tries->coefficients == NULL)
        return FALSE;
    tries->timesteps = g_new(float, tries->n);
    tries->losses = g_new(float, tries->n);
    for (guint i = 0; i < tries->n; i++) {
        const gsize picture = i % inversion->n_pictures;
        const guint timestep =
            (guint)((2 * (guint64)i + 1) * schedule->n_train_timesteps / (2 * tries->n));
        float *noise = tries->noise + i * n, *noised = tries->noised + i * n;

        w2w_inversion_draw_image(inversion, noise);
        w2w_sample_posterior(inversion->means + picture * n, NULL, NULL, scaling_factor, n, noised);
        w2w_noise_schedule_add_noise(schedule, timestep, n, noised, noise, noised);
        tries->timesteps[i] = (float)timestep;
        for (gsize p = 0; p < n_pixels; p++)
            tries->masks[i * n_pixels + p] =
                inversion->masks != NULL ? inversion->masks[picture * n_pixels + p] : 1.0f;
    }
    return TRUE;
}

static gboolean try_person(Tries *tries, W2wInversion *inversion, guint n_at_once,
                           Candidate *candidate, GError **error)
{
    const gsize n = inversion->n;

    candidate->loss = 0.0;
    if (!w2w_space_get_person(inversion->space, candidate->row, tries->coefficients, error) ||
        !w2w_space_unproject(
            inversion->space, tries->coefficients,
            MIN(inversion->n_components, w2w_space_get_n_with_statistics(inversion->space)),
            inversion->theta, error))
        return FALSE;
    for (guint i = 0; i < tries->n; i += n_at_once) {
        const W2wTrainingBatch batch = {.latents = tries->noised + i * n,
                                        .timesteps = tries->timesteps + i,
                                        .target = tries->noise + i * n,
                                        .mask = tries->masks + i * inversion->n_pixels};

        w2w_training_step_run(tries->step, inversion->theta, &batch, tries->losses + i, NULL);
    }
    for (guint i = 0; i < tries->n; i++)
        candidate->loss += (double)tries->losses[i] / tries->n;
    return TRUE;
}

/* Of equal losses the earlier row, so that no sort decides. */
static gint compare(gconstpointer a, gconstpointer b)
{
    const Candidate *first = a, *second = b;

    if (first->loss != second->loss)
        return first->loss < second->loss ? -1 : 1;
    return first->row < second->row ? -1 : 1;
}

/* The mean of the `n_nearest` best into the inversion's coefficients. */
static gboolean take_nearest(Tries *tries, W2wInversion *inversion, GArray *candidates,
                             GError **error)
{
    const guint n = MIN(inversion->recipe.n_nearest, candidates->len);
    const guint n_known =
        MIN(inversion->n_components, w2w_space_get_n_with_statistics(inversion->space));

    for (guint i = 0; i < n; i++) {
        if (!w2w_space_get_person(inversion->space, g_array_index(candidates, Candidate, i).row,
                                  tries->coefficients, error))
            return FALSE;
        for (guint j = 0; j < n_known; j++)
            inversion->coefficients[j] += tries->coefficients[j] / (float)n;
    }
    return TRUE;
}

/* The largest divisor of the tries, at most 16, with which a step fits into the budget. */
static gboolean fit_step(Tries *tries, W2wInversion *inversion, const W2wInversionProblem *problem,
                         guint *n_at_once, GError **error)
{
    for (guint n = MIN(tries->n, 16); n >= 1; n--) {
        GError *problem_of_size = NULL;

        if (tries->n % n != 0)
            continue;
        if (make_step(tries, inversion, problem, n, &problem_of_size)) {
            *n_at_once = n;
            return TRUE;
        }
        if (n == 1 || !g_error_matches(problem_of_size, W2W_ERROR, W2W_ERROR_MEMORY)) {
            g_propagate_error(error, problem_of_size);
            return FALSE;
        }
        g_error_free(problem_of_size);
    }
    g_assert_not_reached();
}

gboolean w2w_inversion_seek_start(W2wInversion *inversion, const W2wInversionProblem *problem,
                                  const W2wProgress *progress, GError **error)
{
    const gint64 n_people = w2w_space_get_n_people(inversion->space);
    const guint n = (guint)MIN((gint64)inversion->recipe.n_candidates, n_people);
    g_auto(Tries) tries = {.n = inversion->recipe.n_tries};
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
    guint n_at_once;

    if (n == 0) /* nobody is known: from c = 0 */
        return TRUE;
    if (!fit_step(&tries, inversion, problem, &n_at_once, error) ||
        !make_images(&tries, inversion, error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        Candidate candidate = {.row = (gint64)i * n_people / n};
        g_autofree char *text = g_strdup_printf("Comparing with person %u of %u", i + 1, n);

        if (!w2w_progress_step(progress, (double)i / n, text, error) ||
            !try_person(&tries, inversion, n_at_once, &candidate, error))
            return FALSE;
        g_array_append_val(candidates, candidate);
    }
    g_array_sort(candidates, compare);
    return take_nearest(&tries, inversion, candidates, error);
}
