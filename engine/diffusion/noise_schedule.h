/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The noise schedule: how much of the signal is left at every training timestep.
 *
 *   alphas_cumprod[t] = product over s <= t of (1 - beta[s])
 *   linear:        beta = linspace(start, end)
 *   scaled_linear: beta = linspace(sqrt(start), sqrt(end))^2   (latent diffusion)
 *
 * Source: Ho et al. 2020 (arXiv 2006.11239). Values are rounded to float32 where
 * diffusers rounds them, since a model sees what was trained with those numbers.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Longer schedules than this are nobody's; a file that asks for one is refused. */
#define W2W_MAX_TRAIN_TIMESTEPS 100000

typedef enum {
    W2W_BETA_SCHEDULE_LINEAR,
    W2W_BETA_SCHEDULE_SCALED_LINEAR,
} W2wBetaSchedule;

typedef struct {
    guint n_train_timesteps; /* 1 … W2W_MAX_TRAIN_TIMESTEPS */
    double start, end;       /* in (0, 1) */
    W2wBetaSchedule schedule;
    const double *trained; /* (n_train_timesteps), each in (0, 1), instead of the above; or NULL */
} W2wBetas;

typedef struct {
    guint n_train_timesteps;
    double *alphas_cumprod; /* (n_train_timesteps), falling, all in (0, 1) */
} W2wNoiseSchedule;

/*
 * W2W_ERROR_FORMAT, naming `path`, where the betas leave all of the signal at the first
 * timestep or nothing at the last, so that a sampler would divide by zero;
 * W2W_ERROR_MEMORY. On failure `schedule` is left as w2w_noise_schedule_clear() leaves it.
 */
gboolean w2w_noise_schedule_init(W2wNoiseSchedule *schedule, const W2wBetas *betas,
                                 const char *path, GError **error);
void w2w_noise_schedule_clear(W2wNoiseSchedule *schedule);

/*
 * What training makes of latents (n) and noise (n) at a timestep < n_train_timesteps, in float32
 * as diffusers' DDPMScheduler.add_noise: sqrt(a) · latents + sqrt(1 − a) · noise.
 */
void w2w_noise_schedule_add_noise(const W2wNoiseSchedule *schedule, guint timestep, gsize n,
                                  const float *latents, const float *noise, float *out);

G_END_DECLS
