/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inversion: from pictures of one person to the coefficients of a space that explain them best.
 *
 *   minimise over c   mean((mask ⊙ (eps_theta(c)(z_t, t, text) − eps))²),   theta = mean + std ⊙ V
 * c
 *
 * over timesteps t, noises eps and samples z of the pictures' posteriors; d_c = Vᵀ(std ⊙ d_theta).
 * V c is computed once a step, the text's embedding and the posteriors are given: they do not
 * change. Source: weights2weights (arXiv 2406.09413); what the recipe "fast" does otherwise is
 * ours.
 *
 * Everything random comes from one generator of torch's kind, seeded: the same seed gives the same
 * bits on one device with one number of threads. Layouts are channels last; the random numbers of
 * an image are drawn in torch's order, (channels, height, width).
 */
#pragma once

#include "engine/pipeline/training_step.h"
#include "engine/training/inversion_recipe.h"

G_BEGIN_DECLS

/* One picture of the person, as w2w_pipeline_encode_image() gives it. */
typedef struct {
    const float *mean, *std; /* (h,w,channels), without the scaling factor */
    const float *mask;       /* (h,w), 0 … 1: what of it counts; NULL: all */
} W2wInversionPicture;

typedef struct {
    gint height, width; /* of the latents */
    const W2wInversionPicture *pictures;
    guint n_pictures;
    const float *text_embedding; /* (length, width) */
    const float *start;          /* coefficients to go on from; NULL: as the recipe says */
    guint n_start;
    guint64 seed;
    guint64 memory; /* bytes that it may take; 0: no limit. Less of it makes a step slower: blocks
                       are computed twice (the same bits); where that is not enough, a step's images
                       are computed in parts, whose gradients add up (other last bits) */
} W2wInversionProblem;

typedef struct _W2wInversion W2wInversion;

/*
 * What w2w_inversion_new() and its run will take, known before anything is allocated.
 * W2W_ERROR_MEMORY, which says the least that would do, where problem->memory is too small;
 * W2W_ERROR_UNSUPPORTED for a world without a space; W2W_ERROR_USAGE for a recipe or sizes out of
 * range. Of the problem, only height, width, n_pictures, n_start and memory count.
 */
gboolean w2w_inversion_measure(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                               const W2wInversionProblem *problem, W2wTrainingMemory *memory,
                               GError **error);

/*
 * Copies what it needs of the problem, plans, and seeks a start where the recipe wants one.
 * Must be freed before the pipeline. Errors as w2w_inversion_measure()'s; also
 * G_IO_ERROR_CANCELLED.
 */
W2wInversion *w2w_inversion_new(W2wPipeline *pipeline, const W2wInversionRecipe *recipe,
                                const W2wInversionProblem *problem, const W2wProgress *progress,
                                GError **error);
void w2w_inversion_free(W2wInversion *inversion);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wInversion, w2w_inversion_free)

/* What one step is made of, where it is not drawn: for who has numbers of his own. */
typedef struct {
    const guint *pictures;        /* (batch) which one each image is of; NULL: the first */
    const guint *timesteps;       /* (batch) */
    const float *noise;           /* (batch,h,w,channels) */
    const float *posterior_noise; /* the same; NULL: the posteriors' means */
} W2wInversionDraw;

/*
 * One step of the optimiser. `draw` NULL: drawn as the recipe says. W2W_ERROR_FAILED where the
 * loss or its gradient is no longer finite, and then the coefficients are those before the step.
 */
gboolean w2w_inversion_step(W2wInversion *inversion, const W2wInversionDraw *draw, double *loss,
                            GError **error);

/*
 * The steps that are still to do. G_IO_ERROR_CANCELLED where it was asked to stop; what was found
 * until then is kept, and calling it again goes on as if nothing had happened.
 */
gboolean w2w_inversion_run(W2wInversion *inversion, const W2wProgress *progress, GError **error);

/* How many coefficients there are: the recipe's, or those of the start where it has more (those
 * beyond the recipe's stay as they were). */
guint w2w_inversion_get_n_coefficients(const W2wInversion *inversion);

/* How many of them are sought: the recipe's, or all that the space has. */
guint w2w_inversion_get_n_components(const W2wInversion *inversion);

/* After the steps so far (n_coefficients); owned. */
const float *w2w_inversion_get_coefficients(const W2wInversion *inversion);

/*
 * The result (n_coefficients). Once all steps are done, what the recipe says: the last ones or
 * their average. Before, the best so far: the latest coefficients at which the running mean over
 * the bands of timesteps was not clearly above its lowest (the latest of all where it is not known
 * yet).
 */
void w2w_inversion_get_result(const W2wInversion *inversion, float *coefficients);

/* The running mean of that best, for comparing searches in the same pictures; 0: not known yet. */
double w2w_inversion_get_best_loss(const W2wInversion *inversion);

guint w2w_inversion_get_n_done(const W2wInversion *inversion); /* steps */

/* The loss of each step so far, and the running mean after it (NaN before it is known). Owned,
 * until the next step. */
const double *w2w_inversion_get_losses(const W2wInversion *inversion);
const double *w2w_inversion_get_running_losses(const W2wInversion *inversion);

W2wTrainingMemory w2w_inversion_get_memory(const W2wInversion *inversion);

G_END_DECLS
