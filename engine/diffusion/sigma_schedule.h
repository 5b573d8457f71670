/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The noise schedule in sigmas: sigma = sqrt((1 − a) / a), the noise's share by the signal's,
 * for the samplers that are written in it (Karras et al. 2022, arXiv 2206.00364).
 *
 * Roundings are those of diffusers: sigmas of training timesteps are float32, what is
 * made from them is double until it is stored.
 */
#pragma once

#include "engine/diffusion/noise_schedule.h"

G_BEGIN_DECLS

/* Between training timesteps linear; beyond the last one that one's. timestep >= 0. */
double w2w_sigma_of_timestep(const W2wNoiseSchedule *schedule, double timestep);

/* Its inverse, linear in log sigma; the first or last timestep for sigmas beyond them. */
double w2w_timestep_of_sigma(const W2wNoiseSchedule *schedule, double sigma);

/* Equation 5 of Karras et al. with rho 7: n sigmas from `maximum` to `minimum`, both above 0. */
void w2w_space_karras_sigmas(double minimum, double maximum, guint n, double *out);

G_END_DECLS
