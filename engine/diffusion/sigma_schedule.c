/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sigmas and timesteps, each from the other. */
#include "engine/diffusion/sigma_schedule.h"

#include <math.h>

#define RHO 7.0

static float training_sigma(const W2wNoiseSchedule *schedule, guint t)
{
    const float alpha = (float)schedule->alphas_cumprod[t];

    return sqrtf((1.0f - alpha) / alpha);
}

double w2w_sigma_of_timestep(const W2wNoiseSchedule *schedule, double timestep)
{
    const guint last = schedule->n_train_timesteps - 1;
    double low;
    guint t;

    if (timestep >= last)
        return training_sigma(schedule, last);
    t = (guint)timestep;
    low = training_sigma(schedule, t);
    return low + (training_sigma(schedule, t + 1) - low) * (timestep - t);
}

double w2w_timestep_of_sigma(const W2wNoiseSchedule *schedule, double sigma)
{
    const double log_sigma = log(MAX(sigma, 1e-10));
    guint low = 0, high = schedule->n_train_timesteps - 1;
    double log_low, log_high;

    if (high == 0)
        return 0;
    /* The last one of all but the very last whose sigma is not above. */
    while (high - low > 1) {
        const guint middle = low + (high - low) / 2;

        if (log_sigma >= logf(training_sigma(schedule, middle)))
            low = middle;
        else
            high = middle;
    }
    log_low = logf(training_sigma(schedule, low));
    log_high = logf(training_sigma(schedule, high));
    if (log_high <= log_low)
        return low;
    return low + CLAMP((log_sigma - log_low) / (log_high - log_low), 0, 1);
}

void w2w_space_karras_sigmas(double minimum, double maximum, guint n, double *out)
{
    const double first = pow(maximum, 1 / RHO), last = pow(minimum, 1 / RHO);

    for (guint i = 0; i < n; i++) {
        const double ramp = n > 1 ? (double)i / (n - 1) : 0;

        out[i] = pow(first + ramp * (last - first), RHO);
    }
}
