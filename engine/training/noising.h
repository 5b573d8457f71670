/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a picture's posterior to what the UNet is shown in training: a sample of it, in the UNet's
 * scale, noised to a timestep.
 *
 *   z = (mean + std ⊙ posterior_noise) · scaling_factor
 *   z_t = sqrt(ᾱ_t) · z + sqrt(1 − ᾱ_t) · noise
 *
 * In float32, as diffusers' DDPMScheduler.add_noise() calculates.
 */
#pragma once

#include "engine/diffusion/noise_schedule.h"

G_BEGIN_DECLS

/* out (n) = mean, or a sample where `posterior_noise` is not NULL, times the scaling factor. */
void w2w_sample_posterior(const float *mean, const float *std, const float *posterior_noise,
                          double scaling_factor, gsize n, float *out);

/* out (n), which may be `latents`. timestep < n_train_timesteps. */
void w2w_add_noise(const W2wNoiseSchedule *schedule, guint timestep, const float *latents,
                   const float *noise, gsize n, float *out);

G_END_DECLS
