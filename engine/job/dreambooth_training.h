/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The long part of the job dreambooth: from folders of pictures to a LoRA. dreambooth.c says what
 * is asked for and hands out what came of it.
 */
#pragma once

#include "engine/job/class_pictures.h"
#include "engine/job/picture_folder.h"
#include "engine/job/trained_lora.h"
#include "engine/training/dreambooth.h"

G_BEGIN_DECLS

typedef struct {
    W2wDreamboothRecipe recipe;
    guint64 memory; /* 0: no limit */
    W2wPictureFolder person;
    W2wPictureFolder anybody; /* empty: the model makes them */
    guint n_class;            /* pictures of anybody; 0: none */
    gboolean is_from_space;   /* begins at the space's mean */
    W2wLoraFormat format;
} W2wDreamboothRequest;

void w2w_dreambooth_request_clear(W2wDreamboothRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wDreamboothRequest, w2w_dreambooth_request_clear)

typedef struct {
    W2wPipeline *pipeline;
    const W2wDreamboothRequest *request;
    W2wTrainingMemory memory;
    guint n_done;            /* steps; fewer than the recipe's where it ended early */
    JsonArray *fingerprints; /* SHA-256 of the person's pictures, in their order */
    guint n_rendered;        /* of the pictures of anybody, now; the others were in the cache */
    W2wTrainedLora lora;
    guint n_modules;
    float scale;
    double first_loss, last_loss; /* means of the first steps and of the last */
    double seconds;               /* of the training alone */
    /*< private >*/
    W2wEncodedPictures instance, prior;
} W2wDreamboothTraining;

/*
 * All of it; `training` is zeros. How much memory it takes is known, and refused where it is too
 * much (W2W_ERROR_MEMORY), before anything is made. Where it is stopped (G_IO_ERROR_CANCELLED) or
 * goes astray (W2W_ERROR_FAILED) after n_done > 0 steps, `training` holds the LoRA of these steps,
 * as if there had not been more.
 */
gboolean w2w_dreambooth_training_run(W2wDreamboothTraining *training, W2wPipeline *pipeline,
                                     const W2wDreamboothRequest *request,
                                     const W2wProgress *progress, GError **error);
/* "40.9 MiB": what the training takes. Caller frees. */
char *w2w_dreambooth_training_describe_memory(const W2wDreamboothTraining *training);

void w2w_dreambooth_training_clear(W2wDreamboothTraining *training);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wDreamboothTraining, w2w_dreambooth_training_clear)

G_END_DECLS
