/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The three spacings; rint() rounds halves to even as NumPy does. */
#include "engine/diffusion/timestep_spacing.h"

#include <math.h>

const char *const w2w_timestep_spacing_names[] = {
    [W2W_TIMESTEP_SPACING_LEADING] = "leading",
    [W2W_TIMESTEP_SPACING_LINSPACE] = "linspace",
    [W2W_TIMESTEP_SPACING_TRAILING] = "trailing",
    NULL,
};

/* NumPy's linspace(0, last, n)[i]. */
static double linspace(double last, guint n, guint i)
{
    if (n == 1)
        return 0;
    return i == n - 1 ? last : i * (last / (n - 1));
}

static guint space_trailing(const W2wTimestepRules *rules, guint n_steps, double *out)
{
    const double first = rules->n_usable;
    /* NumPy's arange() steps by the difference of its first two values. */
    const double step = (first - (double)rules->n_train_timesteps / n_steps) - first;
    guint n = 0;

    for (; n < n_steps && rint(first + n * step) >= 1; n++)
        out[n] = rint(first + n * step) - 1;
    return n;
}

guint w2w_space_timesteps(const W2wTimestepRules *rules, guint n_steps, double *out)
{
    const guint n_points = rules->without_zero ? n_steps + 1 : n_steps;

    if (rules->spacing == W2W_TIMESTEP_SPACING_TRAILING)
        return space_trailing(rules, n_steps, out);
    for (guint i = 0; i < n_steps; i++) {
        const guint from_end = n_points - 1 - i;

        if (rules->spacing == W2W_TIMESTEP_SPACING_LEADING) {
            out[i] = (double)from_end * (rules->n_usable / n_points) + rules->steps_offset;
        } else {
            const double timestep = linspace(rules->n_usable - 1.0, n_points, from_end);

            out[i] = rules->with_fractions ? (float)timestep : rint(timestep);
        }
    }
    return n_steps;
}
