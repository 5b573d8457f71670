/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Betas and their cumulative product, with torch's roundings. */
#include "engine/diffusion/noise_schedule.h"

#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"

/* torch.linspace in float32: from both ends, so that both are met exactly. */
static float linspace(float start, float end, guint n, guint i)
{
    const float step = n > 1 ? (end - start) / (float)(n - 1) : 0;

    return i < n / 2 || n == 1 ? start + step * (float)i : end - step * (float)(n - 1 - i);
}

static float beta_at(const W2wBetas *betas, guint i)
{
    float root;

    if (betas->trained != NULL)
        return (float)betas->trained[i];
    if (betas->schedule == W2W_BETA_SCHEDULE_LINEAR)
        return linspace((float)betas->start, (float)betas->end, betas->n_train_timesteps, i);
    root =
        linspace((float)sqrt(betas->start), (float)sqrt(betas->end), betas->n_train_timesteps, i);
    return root * root;
}

gboolean w2w_noise_schedule_init(W2wNoiseSchedule *schedule, const W2wBetas *betas,
                                 const char *path, GError **error)
{
    const guint n = betas->n_train_timesteps;
    double product = 1;

    schedule->n_train_timesteps = 0;
    schedule->alphas_cumprod = w2w_aligned_alloc(n, sizeof(double), "the noise schedule", error);
    if (schedule->alphas_cumprod == NULL)
        return FALSE;
    schedule->n_train_timesteps = n;
    for (guint i = 0; i < n; i++) {
        product *= 1.0f - beta_at(betas, i);
        schedule->alphas_cumprod[i] = (float)product;
    }
    if (schedule->alphas_cumprod[0] < 1 && schedule->alphas_cumprod[n - 1] > 0)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "The noise schedule of %s is unusable: its betas (%s) leave %s.", path,
                betas->trained != NULL ? "trained_betas"
                                       : "beta_start, beta_end, num_train_timesteps",
                schedule->alphas_cumprod[0] < 1 ? "no signal at all at the last timestep"
                                                : "no noise at all at the first timestep");
    w2w_noise_schedule_clear(schedule);
    return FALSE;
}

void w2w_noise_schedule_clear(W2wNoiseSchedule *schedule)
{
    w2w_aligned_free(schedule->alphas_cumprod);
    schedule->alphas_cumprod = NULL;
    schedule->n_train_timesteps = 0;
}

void w2w_noise_schedule_add_noise(const W2wNoiseSchedule *schedule, guint timestep, gsize n,
                                  const float *latents, const float *noise, float *out)
{
    const float a = (float)schedule->alphas_cumprod[timestep];
    const float signal = sqrtf(a), rest = sqrtf(1.0f - a);

    g_assert(timestep < schedule->n_train_timesteps);
    for (gsize i = 0; i < n; i++)
        out[i] = signal * latents[i] + rest * noise[i];
}
