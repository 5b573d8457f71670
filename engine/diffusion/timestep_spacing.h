/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which training timesteps a trajectory of n steps visits.
 *
 * Source: table 2 of Lin et al. 2024 (arXiv 2305.08891), with the roundings of diffusers'
 * classes, which differ: see the fields below. One departure: for some n (61 of 1000, for
 * instance) diffusers' "trailing" yields, by a rounding of its division, one timestep too
 * many, which is -1, and its samplers then look up the noisiest timestep instead. Here
 * there are always n.
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

typedef struct {
    W2wTimestepSpacing spacing;
    guint n_train_timesteps; /* of the model */
    guint n_usable;          /* 1 … n_train_timesteps; the first timestep is below this */
    guint steps_offset;      /* counts for "leading" only */
    gboolean without_zero;   /* "leading", "linspace": space n + 1, and leave out the last, 0 */
    gboolean with_fractions; /* "linspace": float32 instead of whole numbers */
} W2wTimestepRules;

/*
 * Writes timesteps in falling order to `out`, which has room for n_steps
 * (1 … n_train_timesteps), and returns their number: n_steps, but fewer with "trailing" where
 * n_usable is less than n_train_timesteps. `steps_offset` may carry the first beyond the
 * last training timestep, and roundings may make neighbours equal: check.
 */
guint w2w_space_timesteps(const W2wTimestepRules *rules, guint n_steps, double *out);

G_END_DECLS
