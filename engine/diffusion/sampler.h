/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a sampler is, for scheduler.c and the samplers themselves (one file each).
 *
 * A new sampler: its file, its entry in W2wSchedulerKind, in the tables of scheduler.c and
 * among the readers and defaults of scheduler_fields.c, its golden trajectory and its
 * cases in tests/diffusion.
 *
 * Calls are counted in two ways: from the outside, of the started trajectory (0 is its first
 * call); for samplers, of the whole one, where `first_call` is the first that is made.
 */
#pragma once

#include "engine/diffusion/scheduler.h"
#include "engine/diffusion/scheduler_config.h"

G_BEGIN_DECLS

typedef struct {
    /* Does this sampler run with that config? The error names the field. May be NULL: always. */
    gboolean (*check_config)(const W2wSchedulerConfig *config, const char *path, GError **error);

    /*
     * Fills n_timesteps, timesteps and (or leaves NULL) sigmas of the whole trajectory of
     * n_steps, which is in range. first_call is not known yet.
     */
    gboolean (*start)(W2wScheduler *scheduler, GError **error);

    /* May be NULL. The last word of a start, when first_call is known. */
    gboolean (*check_calls)(const W2wScheduler *scheduler, GError **error);

    /* Call first_call + i: in range, in order, of n values like the first. */
    gboolean (*step)(W2wScheduler *scheduler, guint i, gsize n, const float *noise_pred,
                     float *latents, GError **error);

    /* Frees what step made in `state`. Called before every start and at the end. May be NULL. */
    void (*clear)(W2wScheduler *scheduler);

    /* May be NULL: 1. */
    double (*get_initial_sigma)(const W2wScheduler *scheduler);
    double (*get_input_scale)(const W2wScheduler *scheduler, guint i);

    /* Shares of signal and noise in the latents of the first call. */
    void (*get_shares)(const W2wScheduler *scheduler, double *signal, double *noise);
} W2wSampler;

struct _W2wScheduler {
    const W2wSampler *sampler;
    W2wSchedulerKind kind;
    char *path; /* of the config, for messages */
    W2wSchedulerConfig config;
    W2wNoiseSchedule noise_schedule;

    /* the current trajectory; n_timesteps is 0 before the first start */
    guint n_steps, n_timesteps, first_call;
    double *timesteps; /* (n_timesteps); owned */
    double *sigmas;    /* (n_timesteps + 1); owned; or NULL */
    guint next_call;
    gsize n_values;
    gpointer state; /* the sampler's own */
};

/* For samplers that look up alphas_cumprod: `timestep` must be one of training. */
gboolean w2w_scheduler_check_timestep(const W2wScheduler *scheduler, gint64 timestep,
                                      GError **error);

/* alphas_cumprod[timestep]; beyond the last step (negative) what the config says. */
double w2w_scheduler_get_alpha(const W2wScheduler *scheduler, gint64 timestep);

/* get_shares of those: sqrt(a) and sqrt(1 - a) of the first timestep. */
void w2w_scheduler_get_alpha_shares(const W2wScheduler *scheduler, double *signal, double *noise);

/* For Karras' sigmas: 0 < minimum < maximum, unless there is one step only. */
gboolean w2w_scheduler_check_sigma_range(const W2wScheduler *scheduler, double minimum,
                                         double maximum, GError **error);

extern const W2wSampler w2w_sampler_pndm;
extern const W2wSampler w2w_sampler_ddim;
extern const W2wSampler w2w_sampler_euler;
extern const W2wSampler w2w_sampler_dpmpp_2m;

G_END_DECLS
