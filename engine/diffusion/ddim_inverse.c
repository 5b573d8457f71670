/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * With a[t] = alphas_cumprod[t], e the prediction, p = t - n_train / n_steps:
 *   x0   = (x[p] - sqrt(1 - a[p]) e) / sqrt(a[p]), clipped where the config asks for it
 *   x[t] = sqrt(a[t]) x0 + sqrt(1 - a[t]) e
 */
#include "engine/diffusion/ddim_inverse.h"

#include <math.h>

#include "engine/diffusion/sampler.h"

void w2w_ddim_inverse_step(const W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                           const float *latents, float *out)
{
    const W2wSchedulerConfig *config = &scheduler->config;
    const guint call = scheduler->first_call + i;
    double alpha_from, alpha_to, signal_from, noise_from, signal_to, noise_to;
    gint64 to;

    g_return_if_fail(scheduler->kind == W2W_SCHEDULER_DDIM && call < scheduler->n_timesteps);
    to = (gint64)scheduler->timesteps[call];
    alpha_from = w2w_scheduler_get_alpha(
        scheduler, to - scheduler->noise_schedule.n_train_timesteps / scheduler->n_steps);
    alpha_to = w2w_scheduler_get_alpha(scheduler, to);
    signal_from = sqrt(alpha_from);
    noise_from = sqrt(1 - alpha_from);
    signal_to = sqrt(alpha_to);
    noise_to = sqrt(1 - alpha_to);
    for (gsize j = 0; j < n; j++) {
        double original = (latents[j] - noise_from * noise_pred[j]) / signal_from;

        if (config->clip_sample)
            original = CLAMP(original, -config->clip_sample_range, config->clip_sample_range);
        out[j] = (float)(signal_to * original + noise_to * noise_pred[j]);
    }
}
