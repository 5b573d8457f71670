/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop of DreamBooth: what is drawn, one training step, clipping, AdamW. */
#include "engine/training/dreambooth.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/noising.h"
#include "engine/training/optimizer.h"
#include "engine/training/training_progress.h"

/* Losses whose mean is shown: single ones depend on the timestep more than on theta. */
#define N_SHOWN 50

/* Largest values that make sense of anything. */
#define MAX_LR     100.0
#define MAX_WEIGHT 1e6

/* Pictures of one kind, each shown once before any is shown again. */
typedef struct {
    W2wPosteriors posteriors;
    guint *order; /* (n) of this round */
    guint next;
} Deck;

struct _W2wDreambooth {
    W2wPipeline *pipeline;
    W2wDreamboothRecipe recipe;
    guint n_images;
    gsize n; /* numbers of an image's latents */
    gint64 channels, n_pixels;
    Deck instance, prior;

    W2wTrainingStep *step;
    W2wAdam *adam;
    W2wGenerator *generator;
    gsize n_weights;
    gsize *offsets; /* of the factors in theta, and n_weights */
    guint n_factors;
    float *theta, *d_theta; /* (n_weights) */
    GArray *measures;       /* W2wDreamboothMeasure, by step */

    /* Of one step, (n_images) each. */
    guint *pictures, *timesteps;
    float *step_timesteps, *loss_weights, *losses;
    float *noise, *posterior_noise, *noised; /* (n_images,h,w,channels) */
    float *planes;                           /* (channels,h,w): one image as it is drawn */
};

void w2w_dreambooth_recipe_init(W2wDreamboothRecipe *recipe)
{
    *recipe = (W2wDreamboothRecipe){.n_steps = 800,
                                    .batch = 1,
                                    .lr = 1e-4,
                                    .beta1 = W2W_ADAM_BETA1,
                                    .beta2 = W2W_ADAM_BETA2,
                                    .eps = W2W_ADAM_EPS,
                                    .weight_decay = 1e-2,
                                    .clip_norm = 1.0,
                                    .prior_weight = 1.0};
}

/* --- making one --- */

static gboolean check_range(const char *what, double value, double least, double most,
                            GError **error)
{
    if (value >= least && value <= most)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The %s must be from %g to %g, not %g.", what,
                least, most, value);
    return FALSE;
}

static gboolean check_recipe(const W2wDreamboothRecipe *recipe, GError **error)
{
    return check_range("number of steps", recipe->n_steps, 1.0, W2W_DREAMBOOTH_MAX_STEPS, error) &&
           check_range("number of images per step", recipe->batch, 1.0, W2W_DREAMBOOTH_MAX_BATCH,
                       error) &&
           check_range("learning rate", recipe->lr, 0.0, MAX_LR, error) &&
           check_range("first beta", recipe->beta1, 0.0, 0.9999999, error) &&
           check_range("second beta", recipe->beta2, 0.0, 0.9999999, error) &&
           check_range("eps", recipe->eps, 1e-30, 1.0, error) &&
           check_range("weight decay", recipe->weight_decay, 0.0, MAX_WEIGHT, error) &&
           check_range("norm to clip at", recipe->clip_norm, 1e-30, MAX_WEIGHT, error) &&
           check_range("prior's weight", recipe->prior_weight, 0.0, MAX_WEIGHT, error);
}

static gboolean check_pictures(const char *what, const W2wPosteriors *posteriors, GError **error)
{
    if (posteriors->n >= 1 && posteriors->n <= W2W_DREAMBOOTH_MAX_PICTURES)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "There must be from 1 to %d pictures of %s; there are %u.",
                W2W_DREAMBOOTH_MAX_PICTURES, what, posteriors->n);
    return FALSE;
}

static guint count_images(const W2wDreamboothRecipe *recipe)
{
    return recipe->prior_weight > 0.0 ? 2 * recipe->batch : recipe->batch;
}

