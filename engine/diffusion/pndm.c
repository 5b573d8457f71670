/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PNDM without Runge-Kutta steps, that is PLMS: a linear multistep method of order four.
 *
 * Source: Liu et al. 2022 (arXiv 2202.09778), equations 9 and 12, warmed up as latent
 * diffusion does it: the first step is taken twice. Call 0 goes from t0 to t1 with the
 * prediction at t0; call 1 is at t1 and goes from t0 to t1 again, from the kept latents,
 * with the mean of both predictions, and then its own prediction is forgotten. From then
 * on the order rises to four. So n steps are n + 1 calls (one step is one call).
 *
 * With a[t] = alphas_cumprod[t], e the combined prediction, p = t - n_train / n_steps:
 *   x[p] = sqrt(a[p] / a[t]) x[t] - (a[p] - a[t]) e / (a[t] sqrt(1 - a[p]) + sqrt(a[t] (1 - a[t])
 * a[p]))
 */
#include <math.h>
#include <string.h>

#include "engine/diffusion/sampler.h"
#include "engine/error.h"
#include "engine/memory.h"

#define ORDER 4

typedef struct {
    float *history[ORDER]; /* (n) each; [0] is the newest prediction */
    guint n_history;
    float *first_latents; /* (n), those of call 0 */
    float *buffer;        /* what the five above lie in */
} Pndm;

static gboolean pndm_check_config(const W2wSchedulerConfig *config, const char *path,
                                  GError **error)
{
    /* The default is false, but other classes do not write a field that only PNDM has. */
    const gboolean is_pndm = g_strcmp0(config->class_name, "PNDMScheduler") == 0;

    if (config->skip_prk_steps || (!config->has_skip_prk_steps && !is_pndm))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "The field “skip_prk_steps” of %s is %s; "
                "PNDM with Runge-Kutta steps is not supported, expected was true.",
                path, config->has_skip_prk_steps ? "false" : "missing, which means false");
    return FALSE;
}

/*
 * The step of call first_call + i, from timestep `*from` to `*to`; `*to` is negative beyond
 * the last. Going back at the second call is diffusers' rule for every trajectory, also where
 * image-to-image begins past the timestep that is there twice: then the second call's
 * timestep is already one stride on, and the first step is taken again from where it was.
 */
static void step_of_call(const W2wScheduler *scheduler, guint i, gint64 *from, gint64 *to)
{
    const gint64 stride = scheduler->noise_schedule.n_train_timesteps / scheduler->n_steps;

    *from = (gint64)scheduler->timesteps[scheduler->first_call + i];
    *to = *from - stride;
    if (i == 1) {
        *to = *from;
        *from += stride;
    }
}

static gboolean pndm_start(W2wScheduler *scheduler, GError **error)
{
    const guint n = scheduler->n_steps;
    const W2wTimestepRules rules = {
        .spacing = scheduler->config.timestep_spacing,
        .n_train_timesteps = scheduler->noise_schedule.n_train_timesteps,
        .n_usable = scheduler->noise_schedule.n_train_timesteps,
        .steps_offset = scheduler->config.steps_offset,
    };
    double *timesteps = g_new(double, n + 1);

    scheduler->timesteps = timesteps;
    scheduler->n_timesteps = w2w_space_timesteps(&rules, n, timesteps);
    if (n > 1) {
        memmove(timesteps + 2, timesteps + 1, (n - 1) * sizeof *timesteps);
        scheduler->n_timesteps++;
    }
    return TRUE;
}

static gboolean pndm_check_calls(const W2wScheduler *scheduler, GError **error)
{
    for (guint i = 0; scheduler->first_call + i < scheduler->n_timesteps; i++) {
        gint64 from, to;

        step_of_call(scheduler, i, &from, &to);
        if (!w2w_scheduler_check_timestep(scheduler, from, error))
            return FALSE;
    }
    return TRUE;
}

static void pndm_clear(W2wScheduler *scheduler)
{
    Pndm *pndm = scheduler->state;

    if (pndm == NULL)
        return;
    w2w_aligned_free(pndm->buffer);
    g_clear_pointer(&scheduler->state, g_free);
}

static Pndm *pndm_new(gsize n, GError **error)
{
    float *buffer = w2w_aligned_alloc(n, (ORDER + 1) * sizeof(float),
                                      "the history of the PNDM scheduler", error);
    Pndm *pndm;

    if (buffer == NULL)
        return NULL;
    pndm = g_new0(Pndm, 1);
    pndm->buffer = buffer;
    for (guint k = 0; k < ORDER; k++)
        pndm->history[k] = buffer + k * n;
    pndm->first_latents = buffer + ORDER * n;
    return pndm;
}

static void remember(Pndm *pndm, gsize n, const float *noise_pred)
{
    float *oldest = pndm->history[ORDER - 1];

    memmove(pndm->history + 1, pndm->history, (ORDER - 1) * sizeof *pndm->history);
    pndm->history[0] = oldest;
    memcpy(oldest, noise_pred, n * sizeof *noise_pred);
    pndm->n_history = MIN(pndm->n_history + 1, ORDER);
}

/* Weights of the newest 1 … 4 predictions (Adams-Bashforth). */
static const double weights[ORDER][ORDER] = {
    {1},
    {3 / 2.0, -1 / 2.0},
    {23 / 12.0, -16 / 12.0, 5 / 12.0},
    {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0},
};

static double combined(const Pndm *pndm, gsize j)
{
    const double *weight = weights[pndm->n_history - 1];
    double sum = 0;

    for (guint k = 0; k < pndm->n_history; k++)
        sum += weight[k] * pndm->history[k][j];
    return sum;
}

static gboolean pndm_step(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                          float *latents, GError **error)
{
    gint64 from, to;
    double alpha, alpha_to, sample_factor, prediction_factor;
    Pndm *pndm = scheduler->state;

    if (i == 0) {
        pndm = pndm_new(n, error);
        if (pndm == NULL)
            return FALSE;
        scheduler->state = pndm;
        memcpy(pndm->first_latents, latents, n * sizeof *latents);
    }
    if (i != 1)
        remember(pndm, n, noise_pred);

    step_of_call(scheduler, i, &from, &to);
    alpha = w2w_scheduler_get_alpha(scheduler, from);
    alpha_to = w2w_scheduler_get_alpha(scheduler, to);
    sample_factor = sqrt(alpha_to / alpha);
    prediction_factor =
        (alpha_to - alpha) / (alpha * sqrt(1 - alpha_to) + sqrt(alpha * (1 - alpha) * alpha_to));
    for (gsize j = 0; j < n; j++) {
        double prediction =
            i == 1 ? ((double)noise_pred[j] + pndm->history[0][j]) / 2 : combined(pndm, j);
        double sample = i == 1 ? pndm->first_latents[j] : latents[j];

        latents[j] = (float)(sample_factor * sample - prediction_factor * prediction);
    }
    return TRUE;
}

const W2wSampler w2w_sampler_pndm = {
    .check_config = pndm_check_config,
    .start = pndm_start,
    .check_calls = pndm_check_calls,
    .step = pndm_step,
    .clear = pndm_clear,
    .get_shares = w2w_scheduler_get_alpha_shares,
};
