/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scheduler_config.json of a diffusers folder, read so that nothing in it is overlooked.
 *
 * Every field is one of: read; known to belong to another sampler and in its "off"
 * position; known to tune another sampler only; beginning with "_" (diffusers' notes to
 * itself). Anything else is W2W_ERROR_UNSUPPORTED naming field, value and file, and a
 * value of the wrong type W2W_ERROR_FORMAT: a folder that asks for what we do not do
 * must not quietly give another picture. Fields that are absent have the defaults of
 * diffusers' PNDMScheduler, as with its from_config().
 */
#pragma once

#include "engine/diffusion/noise_schedule.h"
#include "engine/diffusion/timestep_spacing.h"

G_BEGIN_DECLS

typedef struct {
    char *class_name; /* "PNDMScheduler" …; NULL where the file does not say */
    W2wBetas betas;
    double *trained_betas; /* what betas.trained points at, or NULL */
    W2wTimestepSpacing timestep_spacing;
    guint steps_offset;
    gboolean set_alpha_to_one;   /* the signal before timestep 0: 1, or alphas_cumprod[0] */
    gboolean has_skip_prk_steps; /* is the field there? */
    gboolean skip_prk_steps;
} W2wSchedulerConfig;

/* On failure `config` is left as w2w_scheduler_config_clear() leaves it. */
gboolean w2w_scheduler_config_load(W2wSchedulerConfig *config, const char *path, GError **error);
void w2w_scheduler_config_clear(W2wSchedulerConfig *config);

G_END_DECLS
