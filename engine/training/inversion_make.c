/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making an inversion, and what it will take. */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/inversion_internal.h"

/* --- what it will take --- */

static guint count_components(const W2wSpace *space, const W2wInversionRecipe *recipe)
{
    return MIN(recipe->n_components, w2w_space_get_n_components(space));
}

static gsize count_numbers(W2wPipeline *pipeline, const W2wInversionProblem *problem)
{
    return (gsize)problem->height * (gsize)problem->width *
           (gsize)w2w_pipeline_get_sizes(pipeline).latent_channels;
}

static gboolean check_problem(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                              const W2wInversionProblem *problem, GError **error)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));

    if (space == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "A person can only be sought in a space, and a model alone has none: choose a "
                    "world, or add a space.");
        return FALSE;
    }
    if (problem->n_start > w2w_space_get_n_components(space)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The identity to go on from has %u coefficients, the space only %u components.",
                    problem->n_start, w2w_space_get_n_components(space));
        return FALSE;
    }
    return w2w_inversion_recipe_check(recipe, error);
}

/* The step's options for so many images, with what the inversion itself needs beside it. */
static W2wTrainingStepOptions make_options(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                                           const W2wInversionProblem *problem, guint n_at_once)
{
    const W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    const guint64 n = count_numbers(pipeline, problem);
    const guint64 n_pixels = (guint64)problem->height * (guint64)problem->width;
    const guint64 n_coefficients = MAX(count_components(space, recipe), problem->n_start);
    const guint64 n_weights = (guint64)w2w_space_get_n_weights(space);

    return (W2wTrainingStepOptions){
        .batch = (gint)n_at_once,
        .height = problem->height,
        .width = problem->width,
        .memory = problem->memory,
        .beside = /* noise and latents; posteriors; theta, its gradient and sums; coefficients */
        sizeof(float) *
        (3 * recipe->batch * n + recipe->batch * n_pixels + (1 + recipe->n_noises) * n +
         problem->n_pictures * (2 * n + n_pixels) + 5 * n_weights + 14 * n_coefficients),
    };
}

/*
 * How many of a step's images are computed at once: all, with as many blocks computed twice as that
 * takes, else the most of equal parts that the budget allows.
 */
static gboolean fit(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                    const W2wInversionProblem *problem, guint *n_at_once, W2wTrainingMemory *memory,
                    GError **error)
{
    for (guint n = recipe->batch;; n--) {
        const W2wTrainingStepOptions options = make_options(pipeline, recipe, problem, n);
        GError *of_size = NULL;

        if (recipe->batch % n != 0)
            continue;
        if (w2w_training_step_measure(pipeline, &options, memory, &of_size)) {
            *n_at_once = n;
            return TRUE;
        }
        if (n == 1 || !g_error_matches(of_size, W2W_ERROR, W2W_ERROR_MEMORY)) {
            g_propagate_error(error, of_size);
            return FALSE;
        }
        g_error_free(of_size);
    }
}

gboolean w2w_inversion_measure(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                               const W2wInversionProblem *problem, W2wTrainingMemory *memory,
                               GError **error)
{
    guint n_at_once;

    return check_problem(pipeline, recipe, problem, error) &&
           fit(pipeline, recipe, problem, &n_at_once, memory, error);
}

/* --- making one --- */

void w2w_inversion_free(W2wInversion *inversion)
{
    if (inversion == NULL)
        return;
    w2w_training_step_free(inversion->step);
    w2w_adam_free(inversion->adam);
    w2w_generator_free(inversion->generator);
    w2w_aligned_free(inversion->means);
    w2w_aligned_free(inversion->stds);
    w2w_aligned_free(inversion->masks);
    w2w_aligned_free(inversion->coefficients);
    w2w_aligned_free(inversion->unknowns);
    w2w_aligned_free(inversion->origin);
    w2w_aligned_free(inversion->scale);
    w2w_aligned_free(inversion->gradient);
    w2w_aligned_free(inversion->theta);
    w2w_aligned_free(inversion->d_theta);
    w2w_aligned_free(inversion->part_of_d_theta);
    w2w_aligned_free(inversion->best);
    w2w_aligned_free(inversion->sums);
    w2w_aligned_free(inversion->noise);
    w2w_aligned_free(inversion->posterior_noise);
    w2w_aligned_free(inversion->noised);
    w2w_aligned_free(inversion->image_masks);
    w2w_aligned_free(inversion->planes);
    w2w_aligned_free(inversion->noises);
    g_free(inversion->picture_of);
    g_free(inversion->timesteps);
    g_free(inversion->float_timesteps);
    g_free(inversion->loss_weights);
    g_free(inversion->image_losses);
    g_clear_pointer(&inversion->losses, g_array_unref);
    g_clear_pointer(&inversion->running, g_array_unref);
    g_free(inversion);
}

