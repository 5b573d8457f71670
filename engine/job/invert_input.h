/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the job invert is given: pictures with their masks and boxes, how to seek, where to begin.
 */
#pragma once

#include "engine/job/picture_parameters.h"
#include "engine/training/inversion.h"

G_BEGIN_DECLS

#define W2W_INVERT_MORE "also-image"

/* Everything that is made of the values; arrays are by picture. */
typedef struct {
    W2wWorld *world;
    W2wSpace *space;
    gint width, height; /* of the world's pictures */
    GArray *inputs;     /* W2wPictureInput: the image, then the others */
    W2wIdentity *from;  /* or NULL */
    W2wInversionPreset preset;
    W2wInversionRecipe recipe;
    W2wInversionProblem problem; /* what it points at is below, and in `from` */
    char *message;               /* what the user should know about the pictures, or NULL */
    /*< private >*/
    GArray *pictures;   /* W2wInversionPicture */
    GPtrArray *buffers; /* of w2w_aligned_alloc() */
} W2wInvertInput;

/* All that can be known without a model; the problem has no sizes yet. Errors name the parameter.
 */
gboolean w2w_invert_input_init(W2wInvertInput *invert, W2wWorld *world, const W2wValues *values,
                               GError **error);
void w2w_invert_input_clear(W2wInvertInput *invert);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wInvertInput, w2w_invert_input_clear)

/* The problem's sizes, and what the inversion will take: before anything is computed. */
gboolean w2w_invert_input_measure(W2wInvertInput *invert, W2wPipeline *pipeline,
                                  W2wTrainingMemory *memory, GError **error);

/* The text's embedding and the posteriors, once: the problem is complete but for its seed. */
gboolean w2w_invert_input_encode(W2wInvertInput *invert, W2wPipeline *pipeline, GError **error);

G_END_DECLS
