/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every job that makes a picture has in common: its parameters, and how they, the world's
 * card and an identity's recipe become the pipeline's options.
 */
#pragma once

#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

#include "engine/job/parameter.h"
#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

#define W2W_RENDERING_MAX_STEPS 1000

/* "world", then w2w_scheduler_names in their order (a test compares them); and for people. */
extern const char *const w2w_rendering_schedulers[];
extern const char *const w2w_rendering_scheduler_labels[];

/* The seed of a job that shows an identity which there is already. */
#define W2W_PICTURE_SEED_PARAMETER                                                                 \
    {                                                                                              \
        .name = "seed", .type = W2W_PARAMETER_SEED, .minimum = -1, .maximum = W2W_SEED_MAX,        \
        .number = -1, .label = N_("See_d"),                                                        \
        .blurb = N_("Number that decides the composition; −1: that of the identity's own "       \
                    "picture, random where there is none."),                                       \
    }

/* The tail of a job's table. */
#define W2W_RENDERING_PARAMETERS                                                                   \
    {                                                                                              \
        .name = "prompt",                                                                          \
        .type = W2W_PARAMETER_STRING,                                                              \
        .flags = W2W_PARAMETER_FROM_WORLD,                                                         \
        .label = N_("_Prompt"),                                                                    \
        .blurb = N_("What the picture shows, in words; empty: the world's own words for a "        \
                    "person."),                                                                    \
    },                                                                                             \
        {                                                                                          \
            .name = "negative-prompt",                                                             \
            .type = W2W_PARAMETER_STRING,                                                          \
            .flags = W2W_PARAMETER_FROM_WORLD,                                                     \
            .label = N_("Negati_ve prompt"),                                                       \
            .blurb = N_("What the picture should not look like; empty: the world's own words, "    \
                        "a single space: none."),                                                  \
        },                                                                                         \
        {                                                                                          \
            .name = "width",                                                                       \
            .type = W2W_PARAMETER_INT,                                                             \
            .flags = W2W_PARAMETER_FROM_WORLD,                                                     \
            .maximum = W2W_RENDER_MAX_SIZE,                                                        \
            .label = N_("_Width"),                                                                 \
            .blurb = N_("Width of the picture in pixels, as a rule a multiple of 8; 0: the "       \
                        "world's own."),                                                           \
        },                                                                                         \
        {                                                                                          \
            .name = "height",                                                                      \
            .type = W2W_PARAMETER_INT,                                                             \
            .flags = W2W_PARAMETER_FROM_WORLD,                                                     \
            .maximum = W2W_RENDER_MAX_SIZE,                                                        \
            .label = N_("He_ight"),                                                                \
            .blurb = N_("Height of the picture in pixels, as a rule a multiple of 8; 0: the "      \
                        "world's own."),                                                           \
        },                                                                                         \
        {                                                                                          \
            .name = "steps",                                                                       \
            .type = W2W_PARAMETER_INT,                                                             \
            .flags = W2W_PARAMETER_FROM_WORLD,                                                     \
            .maximum = W2W_RENDERING_MAX_STEPS,                                                    \
            .label = N_("S_teps"),                                                                 \
            .blurb = N_("Steps from noise to picture: more take longer and change less and less; " \
                        "0: the world's own."),                                                    \
        },                                                                                         \
        {                                                                                          \
            .name = "guidance-scale",                                                              \
            .type = W2W_PARAMETER_DOUBLE,                                                          \
            .flags = W2W_PARAMETER_FROM_WORLD,                                                     \
            .maximum = 30.0,                                                                       \
            .label = N_("_Guidance scale"),                                                        \
            .blurb =                                                                               \
                N_("How strongly the prompt is followed: 1 is no guidance and twice as fast; "     \
                   "0: the world's own."),                                                         \
        },                                                                                         \
    {                                                                                              \
        .name = "scheduler", .type = W2W_PARAMETER_CHOICE, .flags = W2W_PARAMETER_FROM_WORLD,      \
        .string = "world", .choices = w2w_rendering_schedulers,                                    \
        .choice_labels = w2w_rendering_scheduler_labels, .label = N_("Sched_uler"),                \
        .blurb = N_("How noise becomes a picture; world: the world's own."),                       \
    }

/*
 * "identity" of the values, checked against the world's space. W2W_ERROR_USAGE where it is missing
 * or the world has no space, W2W_ERROR_FORMAT, W2W_ERROR_MISMATCH.
 */
W2wIdentity *w2w_rendering_get_identity(W2wWorld *world, const W2wValues *values, GError **error);

/*
 * The pipeline's options without a seed: the values where they were given, else the card's.
 * `identity` may be NULL: the base model, whose own words are the class prompt. Strings are
 * borrowed from values and card. W2W_ERROR_UNSUPPORTED for a card whose scheduler we do not have.
 */
gboolean w2w_rendering_get_options(const W2wValues *values, const W2wWorldCard *card,
                                   const W2wIdentity *identity, W2wRenderOptions *options,
                                   GError **error);

/* The settings that it came to, for a recipe, under the names of the parameters. */
void w2w_rendering_describe(const W2wRenderOptions *options, JsonObject *recipe);

/*
 * "seed" of the values; left out, that of the recipe (the picture that it was made with, so that
 * before and after have one composition), or one drawn at random (32 bits: torch's generator takes
 * no more).
 */
guint64 w2w_rendering_get_seed(const W2wValues *values, JsonObject *recipe);

/*
 * What the user should know about a picture that was made so, appended to the message. `given` is
 * the identity that the job started from, or NULL.
 */
void w2w_rendering_warn(W2wPipeline *pipeline, const W2wRenderOptions *options,
                        const W2wIdentity *given, char **message);

/* Appends a sentence to a result's message (which may be NULL). */
void w2w_message_append(char **message, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_END_DECLS
