/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DPM-Solver++(2M), with the timesteps' own sigmas or those of Karras et al.
 *
 * Source: Lu et al. 2022 (arXiv 2211.01095), algorithm 2 and its appendix. With
 * alpha = 1 / sqrt(sigma² + 1), s = sigma · alpha, h[i] = log(sigma[i] / sigma[i + 1]), e the
 * prediction, m[i] = (x[i] - s[i] e) / alpha[i] the picture that it means:
 *   x[i + 1] = s[i + 1] / s[i] x[i] - alpha[i + 1] (exp(-h[i]) - 1) (m[i] + D / 2)
 *   D = h[i] / h[i - 1] (m[i] - m[i - 1]);  0 at the first call, and at the last one where
 *       the config or the number of steps asks for it
 * and with solver_type "heun" alpha[i + 1] ((exp(-h[i]) - 1) / h[i] + 1) D instead of the last
 * term.
 */
#include <math.h>

#include "engine/diffusion/sampler.h"
#include "engine/diffusion/sigma_schedule.h"
#include "engine/error.h"
#include "engine/memory.h"

#define FEW_STEPS 15 /* below, lower_order_final has an effect */

/* How many timesteps have log(alpha / sigma) >= lambda_min_clipped: the others are not used. */
static guint usable_timesteps(const W2wScheduler *scheduler)
{
    const W2wNoiseSchedule *schedule = &scheduler->noise_schedule;
    guint n = schedule->n_train_timesteps;

    for (; n > 0; n--) {
        const float alpha = (float)schedule->alphas_cumprod[n - 1];

        if (logf(sqrtf(alpha)) - logf(sqrtf(1.0f - alpha)) >= scheduler->config.lambda_min_clipped)
            break;
    }
    return n;
}

/* diffusers: from all of the training's sigmas, unlike with Euler; timesteps are rounded. */
static gboolean use_karras_sigmas(W2wScheduler *scheduler, GError **error)
{
    const W2wSchedulerConfig *config = &scheduler->config;
    const W2wNoiseSchedule *schedule = &scheduler->noise_schedule;
    const double minimum =
        config->sigma_min > 0 ? config->sigma_min : w2w_sigma_of_timestep(schedule, 0);
    const double maximum = config->sigma_max > 0
                               ? config->sigma_max
                               : w2w_sigma_of_timestep(schedule, schedule->n_train_timesteps);

    if (!w2w_scheduler_check_sigma_range(scheduler, minimum, maximum, error))
        return FALSE;
    scheduler->n_timesteps = scheduler->n_steps;
    w2w_space_karras_sigmas(minimum, maximum, scheduler->n_steps, scheduler->sigmas);
    for (guint i = 0; i < scheduler->n_steps; i++)
        scheduler->timesteps[i] = rint(w2w_timestep_of_sigma(schedule, scheduler->sigmas[i]));
    return TRUE;
}

static gboolean use_timesteps_sigmas(W2wScheduler *scheduler, GError **error)
{
    const W2wSchedulerConfig *config = &scheduler->config;
    const W2wTimestepRules rules = {
        .spacing = config->timestep_spacing,
        .n_train_timesteps = scheduler->noise_schedule.n_train_timesteps,
        .n_usable = usable_timesteps(scheduler),
        .steps_offset = config->steps_offset,
        .without_zero = TRUE,
    };

    if (rules.n_usable == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The field “lambda_min_clipped” of %s is %g, which leaves no timestep.",
                    scheduler->path, config->lambda_min_clipped);
        return FALSE;
    }
    scheduler->n_timesteps = w2w_space_timesteps(&rules, scheduler->n_steps, scheduler->timesteps);
    for (guint i = 0; i < scheduler->n_timesteps; i++)
        scheduler->sigmas[i] =
            w2w_sigma_of_timestep(&scheduler->noise_schedule, scheduler->timesteps[i]);
    return TRUE;
}

