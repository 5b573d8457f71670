/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a picture's posterior to latents as the UNet sees them: a sample of it, in its scale.
 *
 *   z = (mean + std ⊙ posterior_noise) · scaling_factor
 *
 * w2w_noise_schedule_add_noise() noises them to a timestep.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* out (n) = mean, or a sample where `posterior_noise` is not NULL, times the scaling factor. */
void w2w_sample_posterior(const float *mean, const float *std, const float *posterior_noise,
                          double scaling_factor, gsize n, float *out);

G_END_DECLS
