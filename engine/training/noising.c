/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What inversion, held losses and DreamBooth must agree on. */
#include "engine/training/noising.h"

void w2w_sample_posterior(const float *mean, const float *std, const float *posterior_noise,
                          double scaling_factor, gsize n, float *out)
{
    const float factor = (float)scaling_factor;

    if (posterior_noise == NULL) {
        for (gsize i = 0; i < n; i++)
            out[i] = mean[i] * factor;
        return;
    }
    for (gsize i = 0; i < n; i++)
        out[i] = (mean[i] + std[i] * posterior_noise[i]) * factor;
}