/* The step's options, with what the trainer needs beside it. */
static W2wTrainingStepOptions make_step_options(const W2wPipeline *pipeline,
                                                const W2wDreamboothRecipe *recipe,
                                                const W2wDreamboothProblem *problem)
{
    const guint n_images = count_images(recipe);
    const guint64 n_pictures = (guint64)problem->instance.n + problem->prior.n;
    const guint64 n = (guint64)problem->height * (guint64)problem->width *
                      (guint64)w2w_pipeline_get_sizes(pipeline).latent_channels;

    return (W2wTrainingStepOptions){
        .batch = (gint)n_images,
        .height = problem->height,
        .width = problem->width,
        .memory = problem->memory,
        .beside = sizeof(float) * n * (3 * n_images + 1 + 2 * n_pictures), /* noises, posteriors */
        .beside_each = sizeof(float) * 4, /* theta, its gradient, both moments */
    };
}

gboolean w2w_dreambooth_measure(W2wPipeline *pipeline, const W2wDreamboothRecipe *recipe,
                                const W2wDreamboothProblem *problem, W2wTrainingMemory *memory,
                                GError **error)
{
    const W2wTrainingStepOptions options = make_step_options(pipeline, recipe, problem);

    return check_recipe(recipe, error) &&
           w2w_training_step_measure(pipeline, &options, memory, error);
}

/* torch.nn.init.kaiming_uniform_ of a (1,n) tensor with a = sqrt(5), the generator's next draw. */
static void draw_factor(W2wGenerator *generator, gint64 n, float *a)
{
    const double slope = sqrt(5.0);
    const double deviation = sqrt(2.0 / (1.0 + slope * slope)) / sqrt((double)n);
    const float bound = (float)(sqrt(3.0) * deviation);

    w2w_generator_rand(generator, (gsize)n, a);
    for (gint64 i = 0; i < n; i++)
        a[i] = fmaf(a[i], 2.0f * bound, -bound); /* one rounding, as torch's uniform_ */
}

static void init_theta(W2wDreambooth *dreambooth, const float *start)
{
    guint n_keys;
    const W2wSpaceKey *keys = w2w_training_step_get_keys(dreambooth->step, &n_keys);

    if (start != NULL) {
        memcpy(dreambooth->theta, start, dreambooth->n_weights * sizeof *start);
        return;
    }
    for (guint i = 0; i < n_keys; i++)
        if (!keys[i].is_b)
            draw_factor(dreambooth->generator, keys[i].length, dreambooth->theta + keys[i].offset);
}

static gboolean alloc_floats(float **place, gsize n, gsize n_each, const char *what, GError **error)
{
    *place = w2w_aligned_alloc0(n, n_each * sizeof **place, what, error);
    return *place != NULL;
}

static gboolean deck_init(Deck *deck, const W2wPosteriors *posteriors, GError **error)
{
    deck->posteriors = *posteriors;
    deck->next = posteriors->n; /* to be shuffled first */
    deck->order = w2w_try_malloc(posteriors->n, sizeof *deck->order, "the pictures' order", error);
    for (guint i = 0; deck->order != NULL && i < posteriors->n; i++)
        deck->order[i] = i;
    return deck->order != NULL;
}

static gboolean set_text(W2wDreambooth *dreambooth, const W2wDreamboothProblem *problem,
                         GError **error)
{
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(dreambooth->pipeline);
    const gsize size = (gsize)sizes.text_length * (gsize)sizes.text_width;
    W2W_AUTO_ALIGNED float *all =
        w2w_aligned_alloc(dreambooth->n_images, size * sizeof *all, "text embeddings", error);

    if (all == NULL)
        return FALSE;
    for (guint i = 0; i < dreambooth->n_images; i++)
        memcpy(all + i * size,
               i < dreambooth->recipe.batch ? problem->instance_text : problem->class_text,
               size * sizeof *all);
    w2w_training_step_set_text(dreambooth->step, all);
    return TRUE;
}

