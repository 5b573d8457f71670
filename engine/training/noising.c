/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two loops that inversion, held losses and DreamBooth must agree on. */
#include "engine/training/noising.h"

#include <math.h>

void w2w_sample_posterior(const float *mean, const float *std, const float *posterior_noise,
                          double scaling_factor, gsize n, float *out)
{
    const float factor = (float)scaling_factor;

    if (posterior_noise == NULL) {
        for (gsize i = 0; i < n; i++)
            out[i] = mean[i] * factor;
        return;
    }
    for (gsize i = 0; i < n; i++)
        out[i] = (mean[i] + std[i] * posterior_noise[i]) * factor;
}

void w2w_add_noise(const W2wNoiseSchedule *schedule, guint timestep, const float *latents,
                   const float *noise, gsize n, float *out)
{
    float kept, signal_share, noise_share;

    g_assert(timestep < schedule->n_train_timesteps);
    kept = (float)schedule->alphas_cumprod[timestep];
    signal_share = sqrtf(kept);
    noise_share = sqrtf(1.0f - kept);
    for (gsize i = 0; i < n; i++)
        out[i] = signal_share * latents[i] + noise_share * noise[i];
}
