/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Noise schedules and samplers.
 *
 * A scheduler is made from a diffusers folder's scheduler_config.json, so that the
 * folder's betas, spacing and offsets hold; a field or value that is not implemented
 * is W2W_ERROR_UNSUPPORTED naming it, never a silently different picture. Which
 * sampler runs is the caller's choice (`W2wSchedulerKind`), whatever class the config names,
 * as with diffusers' from_config().
 */
#pragma once

#include "engine/diffusion/noise_schedule.h"

G_BEGIN_DECLS

typedef enum {
    W2W_SCHEDULER_PNDM, /* PNDM with skip_prk_steps = PLMS (Liu et al. 2022, arXiv 2202.09778) */
} W2wSchedulerKind;

/* "pndm"; NULL terminated table by kind, for declarations of parameters. */
extern const char *const w2w_scheduler_names[];

typedef struct _W2wScheduler W2wScheduler;

/*
 * `path`: a scheduler_config.json (scheduler_config.h tells which fields are understood).
 * W2W_ERROR_FILE, _FORMAT, _UNSUPPORTED, _MEMORY.
 */
W2wScheduler *w2w_scheduler_new_from_file(W2wSchedulerKind kind, const char *path, GError **error);
void w2w_scheduler_free(W2wScheduler *scheduler);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wScheduler, w2w_scheduler_free)

const W2wNoiseSchedule *w2w_scheduler_get_noise_schedule(const W2wScheduler *scheduler);

/*
 * Starts a trajectory of `n_steps` steps. W2W_ERROR_USAGE when n_steps is not in
 * 1 … n_train_timesteps, or the config's steps_offset carries that many steps beyond the
 * last training timestep. The number of model calls may differ (PNDM: n_steps + 1, but 1
 * for one step). May be called again at any time: the trajectory before is forgotten.
 */
gboolean w2w_scheduler_start(W2wScheduler *scheduler, guint n_steps, GError **error);

/*
 * The timesteps of the model calls, in their order; owned by the scheduler until the next
 * start. NULL and 0 before the first.
 */
const double *w2w_scheduler_get_timesteps(const W2wScheduler *scheduler, guint *n_timesteps);

/* What the initial standard normal latents are multiplied by. */
double w2w_scheduler_get_initial_sigma(const W2wScheduler *scheduler);

/* Factor on the latents that the model sees at call `i` (1 for PNDM). */
double w2w_scheduler_get_input_scale(const W2wScheduler *scheduler, guint i);

/*
 * One step: `latents` of call i become those of call i + 1, in place.
 * n values each, always the same n; called with i = 0, 1, 2 … in order (anything else is
 * W2W_ERROR_USAGE). W2W_ERROR_MEMORY (history buffers).
 */
gboolean w2w_scheduler_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                            float *latents, GError **error);

G_END_DECLS
