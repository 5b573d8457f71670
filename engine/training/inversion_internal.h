/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An inversion from the inside: inversion_make.c makes it, inversion.c takes steps,
 * inversion_draw.c has what is random, inversion_start.c seeks a place to begin.
 */
#pragma once

#include "engine/training/inversion.h"
#include "engine/training/optimizer.h"
#include "engine/training/timestep_bands.h"

G_BEGIN_DECLS

struct _W2wInversion {
    W2wPipeline *pipeline;
    const W2wSpace *space;
    W2wInversionRecipe recipe;
    gint height, width; /* of the latents */
    gsize n, n_pixels;  /* numbers of an image's latents, places of its mask */

    guint n_pictures;
    float *means, *stds; /* (n_pictures, h,w,channels) */
    float *masks;        /* (n_pictures, h,w); NULL: no picture has one */

    W2wTrainingStep *step;
    guint n_at_once; /* images that it takes: a divisor of the batch */
    W2wAdam *adam;
    W2wGenerator *generator;

    guint n_components, n_coefficients;
    float *coefficients; /* (n_coefficients) */
    float *unknowns;     /* (n_components) what Adam moves: c = origin + scale ⊙ u */
    double *origin, *scale;
    float *gradient;
    float *theta, *d_theta, *part_of_d_theta; /* (n_weights) */

    guint n_done;
    GArray *losses, *running; /* double, by step */
    W2wTimestepBands bands;
    float *best;      /* (n_coefficients) */
    double best_loss; /* infinite: none yet */
    double *sums;     /* (n_coefficients), of the steps that are averaged */
    guint n_summed;

    /* Of one step. */
    guint *picture_of, *timesteps;           /* (batch) */
    float *float_timesteps, *loss_weights;   /* (batch) */
    float *image_losses;                     /* (batch) */
    float *noise, *posterior_noise, *noised; /* (batch,h,w,channels) */
    float *image_masks;                      /* (batch,h,w) */
    float *planes;                           /* (h,w,channels): one image as it is drawn */
    float *noises;                           /* (n_noises, h,w,channels); NULL: always new ones */
    double offset;                           /* of spread timesteps, 0 … 1 */
    guint64 n_images;                        /* drawn so far */
};

/* --- inversion_draw.c --- */

/* What is drawn once, before the first step. */
gboolean w2w_inversion_draw_first(W2wInversion *inversion, GError **error);

/* Fills the inversion's own buffers and points `draw` at them. */
void w2w_inversion_draw(W2wInversion *inversion, W2wInversionDraw *draw);

/* The next `n` numbers of the generator, turned to channels last. */
void w2w_inversion_draw_image(W2wInversion *inversion, float *out);

/* --- inversion_start.c --- */

/* Where the recipe says to begin without a start of its own, into the coefficients (which are 0).
 */
gboolean w2w_inversion_seek_start(W2wInversion *inversion, const W2wInversionProblem *problem,
                                  const W2wProgress *progress, GError **error);

G_END_DECLS
