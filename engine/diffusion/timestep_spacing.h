/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which training timesteps a trajectory of n steps visits.
 *
 * Source: table 2 of Lin et al. 2024 (arXiv 2305.08891), with the roundings of
 * diffusers' PNDMScheduler, to the integer. One departure: for some n diffusers'
 * "trailing" yields, by a rounding of its division, one timestep too many, which is
 * -1; here there are always n.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    W2W_TIMESTEP_SPACING_LEADING,
    W2W_TIMESTEP_SPACING_LINSPACE,
    W2W_TIMESTEP_SPACING_TRAILING,
} W2wTimestepSpacing;

/* As scheduler_config.json writes them; NULL terminated, by value. */
extern const char *const w2w_timestep_spacing_names[];

/*
 * `n_steps` (1 … n_train_timesteps) integers in falling order. `steps_offset` counts for
 * "leading" only, and may carry the first beyond the last training timestep: check.
 */
void w2w_space_timesteps(W2wTimestepSpacing spacing, guint n_train_timesteps, guint steps_offset,
                         guint n_steps, double *out);

G_END_DECLS