static gboolean allocate(W2wInversion *inversion, GError **error)
{
    const gsize batch = inversion->recipe.batch;
    const gsize n_weights = (gsize)w2w_space_get_n_weights(inversion->space);
    const struct {
        float **buffer;
        gsize n;
    } floats[] = {
        {&inversion->means, inversion->n_pictures * inversion->n},
        {&inversion->stds, inversion->n_pictures * inversion->n},
        {&inversion->coefficients, inversion->n_coefficients},
        {&inversion->best, inversion->n_coefficients},
        {&inversion->unknowns, inversion->n_components},
        {&inversion->gradient, inversion->n_components},
        {&inversion->theta, n_weights},
        {&inversion->d_theta, n_weights},
        {&inversion->part_of_d_theta, n_weights},
        {&inversion->noise, batch * inversion->n},
        {&inversion->posterior_noise, batch * inversion->n},
        {&inversion->noised, batch * inversion->n},
        {&inversion->planes, inversion->n},
    };
    double **const doubles[] = {&inversion->origin, &inversion->scale, &inversion->sums};

    for (guint i = 0; i < G_N_ELEMENTS(floats); i++) {
        *floats[i].buffer = w2w_aligned_alloc0(floats[i].n, sizeof(float), "an inversion", error);
        if (*floats[i].buffer == NULL)
            return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(doubles); i++) {
        *doubles[i] =
            w2w_aligned_alloc0(inversion->n_coefficients, sizeof(double), "an inversion", error);
        if (*doubles[i] == NULL)
            return FALSE;
    }
    /* A batch is small. */
    inversion->picture_of = g_new0(guint, batch);
    inversion->timesteps = g_new0(guint, batch);
    inversion->float_timesteps = g_new0(float, batch);
    inversion->loss_weights = g_new0(float, batch);
    inversion->image_losses = g_new0(float, batch);
    return TRUE;
}

static gboolean copy_pictures(W2wInversion *inversion, const W2wInversionProblem *problem,
                              GError **error)
{
    const gsize n = inversion->n, n_pixels = inversion->n_pixels;
    gboolean any_mask = FALSE;

    for (guint p = 0; p < inversion->n_pictures; p++) {
        memcpy(inversion->means + p * n, problem->pictures[p].mean, n * sizeof(float));
        memcpy(inversion->stds + p * n, problem->pictures[p].std, n * sizeof(float));
        any_mask |= problem->pictures[p].mask != NULL;
    }
    if (!any_mask)
        return TRUE;
    inversion->masks =
        w2w_aligned_alloc(inversion->n_pictures, n_pixels * sizeof(float), "the masks", error);
    if (inversion->masks == NULL)
        return FALSE;
    inversion->image_masks =
        w2w_aligned_alloc(inversion->recipe.batch, n_pixels * sizeof(float), "the masks", error);
    if (inversion->image_masks == NULL)
        return FALSE;
    for (gsize i = 0; i < inversion->n_pictures * n_pixels; i++) {
        const float *mask = problem->pictures[i / n_pixels].mask;

        inversion->masks[i] = mask != NULL ? mask[i % n_pixels] : 1.0f;
    }
    return TRUE;
}

