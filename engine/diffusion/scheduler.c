/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Schedulers: what is the same for all samplers. */
#include "engine/diffusion/scheduler.h"

#include <math.h>

#include "engine/diffusion/sampler.h"
#include "engine/error.h"

const char *const w2w_scheduler_names[] = {
    [W2W_SCHEDULER_PNDM] = "pndm",
    [W2W_SCHEDULER_DDIM] = "ddim",
    [W2W_SCHEDULER_EULER] = "euler",
    [W2W_SCHEDULER_DPMPP_2M] = "dpmpp-2m",
    [W2W_SCHEDULER_DPMPP_2M_KARRAS] = "dpmpp-2m-karras",
    NULL,
};

static const W2wSampler *const samplers[] = {
    [W2W_SCHEDULER_PNDM] = &w2w_sampler_pndm,
    [W2W_SCHEDULER_DDIM] = &w2w_sampler_ddim,
    [W2W_SCHEDULER_EULER] = &w2w_sampler_euler,
    [W2W_SCHEDULER_DPMPP_2M] = &w2w_sampler_dpmpp_2m,
    [W2W_SCHEDULER_DPMPP_2M_KARRAS] = &w2w_sampler_dpmpp_2m,
};

W2wScheduler *w2w_scheduler_new_from_file(W2wSchedulerKind kind, const char *path, GError **error)
{
    g_autoptr(W2wScheduler) scheduler = g_new0(W2wScheduler, 1);

    scheduler->sampler = samplers[kind];
    scheduler->kind = kind;
    scheduler->path = g_strdup(path != NULL ? path : W2W_SCHEDULER_CONFIG_BUILT_IN);
    if (!w2w_scheduler_config_load(&scheduler->config, kind, path, error))
        return NULL;
    if (scheduler->sampler->check_config != NULL &&
        !scheduler->sampler->check_config(&scheduler->config, scheduler->path, error))
        return NULL;
    if (!w2w_noise_schedule_init(&scheduler->noise_schedule, &scheduler->config.betas,
                                 scheduler->path, error))
        return NULL;
    return g_steal_pointer(&scheduler);
}

static void end_trajectory(W2wScheduler *scheduler)
{
    if (scheduler->sampler->clear != NULL)
        scheduler->sampler->clear(scheduler);
    g_clear_pointer(&scheduler->timesteps, g_free);
    g_clear_pointer(&scheduler->sigmas, g_free);
    scheduler->n_steps = scheduler->n_timesteps = scheduler->first_call = scheduler->next_call = 0;
    scheduler->n_values = 0;
}

void w2w_scheduler_free(W2wScheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    end_trajectory(scheduler);
    w2w_noise_schedule_clear(&scheduler->noise_schedule);
    w2w_scheduler_config_clear(&scheduler->config);
    g_free(scheduler->path);
    g_free(scheduler);
}

const W2wNoiseSchedule *w2w_scheduler_get_noise_schedule(const W2wScheduler *scheduler)
{
    return &scheduler->noise_schedule;
}

static gboolean start_whole(W2wScheduler *scheduler, guint n_steps, GError **error)
{
    const guint n_train = scheduler->noise_schedule.n_train_timesteps;

    end_trajectory(scheduler);
    if (n_steps < 1 || n_steps > n_train) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The number of steps is %u, but must be from 1 to %u "
                    "(num_train_timesteps of %s).",
                    n_steps, n_train, scheduler->path);
        return FALSE;
    }
    scheduler->n_steps = n_steps;
    return scheduler->sampler->start(scheduler, error);
}

static gboolean check_calls(W2wScheduler *scheduler, GError **error)
{
    return scheduler->sampler->check_calls == NULL ||
           scheduler->sampler->check_calls(scheduler, error);
}

gboolean w2w_scheduler_start(W2wScheduler *scheduler, guint n_steps, GError **error)
{
    if (start_whole(scheduler, n_steps, error) && check_calls(scheduler, error))
        return TRUE;
    end_trajectory(scheduler);
    return FALSE;
}

static gboolean skip_beginning(W2wScheduler *scheduler, double strength, GError **error)
{
    const guint n_steps = scheduler->n_steps;
    guint n_left;

    if (!(strength > 0 && strength <= 1)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The strength is %g, but must be above 0 and not above 1.", strength);
        return FALSE;
    }
    n_left = MIN((guint)(n_steps * strength), n_steps);
    scheduler->first_call = n_steps - n_left;
    if (n_left > 0 && scheduler->first_call < scheduler->n_timesteps)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "A strength of %g leaves none of %u steps: raise one of the two.", strength,
                n_steps);
    return FALSE;
}