/* What the step needs between its calls. */
static gboolean alloc_images(W2wDreambooth *dreambooth, GError **error)
{
    const guint n_images = dreambooth->n_images;
    const gsize n = dreambooth->n;
    const W2wDreamboothRecipe *recipe = &dreambooth->recipe;

    dreambooth->pictures = g_new0(guint, n_images); /* at most 2 · MAX_BATCH */
    dreambooth->timesteps = g_new0(guint, n_images);
    if (!alloc_floats(&dreambooth->step_timesteps, n_images, 1, "timesteps", error) ||
        !alloc_floats(&dreambooth->loss_weights, n_images, 1, "losses", error) ||
        !alloc_floats(&dreambooth->losses, n_images, 1, "losses", error) ||
        !alloc_floats(&dreambooth->noise, n_images, n, "noise", error) ||
        !alloc_floats(&dreambooth->posterior_noise, n_images, n, "noise", error) ||
        !alloc_floats(&dreambooth->noised, n_images, n, "latents", error) ||
        !alloc_floats(&dreambooth->planes, n, 1, "noise", error))
        return FALSE;
    for (guint i = 0; i < n_images; i++)
        dreambooth->loss_weights[i] =
            (float)((i < recipe->batch ? 1.0 : recipe->prior_weight) / recipe->batch);
    return TRUE;
}

static gboolean alloc_weights(W2wDreambooth *dreambooth, GError **error)
{
    const W2wDreamboothRecipe *recipe = &dreambooth->recipe;
    const W2wAdamOptions adam_options = {.lr = recipe->lr,
                                         .beta1 = recipe->beta1,
                                         .beta2 = recipe->beta2,
                                         .eps = recipe->eps,
                                         .weight_decay = recipe->weight_decay,
                                         .decoupled = TRUE};
    const W2wSpaceKey *keys = w2w_training_step_get_keys(dreambooth->step, &dreambooth->n_factors);

    dreambooth->n_weights = (gsize)w2w_training_step_get_n_weights(dreambooth->step);
    dreambooth->offsets = g_new(gsize, dreambooth->n_factors + 1); /* modules of a model: few */
    for (guint i = 0; i < dreambooth->n_factors; i++)
        dreambooth->offsets[i] = (gsize)keys[i].offset;
    dreambooth->offsets[dreambooth->n_factors] = dreambooth->n_weights;
    dreambooth->adam = w2w_adam_new(dreambooth->n_weights, &adam_options, error);
    return dreambooth->adam != NULL &&
           alloc_floats(&dreambooth->theta, dreambooth->n_weights, 1, "a LoRA", error) &&
           alloc_floats(&dreambooth->d_theta, dreambooth->n_weights, 1, "a LoRA's gradient", error);
}

W2wDreambooth *w2w_dreambooth_new(W2wPipeline *pipeline, const W2wDreamboothRecipe *recipe,
                                  const W2wDreamboothProblem *problem, GError **error)
{
    const W2wTrainingStepOptions step_options = make_step_options(pipeline, recipe, problem);
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    const gboolean has_prior = recipe->prior_weight > 0.0;

    if (!check_recipe(recipe, error) || !check_pictures("the person", &problem->instance, error) ||
        (has_prior && !check_pictures("the class", &problem->prior, error)))
        return NULL;
    dreambooth = g_new0(W2wDreambooth, 1);
    dreambooth->pipeline = pipeline;
    dreambooth->recipe = *recipe;
    dreambooth->n_images = count_images(recipe);
    dreambooth->channels = w2w_pipeline_get_sizes(pipeline).latent_channels;
    dreambooth->measures = g_array_new(FALSE, FALSE, sizeof(W2wDreamboothMeasure));
    dreambooth->generator = w2w_generator_new(recipe->seed);
    dreambooth->step = w2w_training_step_new(pipeline, &step_options, error);
    if (dreambooth->step == NULL)
        return NULL;
    /* Only now: sizes that have a step are sizes that cannot overflow. */
    dreambooth->n_pixels = (gint64)problem->height * problem->width;
    dreambooth->n = (gsize)(dreambooth->n_pixels * dreambooth->channels);
    if (!deck_init(&dreambooth->instance, &problem->instance, error) ||
        (has_prior && !deck_init(&dreambooth->prior, &problem->prior, error)) ||
        !alloc_weights(dreambooth, error) || !alloc_images(dreambooth, error) ||
        !set_text(dreambooth, problem, error))
        return NULL;
    init_theta(dreambooth, problem->start);
    return g_steal_pointer(&dreambooth);
}

