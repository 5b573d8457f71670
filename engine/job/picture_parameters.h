/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jobs that work on a picture: which picture, what of it counts, and which part of it the model
 * sees. In GIMP the picture is the current layer and the mask the selection.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/job/job.h"
#include "engine/job/parameter.h"
#include "engine/picture_crop.h"

G_BEGIN_DECLS

/* "auto", then w2w_crop_policy_names in their order (a test compares them); and for people. */
extern const char *const w2w_picture_crops[];
extern const char *const w2w_picture_crop_labels[];

/* Of a job's table; image is the command line's one word beside options (W2wJob.argument). */
#define W2W_PICTURE_PARAMETERS                                                                       \
    {                                                                                                \
        .name = W2W_JOB_IMAGE,                                                                       \
        .type = W2W_PARAMETER_PICTURE,                                                               \
        .flags = W2W_PARAMETER_REQUIRED,                                                             \
        .label = N_("I_mage"),                                                                       \
        .blurb = N_("The picture, a PNG. What is transparent in it does not count."),                \
    },                                                                                               \
        {                                                                                            \
            .name = W2W_JOB_MASK,                                                                    \
            .type = W2W_PARAMETER_PICTURE,                                                           \
            .label = N_("Mas_k"),                                                                    \
            .blurb = N_("What of the picture counts: a PNG of the same size, white inside, black "   \
                        "outside, grey in between."),                                                \
        },                                                                                           \
        {                                                                                            \
            .name = "crop",                                                                          \
            .type = W2W_PARAMETER_CHOICE,                                                            \
            .string = "auto",                                                                        \
            .choices = w2w_picture_crops,                                                            \
            .choice_labels = w2w_picture_crop_labels,                                                \
            .label = N_("C_rop"),                                                                    \
            .blurb =                                                                                 \
                N_("Which part of the picture the model sees: the whole, what is selected, or "      \
                   "the box; auto: the box where there is one, else what is selected, else "         \
                   "the whole."),                                                                    \
        },                                                                                           \
    {                                                                                                \
        .name = "box", .type = W2W_PARAMETER_STRING, .label = N_("Bo_x"),                            \
        .blurb = N_("The part of the picture for the crop “box”, as x,y,width,height in pixels " \
                    "from the upper left corner."),                                                  \
    }

/* A picture to work on. */
typedef struct {
    W2wPicture *picture; /* flattened over white, with deep pixels where the file has more */
    W2wMask *given_mask; /* NULL: none was given */
    W2wMask *mask;       /* what counts: the given mask where nothing is transparent; NULL: all */
    W2wBox box;          /* what the model sees, with the proportions that were asked for */
    W2wCropPolicy policy;
    /*< private >*/
    char *fingerprint, *mask_fingerprint; /* SHA-256 of the files */
} W2wPictureInput;

/*
 * From the values of W2W_PICTURE_PARAMETERS, for a model's picture of width × height. Errors of PNG
 * files, masks and boxes, all of which name the parameter.
 */
gboolean w2w_picture_input_init(W2wPictureInput *input, const W2wValues *values, guint width,
                                guint height, GError **error);
void w2w_picture_input_clear(W2wPictureInput *input);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wPictureInput, w2w_picture_input_clear)

/*
 * One more picture, from the bytes of a PNG: all of it counts but what is transparent, and the
 * model sees the whole. `name` stands for the file in messages.
 */
gboolean w2w_picture_input_init_whole(W2wPictureInput *input, GBytes *bytes, const char *name,
                                      guint width, guint height, GError **error);

/* Adds "image" and "mask" ({"sha256"}), "crop" and "box" to a recipe. */
void w2w_picture_input_describe(const W2wPictureInput *input, JsonObject *recipe);

/* [x, y, width, height]: "box" of a report, as W2W_JOB_REGION_ONLY has it. */
JsonArray *w2w_box_to_json(const W2wBox *box);

G_END_DECLS
