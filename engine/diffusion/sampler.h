/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a sampler is, for scheduler.c and the samplers themselves (one file each).
 *
 * A new sampler: its file, its entry in W2wSchedulerKind and in the tables of
 * scheduler.c, its golden trajectory in tests/diffusion.
 */
#pragma once

#include "engine/diffusion/scheduler.h"
#include "engine/diffusion/scheduler_config.h"

G_BEGIN_DECLS

typedef struct {
    /* Does this sampler run with that config? The error names the field. May be NULL: always. */
    gboolean (*check_config)(const W2wSchedulerConfig *config, const char *path, GError **error);

    /* Fills n_timesteps and timesteps for n_steps, which is in range. */
    gboolean (*start)(W2wScheduler *scheduler, GError **error);

    /* Call i of the current trajectory: in range, in order, of n values like the first. */
    gboolean (*step)(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                     float *latents, GError **error);

    /* Frees what start and step made in `state`. Called before every start and at the end. */
    void (*clear)(W2wScheduler *scheduler);

    /* May be NULL: 1. */
    double (*get_initial_sigma)(const W2wScheduler *scheduler);
    double (*get_input_scale)(const W2wScheduler *scheduler, guint i);
} W2wSampler;

struct _W2wScheduler {
    const W2wSampler *sampler;
    char *path; /* of the config, for messages */
    W2wSchedulerConfig config;
    W2wNoiseSchedule noise_schedule;

    /* the current trajectory; n_timesteps is 0 before the first start */
    guint n_steps, n_timesteps;
    double *timesteps; /* (n_timesteps); owned */
    guint next_call;
    gsize n_values;
    gpointer state; /* the sampler's own */
};

extern const W2wSampler w2w_sampler_pndm;

G_END_DECLS