static gboolean dpmpp_2m_start(W2wScheduler *scheduler, GError **error)
{
    const gboolean is_karras = scheduler->kind == W2W_SCHEDULER_DPMPP_2M_KARRAS;

    scheduler->timesteps = g_new(double, scheduler->n_steps);
    scheduler->sigmas = g_new(double, scheduler->n_steps + 1);
    if (!(is_karras ? use_karras_sigmas : use_timesteps_sigmas)(scheduler, error))
        return FALSE;
    scheduler->sigmas[scheduler->n_timesteps] =
        scheduler->config.ends_at_sigma_min ? w2w_sigma_of_timestep(&scheduler->noise_schedule, 0)
                                            : 0;
    for (guint i = 0; i < scheduler->n_timesteps; i++)
        scheduler->sigmas[i] = (float)scheduler->sigmas[i];
    return TRUE;
}

static gboolean is_first_order(const W2wScheduler *scheduler, guint i)
{
    const W2wSchedulerConfig *config = &scheduler->config;

    if (i == 0)
        return TRUE;
    return scheduler->first_call + i == scheduler->n_timesteps - 1 &&
           (config->euler_at_final || !config->ends_at_sigma_min ||
            (config->lower_order_final && scheduler->n_timesteps < FEW_STEPS));
}

/* A step of the second order divides by the one before it. */
static gboolean dpmpp_2m_check_calls(const W2wScheduler *scheduler, GError **error)
{
    for (guint i = 1; scheduler->first_call + i < scheduler->n_timesteps; i++) {
        const double *sigmas = scheduler->sigmas + scheduler->first_call + i - 1;

        if (is_first_order(scheduler, i) || sigmas[0] > sigmas[1])
            continue;
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "%u steps do not work with “timestep_spacing” “%s” and “steps_offset” %u of "
                    "%s: step %u would not lower the noise.",
                    scheduler->n_steps,
                    w2w_timestep_spacing_names[scheduler->config.timestep_spacing],
                    scheduler->config.steps_offset, scheduler->path, i);
        return FALSE;
    }
    return TRUE;
}

static double alpha_of_sigma(double sigma)
{
    return 1 / sqrt(sigma * sigma + 1);
}

/* `state`: the picture (n) that the prediction before meant. */
static gboolean dpmpp_2m_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                              float *latents, GError **error)
{
    const guint call = scheduler->first_call + i;
    const double sigma = scheduler->sigmas[call], sigma_to = scheduler->sigmas[call + 1];
    const double alpha = alpha_of_sigma(sigma), alpha_to = alpha_of_sigma(sigma_to);
    const double latents_factor = sigma_to * alpha_to / (sigma * alpha);
    const double original_factor = alpha_to * (1 - sigma_to / sigma);
    double difference_factor = 0; /* of m[i] - m[i - 1] */
    float *before;

    if (i == 0) {
        scheduler->state =
            w2w_aligned_alloc(n, sizeof(float), "the history of the DPM-Solver++ scheduler", error);
        if (scheduler->state == NULL)
            return FALSE;
    }
    before = scheduler->state;
    if (!is_first_order(scheduler, i) && sigma_to != sigma) {
        const double h = log(sigma / sigma_to), h_before = log(scheduler->sigmas[call - 1] / sigma);
        const double share = scheduler->config.solver_is_heun
                                 ? alpha_to * ((sigma_to / sigma - 1) / h + 1)
                                 : original_factor / 2;

        difference_factor = share * h / h_before;
    }
    for (gsize j = 0; j < n; j++) {
        const float original = (float)((latents[j] - sigma * alpha * noise_pred[j]) / alpha);
        const double difference = i > 0 ? (double)original - before[j] : 0;

        latents[j] = (float)(latents_factor * latents[j] + original_factor * original +
                             difference_factor * difference);
        before[j] = original;
    }
    return TRUE;
}

static void dpmpp_2m_clear(W2wScheduler *scheduler)
{
    w2w_aligned_free(scheduler->state);
    scheduler->state = NULL;
}

static void dpmpp_2m_get_shares(const W2wScheduler *scheduler, double *signal, double *noise)
{
    const double sigma = scheduler->sigmas[scheduler->first_call];

    *signal = alpha_of_sigma(sigma);
    *noise = sigma * *signal;
}

const W2wSampler w2w_sampler_dpmpp_2m = {
    .start = dpmpp_2m_start,
    .check_calls = dpmpp_2m_check_calls,
    .step = dpmpp_2m_step,
    .clear = dpmpp_2m_clear,
    .get_shares = dpmpp_2m_get_shares,
};
