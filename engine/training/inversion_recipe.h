/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How an inversion seeks: the paper's ways, a faster one of ours, and whatever lies between.
 *
 *   paper      weights2weights' own for photographs: Adam with lr 0.1 and weight decay 1e-10 in the
 *              gradient, 400 steps of one image, t uniform, up to 10,000 components, from c = 0
 *   paper-ood  its own for pictures far from photographs: a tenth of the components, 800 steps,
 *              lr 1, no weight decay
 *   fast       ours; scripts/study says what each of its parts is worth
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define W2W_INVERSION_MAX_STEPS 100000
#define W2W_INVERSION_MAX_LR    100.0
#define W2W_INVERSION_MAX_BATCH 1024
#define W2W_INVERSION_RESUMED_LR                                                                   \
    0.25 /* of a recipe's, for who goes on from a person: near already */
#define W2W_INVERSION_MAX_COMPONENTS 10000 /* of a space that has more, the paper takes so many */

typedef enum {
    W2W_INVERSION_PAPER,
    W2W_INVERSION_PAPER_OOD,
    W2W_INVERSION_FAST,
} W2wInversionPreset;
extern const char *const w2w_inversion_preset_names[]; /* NULL terminated */

/* How the learning rate falls from `lr` to 0 over the steps, if it does. */
typedef enum {
    W2W_LR_CONSTANT,
    W2W_LR_LINEAR,
    W2W_LR_COSINE,
} W2wLrSchedule;

typedef enum {
    W2W_TIMESTEPS_UNIFORM,    /* each drawn for itself, as torch.randint */
    W2W_TIMESTEPS_STRATIFIED, /* a step's images have one each from equal parts of the range */
    W2W_TIMESTEPS_SPREAD, /* so do they, at one place of each part that walks from step to step by
                             multiples of the golden ratio: few steps in a row lie evenly too */
} W2wTimestepSampling;

typedef struct {
    guint n_components; /* at most: of a space with fewer, all of them */
    guint n_steps;      /* 1 … W2W_INVERSION_MAX_STEPS */
    guint batch;        /* images per step: 1 … W2W_INVERSION_MAX_BATCH */

    /* Adam */
    double lr;
    double beta1, beta2;
    double weight_decay; /* in the gradient */
    W2wLrSchedule lr_schedule;

    /* What is drawn. */
    gboolean posterior_means; /* the latents are the posteriors' means, else sampled */
    W2wTimestepSampling timesteps;
    guint n_noises; /* 0: new noise for every image; else so many, which come again and again */

    /*
     * The images of a step are pairs: the second has picture and timestep of the first, and its
     * noise negated. Most of a gradient's noise changes its sign with eps, so it cancels: on the
     * embedded world the variance of a pair's mean is 3 % (t = 20) to 50 % (t = 900) of that of two
     * images of their own. Only at one timestep.
     */
    gboolean antithetic; /* of an even batch */

    /*
     * Adam moves u with c = start + scale ⊙ u, scale_j = (s_j / s̄)^p: 0 is plain (c itself), 1 is
     * steps in proportion to the population's standard deviations s. s̄ is their mean; components
     * without statistics have the smallest.
     */
    double preconditioning;

    /* Adds population_weight · Σ ((c_j − m_j) / s_j)² to the loss, over components with
     * statistics. */
    double population_weight;

    /* Without a start of its own: 0 begins at c = 0. Else so many people of the dataset are tried
     * (evenly spaced rows), with `n_tries` images each, and it begins at the mean of the
     * `n_nearest` with the lowest loss. */
    guint n_candidates, n_tries, n_nearest;

    double averaged; /* 0: the last coefficients are the result; else the mean of this last part of
                        the steps (0 … 1) */
} W2wInversionRecipe;

/* `n_components_of_space`: a tenth of them (of 10,000 at most) is paper-ood's. */
void w2w_inversion_recipe_init(W2wInversionRecipe *recipe, W2wInversionPreset preset,
                               guint n_components_of_space);

/* W2W_ERROR_USAGE for numbers that make no inversion. */
gboolean w2w_inversion_recipe_check(const W2wInversionRecipe *recipe, GError **error);

/* Of step `step` (from 0). */
double w2w_inversion_recipe_get_lr(const W2wInversionRecipe *recipe, guint step);

G_END_DECLS
