/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DreamBooth (arXiv 2208.12242) with a LoRA of rank 1: from pictures of one person to weights that
 * draw this person.
 *
 *   minimise over theta   mean((eps_theta(z_t, t, "sks person") − eps)²)
 *                         + prior_weight · mean((eps_theta(z'_t, t, "person") − eps)²)
 *
 * z samples of the instance's pictures, z' of pictures of anybody: the second term keeps the words
 * for anybody meaning anybody (prior preservation). The recipe is that of weights2weights' own
 * dataset (arXiv 2406.09413): one of these per person, stacked, are what a space is made from.
 *
 * Everything random comes from one generator of torch's kind, seeded: the same seed gives the same
 * bits on one device with one number of threads. Drawn are first A of every module in the order of
 * the keys, then for every step, for each of its images (instance, then prior): which picture,
 * the posterior's noise, the noise, the timestep. Layouts are channels last; an image's random
 * numbers are drawn in torch's order, (channels, height, width).
 */
#pragma once

#include "engine/pipeline/training_step.h"

G_BEGIN_DECLS

#define W2W_DREAMBOOTH_MAX_STEPS    100000
#define W2W_DREAMBOOTH_MAX_BATCH    64
#define W2W_DREAMBOOTH_MAX_PICTURES 100000

typedef struct {
    guint n_steps; /* 1 … W2W_DREAMBOOTH_MAX_STEPS */
    guint batch;   /* instance images per step, and as many of the class: 1 … MAX_BATCH */

    /* AdamW */
    double lr;
    double beta1, beta2, eps;
    double weight_decay;

    double clip_norm;    /* the gradient's norm at most, over all factors */
    double prior_weight; /* 0: no prior, no images of the class */
    guint64 seed;
} W2wDreamboothRecipe;

/* The paper's: 800 steps of one image each, lr 1e-4, weight decay 1e-2, clipped at 1, prior weight
 * 1, seed 0. */
void w2w_dreambooth_recipe_init(W2wDreamboothRecipe *recipe);

/* What the VAE makes of pictures, as w2w_pipeline_encode_image() gives it, one after another. */
typedef struct {
    const float *mean; /* (n,h,w,channels), without the scaling factor */
    const float *std;  /* the same; NULL: means alone, nothing is drawn for them */
    guint n;
} W2wPosteriors;

typedef struct {
    gint height, width; /* of the latents */
    W2wPosteriors instance, prior;
    const float *instance_text, *class_text; /* (length, width) each */

    /* theta to begin with (n_weights of the training step); NULL: A as torch's kaiming_uniform_
     * with a = sqrt(5) draws it, B zero, which changes nothing. */
    const float *start;
    guint64 memory; /* bytes that it may take, posteriors included; 0: no limit */
} W2wDreamboothProblem;

typedef struct _W2wDreambooth W2wDreambooth;

/*
 * What w2w_dreambooth_new() will take, the problem's posteriors included, known before anything is
 * allocated. Of the problem, only the sizes, the numbers of pictures and memory count.
 * W2W_ERROR_MEMORY, which says the least that would do, where problem->memory is too small;
 * W2W_ERROR_USAGE for a recipe or sizes out of range.
 */
gboolean w2w_dreambooth_measure(W2wPipeline *pipeline, const W2wDreamboothRecipe *recipe,
                                const W2wDreamboothProblem *problem, W2wTrainingMemory *memory,
                                GError **error);

/*
 * Plans and initialises. Posteriors must outlive it; the rest of the problem is copied. Must be
 * freed before the pipeline. Errors as above; W2W_ERROR_USAGE also where there are no pictures.
 */
W2wDreambooth *w2w_dreambooth_new(W2wPipeline *pipeline, const W2wDreamboothRecipe *recipe,
                                  const W2wDreamboothProblem *problem, GError **error);
void w2w_dreambooth_free(W2wDreambooth *dreambooth);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wDreambooth, w2w_dreambooth_free)

/* Images of a step: batch, or twice that with a prior; those of the instance come first. */
guint w2w_dreambooth_get_n_images(const W2wDreambooth *dreambooth);

/* What one step is made of, where it is not drawn: for who has numbers of his own. */
typedef struct {
    const guint *pictures;        /* (n_images) which of the instance's, or of the prior's */
    const guint *timesteps;       /* (n_images) */
    const float *noise;           /* (n_images,h,w,channels) */
    const float *posterior_noise; /* the same; NULL: the means */
} W2wDreamboothDraw;

typedef struct {
    double loss;      /* instance + prior_weight · prior */
    double grad_norm; /* before it was clipped */
} W2wDreamboothMeasure;

/*
 * One step of the optimiser. `draw` NULL: drawn as above. W2W_ERROR_FAILED where loss or gradient
 * are not finite any more, and then theta is that before the step.
 */
gboolean w2w_dreambooth_step(W2wDreambooth *dreambooth, const W2wDreamboothDraw *draw,
                             W2wDreamboothMeasure *measure, GError **error);

/*
 * The steps that are still to do. Reports how far it is, the mean of the last losses and the time
 * left. G_IO_ERROR_CANCELLED where it was asked to stop; calling it again goes on as if nothing
 * had happened.
 */
gboolean w2w_dreambooth_run(W2wDreambooth *dreambooth, const W2wProgress *progress, GError **error);

/* (n_weights), after the steps so far; owned. */
const float *w2w_dreambooth_get_theta(const W2wDreambooth *dreambooth);

/* Where the factors lie in theta, and what their product is multiplied with: those of the step. */
const W2wTrainingStep *w2w_dreambooth_get_training_step(const W2wDreambooth *dreambooth);

/* Of each step so far (n_done); owned, until the next step. */
const W2wDreamboothMeasure *w2w_dreambooth_get_measures(const W2wDreambooth *dreambooth,
                                                        guint *n_done);

/* Mean loss of the steps from … from + n − 1, as far as they are done; NaN: none of them. */
double w2w_dreambooth_get_mean_loss(const W2wDreambooth *dreambooth, guint from, guint n);

G_END_DECLS
