/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Euler's method on sigmas.
 *
 * Source: Karras et al. 2022 (arXiv 2206.00364), algorithm 2 without its noise and its second
 * order. The latents are those of a process that only adds noise (signal share 1), so the
 * model sees them divided by sqrt(sigma² + 1). With e the prediction:
 *   x[i + 1] = x[i] + (sigma[i + 1] - sigma[i]) e
 */
#include <math.h>

#include "engine/diffusion/sampler.h"
#include "engine/diffusion/sigma_schedule.h"
#include "engine/error.h"

/* diffusers: from the sigmas of the spaced timesteps, unlike with DPM-Solver++. */
static gboolean use_karras_sigmas(W2wScheduler *scheduler, GError **error)
{
    const W2wSchedulerConfig *config = &scheduler->config;
    const guint n = scheduler->n_timesteps;
    const double minimum = config->sigma_min > 0 ? config->sigma_min : scheduler->sigmas[n - 1];
    const double maximum = config->sigma_max > 0 ? config->sigma_max : scheduler->sigmas[0];

    if (!w2w_scheduler_check_sigma_range(scheduler, minimum, maximum, error))
        return FALSE;
    w2w_space_karras_sigmas(minimum, maximum, n, scheduler->sigmas);
    for (guint i = 0; i < n; i++)
        scheduler->timesteps[i] =
            (float)w2w_timestep_of_sigma(&scheduler->noise_schedule, scheduler->sigmas[i]);
    return TRUE;
}

static gboolean euler_start(W2wScheduler *scheduler, GError **error)
{
    const W2wSchedulerConfig *config = &scheduler->config;
    const W2wNoiseSchedule *schedule = &scheduler->noise_schedule;
    const W2wTimestepRules rules = {
        .spacing = config->timestep_spacing,
        .n_train_timesteps = schedule->n_train_timesteps,
        .n_usable = schedule->n_train_timesteps,
        .steps_offset = config->steps_offset,
        .with_fractions = TRUE,
    };
    guint n;

    scheduler->timesteps = g_new(double, scheduler->n_steps);
    n = w2w_space_timesteps(&rules, scheduler->n_steps, scheduler->timesteps);
    scheduler->n_timesteps = n;
    scheduler->sigmas = g_new(double, n + 1);
    for (guint i = 0; i < n; i++)
        scheduler->sigmas[i] = w2w_sigma_of_timestep(schedule, scheduler->timesteps[i]);
    if (config->use_karras_sigmas && !use_karras_sigmas(scheduler, error))
        return FALSE;
    scheduler->sigmas[n] = config->ends_at_sigma_min ? w2w_sigma_of_timestep(schedule, 0) : 0;
    for (guint i = 0; i < n; i++)
        scheduler->sigmas[i] = (float)scheduler->sigmas[i];
    return TRUE;
}

static gboolean euler_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                           float *latents, GError **error)
{
    const double *sigmas = scheduler->sigmas + scheduler->first_call + i;

    for (gsize j = 0; j < n; j++)
        latents[j] = (float)(latents[j] + (sigmas[1] - sigmas[0]) * noise_pred[j]);
    return TRUE;
}

static double euler_get_initial_sigma(const W2wScheduler *scheduler)
{
    double maximum = 0;

    for (guint i = 0; i <= scheduler->n_timesteps && scheduler->sigmas != NULL; i++)
        maximum = MAX(maximum, scheduler->sigmas[i]);
    /* diffusers: "leading" does not begin at the last timestep, where the signal's share counts. */
    return scheduler->config.timestep_spacing == W2W_TIMESTEP_SPACING_LEADING
               ? sqrt(maximum * maximum + 1)
               : maximum;
}

static double euler_get_input_scale(const W2wScheduler *scheduler, guint i)
{
    const double sigma = scheduler->sigmas[scheduler->first_call + i];

    return 1 / sqrt(sigma * sigma + 1);
}

static void euler_get_shares(const W2wScheduler *scheduler, double *signal, double *noise)
{
    *signal = 1;
    *noise = scheduler->sigmas[scheduler->first_call];
}

const W2wSampler w2w_sampler_euler = {
    .start = euler_start,
    .step = euler_step,
    .get_initial_sigma = euler_get_initial_sigma,
    .get_input_scale = euler_get_input_scale,
    .get_shares = euler_get_shares,
};