void w2w_dreambooth_free(W2wDreambooth *dreambooth)
{
    if (dreambooth == NULL)
        return;
    w2w_training_step_free(dreambooth->step);
    w2w_adam_free(dreambooth->adam);
    w2w_generator_free(dreambooth->generator);
    g_free(dreambooth->instance.order);
    g_free(dreambooth->prior.order);
    g_free(dreambooth->offsets);
    g_free(dreambooth->pictures);
    g_free(dreambooth->timesteps);
    w2w_aligned_free(dreambooth->theta);
    w2w_aligned_free(dreambooth->d_theta);
    w2w_aligned_free(dreambooth->step_timesteps);
    w2w_aligned_free(dreambooth->loss_weights);
    w2w_aligned_free(dreambooth->losses);
    w2w_aligned_free(dreambooth->noise);
    w2w_aligned_free(dreambooth->posterior_noise);
    w2w_aligned_free(dreambooth->noised);
    w2w_aligned_free(dreambooth->planes);
    g_array_unref(dreambooth->measures);
    g_free(dreambooth);
}

/* --- what is drawn --- */

/* The next one of this round; a new round has a new order (Fisher and Yates). */
static guint deck_draw(Deck *deck, W2wGenerator *generator)
{
    if (deck->next == deck->posteriors.n) {
        for (guint i = deck->posteriors.n - 1; i > 0; i--) {
            gint64 j;
            guint other;

            w2w_generator_randint(generator, i + 1, 1, &j);
            other = deck->order[j];
            deck->order[j] = deck->order[i];
            deck->order[i] = other;
        }
        deck->next = 0;
    }
    return deck->order[deck->next++];
}

/* torch.randn((1,channels,h,w)), channels last. */
static void draw_image(W2wDreambooth *dreambooth, float *out)
{
    w2w_generator_randn(dreambooth->generator, dreambooth->n, dreambooth->planes);
    w2w_transpose_f32(dreambooth->planes, 1, dreambooth->channels, dreambooth->n_pixels, out);
}

static Deck *get_deck(W2wDreambooth *dreambooth, guint image)
{
    return image < dreambooth->recipe.batch ? &dreambooth->instance : &dreambooth->prior;
}

static W2wDreamboothDraw draw_step(W2wDreambooth *dreambooth)
{
    const guint n_timesteps =
        w2w_pipeline_get_noise_schedule(dreambooth->pipeline)->n_train_timesteps;

    for (guint i = 0; i < dreambooth->n_images; i++) {
        Deck *deck = get_deck(dreambooth, i);
        gint64 timestep;

        dreambooth->pictures[i] = deck_draw(deck, dreambooth->generator);
        if (deck->posteriors.std != NULL)
            draw_image(dreambooth, dreambooth->posterior_noise + i * dreambooth->n);
        draw_image(dreambooth, dreambooth->noise + i * dreambooth->n);
        w2w_generator_randint(dreambooth->generator, n_timesteps, 1, &timestep);
        dreambooth->timesteps[i] = (guint)timestep;
    }
    return (W2wDreamboothDraw){.pictures = dreambooth->pictures,
                               .timesteps = dreambooth->timesteps,
                               .noise = dreambooth->noise,
                               .posterior_noise = dreambooth->posterior_noise};
}

/* --- one step --- */

/* A sample of the posterior as the UNet sees it, noised to the timestep. */
static void noise_image(W2wDreambooth *dreambooth, guint image, const W2wDreamboothDraw *draw)
{
    const W2wPosteriors *posteriors = &get_deck(dreambooth, image)->posteriors;
    const gsize n = dreambooth->n, from = draw->pictures[image] * n, to = image * n;
    const gboolean is_sample = posteriors->std != NULL && draw->posterior_noise != NULL;
    float *noised = dreambooth->noised + to;

    w2w_sample_posterior(posteriors->mean + from, is_sample ? posteriors->std + from : NULL,
                         is_sample ? draw->posterior_noise + to : NULL,
                         w2w_pipeline_get_scaling_factor(dreambooth->pipeline), n, noised);
    w2w_noise_schedule_add_noise(w2w_pipeline_get_noise_schedule(dreambooth->pipeline),
                                 draw->timesteps[image], n, noised, draw->noise + to, noised);
}

