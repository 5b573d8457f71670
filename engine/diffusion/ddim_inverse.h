/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DDIM the other way: from latents to the noise that DDIM makes them from.
 *
 * Source: Song et al. 2021 (arXiv 2010.02502), section 4.3. A step is DDIM's own formula from the
 * cleaner to the noisier timestep; with the same prediction it undoes the step exactly. What is
 * not known is the prediction at the noisier latents: diffusers' DDIMInverseScheduler takes that at
 * the cleaner ones; predicting again at what came out, once or twice, comes closer to it.
 */
#pragma once

#include "engine/diffusion/scheduler.h"

G_BEGIN_DECLS

/*
 * Undoes call `i` of the started trajectory of a DDIM scheduler: from `latents` (n) after that call
 * to `out` (n) before it, where the model is asked at the call's timestep. May be in place. Any
 * call, in any order, any number of times: from the last (i = n_timesteps − 1) to 0 is the way from
 * a picture to its noise.
 */
void w2w_ddim_inverse_step(const W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                           const float *latents, float *out);

G_END_DECLS