/* c = origin + scale ⊙ u, from the coefficients as they stand now. */
static void set_unknowns(W2wInversion *inversion)
{
    const double power = inversion->recipe.preconditioning;
    const guint n_known =
        MIN(inversion->n_components, w2w_space_get_n_with_statistics(inversion->space));
    const double *s = w2w_space_get_coefficient_std(inversion->space);
    double sum = 0.0, smallest = INFINITY;

    for (guint j = 0; j < n_known; j++) {
        sum += s[j];
        if (s[j] > 0.0)
            smallest = MIN(smallest, s[j]);
    }
    for (guint j = 0; j < inversion->n_components; j++) {
        const double own = j < n_known && s[j] > 0.0 ? s[j] : smallest;
        const gboolean plain = power == 0.0 || !isfinite(smallest);

        inversion->scale[j] = plain ? 1.0 : pow(own / (sum / n_known), power);
        inversion->origin[j] = plain ? 0.0 : inversion->coefficients[j];
        inversion->unknowns[j] = plain ? inversion->coefficients[j] : 0.0f;
    }
}

static gboolean make_step(W2wInversion *inversion, const W2wInversionProblem *problem,
                          GError **error)
{
    const W2wTrainingStepOptions options =
        make_options(inversion->pipeline, &inversion->recipe, problem, inversion->n_at_once);
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(inversion->pipeline);
    const gsize n_text = (gsize)sizes.text_length * (gsize)sizes.text_width;
    W2W_AUTO_ALIGNED float *text =
        w2w_aligned_alloc(inversion->n_at_once, n_text * sizeof *text, "a text", error);

    if (text == NULL)
        return FALSE;
    inversion->step = w2w_training_step_new(inversion->pipeline, &options, error);
    if (inversion->step == NULL)
        return FALSE;
    for (guint b = 0; b < inversion->n_at_once; b++)
        memcpy(text + b * n_text, problem->text_embedding, n_text * sizeof *text);
    w2w_training_step_set_text(inversion->step, text);
    return TRUE;
}

W2wInversion *w2w_inversion_new(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                                const W2wInversionProblem *problem, const W2wProgress *progress,
                                GError **error)
{
    const W2wAdamOptions adam = {.lr = recipe->lr,
                                 .beta1 = recipe->beta1,
                                 .beta2 = recipe->beta2,
                                 .eps = W2W_ADAM_EPS,
                                 .weight_decay = recipe->weight_decay};
    g_autoptr(W2wInversion) inversion = g_new0(W2wInversion, 1);
    W2wTrainingMemory memory;

    if (!check_problem(pipeline, recipe, problem, error) ||
        !fit(pipeline, recipe, problem, &inversion->n_at_once, &memory, error))
        return NULL;
    inversion->pipeline = pipeline;
    inversion->space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    inversion->recipe = *recipe;
    inversion->height = problem->height;
    inversion->width = problem->width;
    inversion->n = count_numbers(pipeline, problem);
    inversion->n_pixels = (gsize)problem->height * (gsize)problem->width;
    inversion->n_pictures = problem->n_pictures;
    inversion->n_components = count_components(inversion->space, recipe);
    inversion->n_coefficients = MAX(inversion->n_components, problem->n_start);
    inversion->best_loss = INFINITY;
    inversion->losses = g_array_new(FALSE, FALSE, sizeof(double));
    inversion->running = g_array_new(FALSE, FALSE, sizeof(double));
    w2w_timestep_bands_init(&inversion->bands,
                            w2w_pipeline_get_noise_schedule(pipeline)->n_train_timesteps);
    inversion->generator = w2w_generator_new(problem->seed);
    if (!allocate(inversion, error) || !copy_pictures(inversion, problem, error) ||
        !w2w_inversion_draw_first(inversion, error))
        return NULL;
    if (problem->n_start > 0)
        memcpy(inversion->coefficients, problem->start, problem->n_start * sizeof(float));
    else if (recipe->n_candidates > 0 &&
             !w2w_inversion_seek_start(inversion, problem, progress, error))
        return NULL;
    set_unknowns(inversion);
    inversion->adam = w2w_adam_new(inversion->n_components, &adam, error);
    if (inversion->adam == NULL || !make_step(inversion, problem, error))
        return NULL;
    return g_steal_pointer(&inversion);
}