/* instance + prior_weight · prior, each a mean over its images. */
static double sum_losses(const W2wDreambooth *dreambooth)
{
    double loss = 0.0;

    for (guint i = 0; i < dreambooth->n_images; i++)
        loss += (double)dreambooth->loss_weights[i] * (double)dreambooth->losses[i];
    return loss;
}

gboolean w2w_dreambooth_step(W2wDreambooth *dreambooth, const W2wDreamboothDraw *draw,
                             W2wDreamboothMeasure *measure, GError **error)
{
    const W2wTrainingBatch batch = {.latents = dreambooth->noised,
                                    .timesteps = dreambooth->step_timesteps,
                                    .target = draw != NULL ? draw->noise : dreambooth->noise,
                                    .loss_weights = dreambooth->loss_weights};
    W2wDreamboothDraw drawn;
    W2wDreamboothMeasure result;

    if (draw == NULL) {
        drawn = draw_step(dreambooth);
        draw = &drawn;
    }
    for (guint i = 0; i < dreambooth->n_images; i++) {
        noise_image(dreambooth, i, draw);
        dreambooth->step_timesteps[i] = (float)draw->timesteps[i];
    }
    w2w_training_step_run(dreambooth->step, dreambooth->theta, &batch, dreambooth->losses,
                          dreambooth->d_theta);
    result.loss = sum_losses(dreambooth);
    result.grad_norm =
        w2w_clip_gradient_norm_of_segments(dreambooth->d_theta, dreambooth->offsets,
                                           dreambooth->n_factors, dreambooth->recipe.clip_norm);
    if (!isfinite(result.loss) || !isfinite(result.grad_norm)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The training went astray: the loss of step %u is not a finite number. A "
                    "smaller learning rate than %g may help.",
                    dreambooth->measures->len + 1, dreambooth->recipe.lr);
        return FALSE;
    }
    w2w_adam_step(dreambooth->adam, dreambooth->d_theta, dreambooth->theta);
    g_array_append_val(dreambooth->measures, result);
    if (measure != NULL)
        *measure = result;
    return TRUE;
}

gboolean w2w_dreambooth_run(W2wDreambooth *dreambooth, const W2wProgress *progress, GError **error)
{
    const GArray *measures = dreambooth->measures;
    const guint n_steps = dreambooth->recipe.n_steps;
    const W2wTrainingProgress run =
        w2w_training_progress_start(progress, "Step", measures->len, n_steps);

    do {
        const guint from = MAX(measures->len, N_SHOWN) - N_SHOWN;

        if (!w2w_training_progress_step(&run, measures->len,
                                        w2w_dreambooth_get_mean_loss(dreambooth, from, N_SHOWN),
                                        error))
            return FALSE;
    } while (measures->len < n_steps && w2w_dreambooth_step(dreambooth, NULL, NULL, error));
    return measures->len == n_steps;
}

/* --- what came of it --- */

guint w2w_dreambooth_get_n_images(const W2wDreambooth *dreambooth)
{
    return dreambooth->n_images;
}

const float *w2w_dreambooth_get_theta(const W2wDreambooth *dreambooth)
{
    return dreambooth->theta;
}

const W2wTrainingStep *w2w_dreambooth_get_training_step(const W2wDreambooth *dreambooth)
{
    return dreambooth->step;
}

const W2wDreamboothMeasure *w2w_dreambooth_get_measures(const W2wDreambooth *dreambooth,
                                                        guint *n_done)
{
    *n_done = dreambooth->measures->len;
    return (const W2wDreamboothMeasure *)(gpointer)dreambooth->measures->data;
}

double w2w_dreambooth_get_mean_loss(const W2wDreambooth *dreambooth, guint from, guint n)
{
    guint n_done;
    const W2wDreamboothMeasure *measures = w2w_dreambooth_get_measures(dreambooth, &n_done);
    const guint end = MIN(n_done, from + n);
    double sum = 0.0;

    for (guint i = from; i < end; i++)
        sum += measures[i].loss;
    return from < end ? sum / (end - from) : (double)NAN;
}
