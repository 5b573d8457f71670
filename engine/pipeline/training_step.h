/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One forward and backward pass through the UNet: noised latents → the loss of each image and the
 * gradient of their weighted sum with respect to the rank-1 LoRA factors, as one flat vector theta.
 *
 * What training has in common, whatever is optimised: coefficients of a space (inversion) or the
 * weights themselves (DreamBooth). The loss is that of latent diffusion, held to where a mask is:
 * mean((mask ⊙ (eps_theta(z_t, t, text) − eps))²) over all elements of an image.
 *
 * Everything is float32 whatever the pipeline's device computes with: gradients are sums of
 * thousands of small numbers. The graph is fixed and planned once; a step allocates nothing.
 */
#pragma once

#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

typedef struct _W2wTrainingStep W2wTrainingStep;

typedef struct {
    gint batch, height, width; /* of the latents */
    guint64 memory;            /* bytes that it may take, as w2w_training_step_measure() counts
                                  them; 0: as many as it likes */
    guint64 beside;            /* bytes that whoever takes the steps needs for himself: part of the
                                  budget and of what is measured */
    guint beside_each;         /* and as many for each of theta's n_weights numbers */
    gboolean forward_only;     /* losses, no gradients */
} W2wTrainingStepOptions;

/*
 * What a step takes in the device's memory, beside what the pipeline holds already. Where the
 * budget asks for it, the inside of some of the UNet's blocks is not kept for the way back but
 * computed again there (the same numbers to the bit, up to a third more time).
 */
typedef struct {
    guint64 total, weights /* packed for the device */, activations; /* bytes */
    guint n_blocks, n_recomputed;
} W2wTrainingMemory;

/*
 * Known before anything is allocated. W2W_ERROR_MEMORY, which says the least that would do, where
 * the budget is too small; W2W_ERROR_USAGE for sizes out of range.
 */
gboolean w2w_training_step_measure(W2wPipeline *pipeline, const W2wTrainingStepOptions *options,
                                   W2wTrainingMemory *memory, GError **error);

/* The same, and plans it. Must be freed before the pipeline; LoRAs merged later do not count. */
W2wTrainingStep *w2w_training_step_new(W2wPipeline *pipeline, const W2wTrainingStepOptions *options,
                                       GError **error);
void w2w_training_step_free(W2wTrainingStep *step);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wTrainingStep, w2w_training_step_free)

W2wTrainingMemory w2w_training_step_get_memory(const W2wTrainingStep *step);

/*
 * Where each factor lies in theta, and how many numbers that is: the space's keys, else (a world
 * without a space) those of to_q and to_v of all attentions in the order of PEFT's sorted keys.
 */
const W2wSpaceKey *w2w_training_step_get_keys(const W2wTrainingStep *step, guint *n_keys);
gint64 w2w_training_step_get_n_weights(const W2wTrainingStep *step);
float w2w_training_step_get_lora_scale(const W2wTrainingStep *step); /* 27 without a space */

/* text_embedding (batch, length, width). Stays until it is set again. */
void w2w_training_step_set_text(W2wTrainingStep *step, const float *text_embedding);

typedef struct {
    const float *latents;      /* noised, (batch,h,w,channels) */
    const float *timesteps;    /* (batch) */
    const float *target;       /* the noise, (batch,h,w,channels) */
    const float *mask;         /* (batch,h,w,1), 0 … 1; NULL: 1 */
    const float *loss_weights; /* (batch): 1/batch each for the mean over a batch; not looked at
                                  where forward_only */
} W2wTrainingBatch;

/*
 * theta (n_weights). losses (batch). d_theta (n_weights), of Σ loss_weights · losses; not touched
 * where forward_only, may then be NULL. Cannot fail.
 */
void w2w_training_step_run(W2wTrainingStep *step, const float *theta, const W2wTrainingBatch *batch,
                           float *losses, float *d_theta);

/* The prediction of the last run, (batch,h,w,channels): for tests. */
void w2w_training_step_get_noise_pred(W2wTrainingStep *step, float *noise_pred);

/* A table of the ops and their shares, for the developer; see w2w_plan_profile(). */
char *w2w_training_step_profile(W2wTrainingStep *step, guint n_replays);

G_END_DECLS
