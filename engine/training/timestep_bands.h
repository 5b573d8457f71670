/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How well it goes, while a training draws one timestep after another.
 *
 * A single loss says little: at small timesteps it is ten times what it is at large ones. So the
 * timesteps are cut into equal bands, each keeps its last few losses, and the running mean is the
 * mean of the bands' means: every part of the way from noise to picture counts the same, whatever
 * was drawn last.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define W2W_N_TIMESTEP_BANDS    8
#define W2W_TIMESTEP_BAND_DEPTH 8 /* losses that a band keeps */

typedef struct {
    guint n_train_timesteps;
    guint n[W2W_N_TIMESTEP_BANDS]; /* losses added so far */
    double recent[W2W_N_TIMESTEP_BANDS][W2W_TIMESTEP_BAND_DEPTH];
} W2wTimestepBands;

/* Empty. */
void w2w_timestep_bands_init(W2wTimestepBands *bands, guint n_train_timesteps);

void w2w_timestep_bands_add(W2wTimestepBands *bands, guint timestep, double loss);

/*
 * FALSE as long as a band has fewer than `n_each` losses (1 … W2W_TIMESTEP_BAND_DEPTH).
 * `error` (may be NULL): the mean's standard error, as the losses within bands scatter; it wants an
 * n_each of 2 at least.
 */
gboolean w2w_timestep_bands_get_mean(const W2wTimestepBands *bands, guint n_each, double *mean,
                                     double *error);

G_END_DECLS