gboolean w2w_scheduler_start_from(W2wScheduler *scheduler, guint n_steps, double strength,
                                  GError **error)
{
    if (start_whole(scheduler, n_steps, error) && skip_beginning(scheduler, strength, error) &&
        check_calls(scheduler, error))
        return TRUE;
    end_trajectory(scheduler);
    return FALSE;
}

void w2w_scheduler_stop_clipping(W2wScheduler *scheduler)
{
    scheduler->config.clip_sample = FALSE;
}

void w2w_scheduler_add_noise(const W2wScheduler *scheduler, gsize n, const float *noise,
                             float *latents)
{
    double signal_share, noise_share;

    g_return_if_fail(scheduler->n_timesteps > 0);
    scheduler->sampler->get_shares(scheduler, &signal_share, &noise_share);
    for (gsize j = 0; j < n; j++)
        latents[j] = (float)(signal_share * latents[j] + noise_share * noise[j]);
}

const double *w2w_scheduler_get_timesteps(const W2wScheduler *scheduler, guint *n_timesteps)
{
    *n_timesteps = scheduler->n_timesteps - scheduler->first_call;
    return scheduler->timesteps != NULL ? scheduler->timesteps + scheduler->first_call : NULL;
}

const double *w2w_scheduler_get_sigmas(const W2wScheduler *scheduler, guint *n_sigmas)
{
    *n_sigmas = 0;
    if (scheduler->sigmas == NULL)
        return NULL;
    *n_sigmas = scheduler->n_timesteps - scheduler->first_call + 1;
    return scheduler->sigmas + scheduler->first_call;
}

double w2w_scheduler_get_initial_sigma(const W2wScheduler *scheduler)
{
    return scheduler->sampler->get_initial_sigma != NULL
               ? scheduler->sampler->get_initial_sigma(scheduler)
               : 1;
}

double w2w_scheduler_get_input_scale(const W2wScheduler *scheduler, guint i)
{
    return scheduler->sampler->get_input_scale != NULL
               ? scheduler->sampler->get_input_scale(scheduler, i)
               : 1;
}

gboolean w2w_scheduler_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                            float *latents, GError **error)
{
    const guint n_calls = scheduler->n_timesteps - scheduler->first_call;

    if (i != scheduler->next_call || i >= n_calls || (i > 0 && n != scheduler->n_values)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The scheduler was asked for step %u with %" G_GSIZE_FORMAT
                    " values, where step %u of %u with %" G_GSIZE_FORMAT " values is next.",
                    i, n, scheduler->next_call, n_calls, i > 0 ? scheduler->n_values : n);
        return FALSE;
    }
    scheduler->n_values = n;
    if (!scheduler->sampler->step(scheduler, i, n, noise_pred, latents, error))
        return FALSE;
    scheduler->next_call++;
    return TRUE;
}

/* --- for samplers --- */

gboolean w2w_scheduler_check_timestep(const W2wScheduler *scheduler, gint64 timestep,
                                      GError **error)
{
    const guint n_train = scheduler->noise_schedule.n_train_timesteps;

    if (timestep < n_train)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "%u steps do not work with “steps_offset” %u of %s: they would begin at "
                "timestep %" G_GINT64_FORMAT ", but the last is %u.",
                scheduler->n_steps, scheduler->config.steps_offset, scheduler->path, timestep,
                n_train - 1);
    return FALSE;
}

double w2w_scheduler_get_alpha(const W2wScheduler *scheduler, gint64 timestep)
{
    if (timestep >= 0)
        return scheduler->noise_schedule.alphas_cumprod[timestep];
    return scheduler->config.set_alpha_to_one ? 1 : scheduler->noise_schedule.alphas_cumprod[0];
}

void w2w_scheduler_get_alpha_shares(const W2wScheduler *scheduler, double *signal, double *noise)
{
    const double alpha =
        w2w_scheduler_get_alpha(scheduler, (gint64)scheduler->timesteps[scheduler->first_call]);

    *signal = sqrt(alpha);
    *noise = sqrt(1 - alpha);
}

gboolean w2w_scheduler_check_sigma_range(const W2wScheduler *scheduler, double minimum,
                                         double maximum, GError **error)
{
    if (minimum < maximum || scheduler->n_steps == 1)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "“sigma_min” and “sigma_max” of %s, or the noise schedule in their place, leave no "
                "range for Karras' sigmas: %g to %g.",
                scheduler->path, minimum, maximum);
    return FALSE;
}
