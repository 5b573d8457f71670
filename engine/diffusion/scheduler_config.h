/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scheduler_config.json of a diffusers folder, read for one sampler, so that nothing in it
 * that concerns that sampler is overlooked.
 *
 * Every field is one of: read by the sampler (scheduler_fields.c says by which), and then its
 * value is either one that we do or W2W_ERROR_UNSUPPORTED naming field, value and file;
 * of other samplers only, and then it is passed over if it has the right type; beginning
 * with "_" (diffusers' notes to itself, of which "_use_default_values" has a meaning: these
 * fields are as if absent). Anything else is W2W_ERROR_UNSUPPORTED, and a value of the wrong
 * type W2W_ERROR_FORMAT. Absent fields have the defaults of the sampler's class in
 * diffusers, as with its from_config(): so DDIM clips (clip_sample) where the file does not
 * say, and Euler and DPM-Solver++ space by "linspace".
 */
#pragma once

#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/scheduler.h"
#include "engine/diffusion/timestep_spacing.h"

G_BEGIN_DECLS

/* What messages say instead of a path. */
#define W2W_SCHEDULER_CONFIG_BUILT_IN "Stable Diffusion 1.x' own scheduler settings"

typedef struct {
    char *class_name; /* "PNDMScheduler" …; NULL where the file does not say */
    W2wBetas betas;
    double *trained_betas; /* what betas.trained points at, or NULL */
    W2wTimestepSpacing timestep_spacing;
    guint steps_offset;

    gboolean set_alpha_to_one;   /* PNDM, DDIM: the signal before timestep 0: 1, or that of 0 */
    gboolean has_skip_prk_steps; /* PNDM: is the field there? */
    gboolean skip_prk_steps;     /* PNDM */
    gboolean clip_sample;        /* DDIM: the picture that a prediction means is kept within */
    double clip_sample_range;    /* DDIM: ± this */
    gboolean use_karras_sigmas;  /* Euler; for DPM-Solver++ the kind decides */
    double sigma_min, sigma_max; /* Euler, DPM-Solver++, of Karras' sigmas; 0: the schedule's */
    gboolean ends_at_sigma_min;  /* Euler, DPM-Solver++: final_sigmas_type; or at 0 */
    gboolean solver_is_heun;     /* DPM-Solver++: or midpoint */
    gboolean lower_order_final;  /* DPM-Solver++ */
    gboolean euler_at_final;     /* DPM-Solver++ */
    double lambda_min_clipped;   /* DPM-Solver++: noisier timesteps are not used */
} W2wSchedulerConfig;

/*
 * `path` NULL: the settings that Stable Diffusion 1.x is distributed with. On failure `config`
 * is left as w2w_scheduler_config_clear() leaves it.
 */
gboolean w2w_scheduler_config_load(W2wSchedulerConfig *config, W2wSchedulerKind kind,
                                   const char *path, GError **error);
void w2w_scheduler_config_clear(W2wSchedulerConfig *config);

G_END_DECLS
