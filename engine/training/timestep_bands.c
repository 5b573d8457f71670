/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rings of losses, and the mean of their means. */
#include "engine/training/timestep_bands.h"

#include <math.h>
#include <string.h>

void w2w_timestep_bands_init(W2wTimestepBands *bands, guint n_train_timesteps)
{
    memset(bands, 0, sizeof *bands);
    bands->n_train_timesteps = n_train_timesteps;
}

void w2w_timestep_bands_add(W2wTimestepBands *bands, guint timestep, double loss)
{
    const guint band = (guint)((guint64)timestep * W2W_N_TIMESTEP_BANDS / bands->n_train_timesteps);

    g_assert(band < W2W_N_TIMESTEP_BANDS);
    bands->recent[band][bands->n[band]++ % W2W_TIMESTEP_BAND_DEPTH] = loss;
}

gboolean w2w_timestep_bands_get_mean(const W2wTimestepBands *bands, guint n_each, double *mean,
                                     double *error)
{
    double sum = 0.0, variance = 0.0;

    for (guint b = 0; b < W2W_N_TIMESTEP_BANDS; b++) {
        const guint n = MIN(bands->n[b], W2W_TIMESTEP_BAND_DEPTH);
        double band_sum = 0.0, squares = 0.0;

        if (n < n_each)
            return FALSE;
        for (guint i = 0; i < n; i++)
            band_sum += bands->recent[b][i];
        sum += band_sum / n;
        for (guint i = 0; i < n; i++)
            squares += (bands->recent[b][i] - band_sum / n) * (bands->recent[b][i] - band_sum / n);
        if (n > 1)
            variance += squares / (n - 1) / n;
    }
    *mean = sum / W2W_N_TIMESTEP_BANDS;
    if (error != NULL)
        *error = sqrt(variance) / W2W_N_TIMESTEP_BANDS;
    return TRUE;
}
