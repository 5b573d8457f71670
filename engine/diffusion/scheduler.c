/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Schedulers: what is the same for all samplers. */
#include "engine/diffusion/scheduler.h"

#include "engine/diffusion/sampler.h"
#include "engine/error.h"

const char *const w2w_scheduler_names[] = {
    [W2W_SCHEDULER_PNDM] = "pndm",
    NULL,
};

static const W2wSampler *const samplers[] = {
    [W2W_SCHEDULER_PNDM] = &w2w_sampler_pndm,
};

W2wScheduler *w2w_scheduler_new_from_file(W2wSchedulerKind kind, const char *path, GError **error)
{
    g_autoptr(W2wScheduler) scheduler = g_new0(W2wScheduler, 1);

    scheduler->sampler = samplers[kind];
    scheduler->path = g_strdup(path);
    if (!w2w_scheduler_config_load(&scheduler->config, path, error))
        return NULL;
    if (scheduler->sampler->check_config != NULL &&
        !scheduler->sampler->check_config(&scheduler->config, path, error))
        return NULL;
    if (!w2w_noise_schedule_init(&scheduler->noise_schedule, &scheduler->config.betas, path, error))
        return NULL;
    return g_steal_pointer(&scheduler);
}

static void end_trajectory(W2wScheduler *scheduler)
{
    scheduler->sampler->clear(scheduler);
    g_clear_pointer(&scheduler->timesteps, g_free);
    scheduler->n_steps = scheduler->n_timesteps = scheduler->next_call = 0;
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

gboolean w2w_scheduler_start(W2wScheduler *scheduler, guint n_steps, GError **error)
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
    if (!scheduler->sampler->start(scheduler, error)) {
        end_trajectory(scheduler);
        return FALSE;
    }
    return TRUE;
}

const double *w2w_scheduler_get_timesteps(const W2wScheduler *scheduler, guint *n_timesteps)
{
    *n_timesteps = scheduler->n_timesteps;
    return scheduler->timesteps;
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
    if (i != scheduler->next_call || i >= scheduler->n_timesteps ||
        (i > 0 && n != scheduler->n_values)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The scheduler was asked for step %u with %" G_GSIZE_FORMAT
                    " values, where step %u of %u with %" G_GSIZE_FORMAT " values is next.",
                    i, n, scheduler->next_call, scheduler->n_timesteps,
                    i > 0 ? scheduler->n_values : n);
        return FALSE;
    }
    scheduler->n_values = n;
    if (!scheduler->sampler->step(scheduler, i, n, noise_pred, latents, error))
        return FALSE;
    scheduler->next_call++;
    return TRUE;
}
