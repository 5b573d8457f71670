/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Noise schedules and samplers.
 *
 * A scheduler is made from a diffusers folder's scheduler_config.json, so that the
 * folder's betas, spacing and offsets hold. Which sampler runs is the caller's choice
 * (`W2wSchedulerKind`), whatever class the config names; then, as with diffusers'
 * from_config(), fields that the sampler's class has are used, its own defaults fill what
 * is absent, and fields of other classes are passed over. A field or value that the
 * sampler would use but cannot is W2W_ERROR_UNSUPPORTED naming it, never a silently
 * different picture.
 */
#pragma once

#include "engine/diffusion/noise_schedule.h"

G_BEGIN_DECLS

/* Each with diffusers' class of the same behaviour. */
typedef enum {
    W2W_SCHEDULER_PNDM,            /* PNDMScheduler with skip_prk_steps (arXiv 2202.09778) */
    W2W_SCHEDULER_DDIM,            /* DDIMScheduler, eta 0 (arXiv 2010.02502) */
    W2W_SCHEDULER_EULER,           /* EulerDiscreteScheduler (arXiv 2206.00364) */
    W2W_SCHEDULER_DPMPP_2M,        /* DPMSolverMultistepScheduler, order 2 (arXiv 2211.01095) */
    W2W_SCHEDULER_DPMPP_2M_KARRAS, /* the same with use_karras_sigmas */
} W2wSchedulerKind;

/*
 * "pndm", "ddim", "euler", "dpmpp-2m", "dpmpp-2m-karras"; NULL terminated table by kind, for
 * declarations of parameters.
 */
extern const char *const w2w_scheduler_names[];

typedef struct _W2wScheduler W2wScheduler;

/*
 * `path`: a scheduler_config.json (scheduler_config.h tells which fields are understood), or
 * NULL: the settings that Stable Diffusion 1.x is distributed with, for checkpoints that come
 * without any. Of the two DPM-Solver++ kinds, the kind decides about use_karras_sigmas.
 * W2W_ERROR_FILE, _FORMAT, _UNSUPPORTED, _MEMORY.
 */
W2wScheduler *w2w_scheduler_new_from_file(W2wSchedulerKind kind, const char *path, GError **error);
void w2w_scheduler_free(W2wScheduler *scheduler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wScheduler, w2w_scheduler_free)

/*
 * The sampler that the file itself asks for (its _class_name; for DPM-Solver++ also
 * use_karras_sigmas), or with NULL the one of Stable Diffusion 1.x, PNDM. W2W_ERROR_FORMAT
 * where it names none, W2W_ERROR_UNSUPPORTED, naming the class, where it is none of ours.
 */
gboolean w2w_scheduler_kind_from_file(const char *path, W2wSchedulerKind *kind, GError **error);

const W2wNoiseSchedule *w2w_scheduler_get_noise_schedule(const W2wScheduler *scheduler);

/*
 * Starts a trajectory of `n_steps` steps. W2W_ERROR_USAGE when n_steps is not in
 * 1 … n_train_timesteps, or with the config's spacing and steps_offset leads to timesteps
 * that the sampler cannot use; W2W_ERROR_FORMAT where the config's sigma_min and sigma_max
 * leave no range. The number of model calls may differ (PNDM: n_steps + 1, but
 * 1 for one step). May be called again at any time: the trajectory before is forgotten.
 */
gboolean w2w_scheduler_start(W2wScheduler *scheduler, guint n_steps, GError **error);

/*
 * Starts only the last part of such a trajectory: image-to-image, as diffusers'
 * StableDiffusionImg2ImgPipeline.get_timesteps(). floor(n_steps · strength) steps are left;
 * calls are counted from 0 again. 0 < strength <= 1; 1 is all of the trajectory, but still
 * from a picture with noise added: the first latents are w2w_scheduler_add_noise()'s, and
 * get_initial_sigma is not applied to them. W2W_ERROR_USAGE also where no step is left.
 */
gboolean w2w_scheduler_start_from(W2wScheduler *scheduler, guint n_steps, double strength,
                                  GError **error);

/*
 * From the next step on, DDIM's prediction of the picture is not clipped, whatever the
 * config says: latents reach beyond any clip_sample_range, and what was clipped cannot be
 * undone (ddim_inverse.h).
 */
void w2w_scheduler_stop_clipping(W2wScheduler *scheduler);

/*
 * Noises a picture's `latents` (n, scaled as the model's; in place) with `noise` (n, standard
 * normal) to the level of the first call of the started trajectory. Only after a start.
 */
void w2w_scheduler_add_noise(const W2wScheduler *scheduler, gsize n, const float *noise,
                             float *latents);

/*
 * The timesteps of the model calls, in their order; owned by the scheduler until the next
 * start. NULL and 0 before the first. They need not be whole numbers (Euler), nor differ
 * from one call to the next (PNDM, Karras).
 */
const double *w2w_scheduler_get_timesteps(const W2wScheduler *scheduler, guint *n_timesteps);

/*
 * sigma = sqrt((1 − a) / a) of every call and, as the last, where the trajectory ends:
 * n_timesteps + 1 values. NULL and 0 for samplers that are not written in sigmas (PNDM,
 * DDIM), and before the first start.
 */
const double *w2w_scheduler_get_sigmas(const W2wScheduler *scheduler, guint *n_sigmas);

/* What the initial standard normal latents are multiplied by. */
double w2w_scheduler_get_initial_sigma(const W2wScheduler *scheduler);

/* Factor on the latents that the model sees at call `i` (1 but for Euler). */
double w2w_scheduler_get_input_scale(const W2wScheduler *scheduler, guint i);

/*
 * One step: `latents` of call i become those of call i + 1, in place.
 * n values each, always the same n; called with i = 0, 1, 2 … in order (anything else is
 * W2W_ERROR_USAGE). W2W_ERROR_MEMORY (history buffers).
 */
gboolean w2w_scheduler_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                            float *latents, GError **error);

G_END_DECLS
