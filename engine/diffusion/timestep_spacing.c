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

void w2w_space_timesteps(W2wTimestepSpacing spacing, guint n_train_timesteps, guint steps_offset,
                         guint n_steps, double *out)
{
    const double n_train = n_train_timesteps;
    /* NumPy's arange() steps by the difference of its first two values. */
    const double trailing_step = (n_train - n_train / n_steps) - n_train;

    for (guint i = 0; i < n_steps; i++) {
        const guint from_end = n_steps - 1 - i;

        switch (spacing) {
        case W2W_TIMESTEP_SPACING_LEADING:
            out[i] = from_end * (n_train_timesteps / n_steps) + steps_offset;
            break;
        case W2W_TIMESTEP_SPACING_LINSPACE:
            out[i] = rint(linspace(n_train - 1, n_steps, from_end));
            break;
        case W2W_TIMESTEP_SPACING_TRAILING:
            out[i] = rint(n_train + i * trailing_step) - 1;
            break;
        }
    }
}
