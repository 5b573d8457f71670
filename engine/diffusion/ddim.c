/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DDIM without noise (eta = 0).
 *
 * Source: Song et al. 2021 (arXiv 2010.02502), equation 12. With a[t] = alphas_cumprod[t], e the
 * prediction, p = t - n_train / n_steps (which is diffusers' rule for every spacing):
 *   x0   = (x[t] - sqrt(1 - a[t]) e) / sqrt(a[t]), clipped where the config asks for it
 *   x[p] = sqrt(a[p]) x0 + sqrt(1 - a[p]) e
 */
#include <math.h>

#include "engine/diffusion/sampler.h"

static gboolean ddim_start(W2wScheduler *scheduler, GError **error)
{
    const W2wTimestepRules rules = {
        .spacing = scheduler->config.timestep_spacing,
        .n_train_timesteps = scheduler->noise_schedule.n_train_timesteps,
        .n_usable = scheduler->noise_schedule.n_train_timesteps,
        .steps_offset = scheduler->config.steps_offset,
    };

    scheduler->timesteps = g_new(double, scheduler->n_steps);
    scheduler->n_timesteps = w2w_space_timesteps(&rules, scheduler->n_steps, scheduler->timesteps);
    return TRUE;
}

static gboolean ddim_check_calls(const W2wScheduler *scheduler, GError **error)
{
    return w2w_scheduler_check_timestep(scheduler,
                                        (gint64)scheduler->timesteps[scheduler->first_call], error);
}

static gboolean ddim_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                          float *latents, GError **error)
{
    const W2wSchedulerConfig *config = &scheduler->config;
    const gint64 from = (gint64)scheduler->timesteps[scheduler->first_call + i];
    const gint64 to = from - scheduler->noise_schedule.n_train_timesteps / scheduler->n_steps;
    const double alpha = w2w_scheduler_get_alpha(scheduler, from);
    const double alpha_to = w2w_scheduler_get_alpha(scheduler, to);
    const double signal = sqrt(alpha), noise = sqrt(1 - alpha);
    const double signal_to = sqrt(alpha_to), noise_to = sqrt(1 - alpha_to);

    for (gsize j = 0; j < n; j++) {
        double original = (latents[j] - noise * noise_pred[j]) / signal;

        if (config->clip_sample)
            original = CLAMP(original, -config->clip_sample_range, config->clip_sample_range);
        latents[j] = (float)(signal_to * original + noise_to * noise_pred[j]);
    }
    return TRUE;
}

const W2wSampler w2w_sampler_ddim = {
    .start = ddim_start,
    .check_calls = ddim_check_calls,
    .step = ddim_step,
    .get_shares = w2w_scheduler_get_alpha_shares,
};
