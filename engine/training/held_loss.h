/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loss that a result is judged by: on timesteps and noises that are always the same.
 *
 * 64 timesteps spread over the range, each with 4 noises, on the means of the pictures' posteriors;
 * the mean over them all. The noises come from torch's generator with one fixed seed and depend on
 * the latents' size alone, so that every method, seed and device is measured with the same ruler.
 * (An inversion may by chance draw some of those timesteps; of the noises it never draws one.)
 */
#pragma once

#include "engine/pipeline/training_step.h"
#include "engine/training/inversion.h"

G_BEGIN_DECLS

#define W2W_HELD_TIMESTEPS 64
#define W2W_HELD_NOISES    4

typedef struct _W2wHeldLoss W2wHeldLoss;

/*
 * Of the problem, its pictures, size, text and memory count; several pictures share the mean
 * equally. Copies what it needs. Must be freed before the pipeline. Errors as
 * w2w_training_step_new()'s.
 */
W2wHeldLoss *w2w_held_loss_new(W2wPipeline *pipeline, const W2wInversionProblem *problem,
                               GError **error);
void w2w_held_loss_free(W2wHeldLoss *held);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wHeldLoss, w2w_held_loss_free)

/* Of weights theta (w2w_space_get_n_weights()); G_IO_ERROR_CANCELLED. */
gboolean w2w_held_loss_compute(W2wHeldLoss *held, const float *theta, const W2wProgress *progress,
                               double *loss, GError **error);

/* Of coefficients. */
gboolean w2w_held_loss_compute_of(W2wHeldLoss *held, const float *coefficients,
                                  guint n_coefficients, const W2wProgress *progress, double *loss,
                                  GError **error);

G_END_DECLS
