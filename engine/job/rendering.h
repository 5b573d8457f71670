/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every job that makes a picture has in common: its parameters, how they, the world's card and
 * an identity's recipe become the pipeline's options, and what a result is made of.
 */
#pragma once

#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

#include "engine/job/job.h"
#include "engine/job/parameter.h"
#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

#define W2W_RENDERING_MAX_STEPS         1000
#define W2W_RENDERING_MAX_LORA_STRENGTH 10.0
#define W2W_RENDERING_MAX_TIMESTEP      1000 /* what models of this kind are trained with */

/* "world", then w2w_scheduler_names in their order (a test compares them); and for people. */
extern const char *const w2w_rendering_schedulers[];
extern const char *const w2w_rendering_scheduler_labels[];

/* Labels of w2w_generator_names, in their order. */
extern const char *const w2w_rendering_generator_labels[];

/* The seed of a job that shows an identity which there is already. */
#define W2W_PICTURE_SEED_PARAMETER                                                                 \
    {                                                                                              \
        .name = "seed", .type = W2W_PARAMETER_SEED, .minimum = -1, .maximum = W2W_SEED_MAX,        \
        .number = -1, .label = N_("See_d"),                                                        \
        .blurb = N_("Number that decides the composition; −1: that of the identity's own "       \
                    "picture, random where there is none."),                                       \
    }

/* Words and numbers of a rendering. */
#define W2W_RENDERING_BASIC_PARAMETERS                                                             \
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
    {                                                                                              \
        .name = "guidance-scale", .type = W2W_PARAMETER_DOUBLE, .flags = W2W_PARAMETER_FROM_WORLD, \
        .maximum = 30.0, .label = N_("_Guidance scale"),                                           \
        .blurb = N_("How strongly the prompt is followed: 1 is no guidance and twice as fast; "    \
                    "0: the world's own."),                                                        \
    }

/* A picture to start from. */
#define W2W_RENDERING_INIT_PARAMETERS                                                              \
    {                                                                                              \
        .name = "init-image",                                                                      \
        .type = W2W_PARAMETER_PICTURE,                                                             \
        .label = N_("Start from pi_cture"),                                                        \
        .blurb = N_("A picture that is changed instead of noise, scaled to width and height."),    \
    },                                                                                             \
    {                                                                                              \
        .name = "strength", .type = W2W_PARAMETER_DOUBLE,                                          \
        .flags = W2W_PARAMETER_FILES_ONLY, /* as init-image, a file */                             \
            .maximum = 1.0, .number = 0.8, .label = N_("St_rength"),                               \
        .blurb = N_("How much of the picture to start from is changed: little of it near 0, "      \
                    "all of it with 1."),                                                          \
    }

/* How it is sampled, and what is added to the model. */
#define W2W_RENDERING_SAMPLER_PARAMETERS                                                           \
    {                                                                                              \
        .name = "rng",                                                                             \
        .type = W2W_PARAMETER_CHOICE,                                                              \
        .string = "cpu",                                                                           \
        .choices = w2w_generator_names,                                                            \
        .choice_labels = w2w_rendering_generator_labels,                                           \
        .label = N_("Random num_bers"),                                                            \
        .blurb = N_("Whose random numbers a seed means: those that PyTorch makes on the "          \
                    "processor, or on a graphics card."),                                          \
    },                                                                                             \
        {                                                                                          \
            .name = "lora",                                                                        \
            .type = W2W_PARAMETER_LORAS,                                                           \
            .minimum = -W2W_RENDERING_MAX_LORA_STRENGTH,                                           \
            .maximum = W2W_RENDERING_MAX_LORA_STRENGTH,                                            \
            .label = N_("LoR_As"),                                                                 \
            .blurb = N_("A LoRA that is added to the model, of any kind and rank, with its "       \
                        "strength; several add up."),                                              \
        },                                                                                         \
    {                                                                                              \
        .name = "scheduler", .type = W2W_PARAMETER_CHOICE, .flags = W2W_PARAMETER_FROM_WORLD,      \
        .string = "world", .choices = w2w_rendering_schedulers,                                    \
        .choice_labels = w2w_rendering_scheduler_labels, .label = N_("Sched_uler"),                \
        .blurb = N_("How noise becomes a picture; world: the world's own."),                       \
    }

/* The tail of a job's table: all of them. */
#define W2W_RENDERING_PARAMETERS                                                                   \
    W2W_RENDERING_BASIC_PARAMETERS, W2W_RENDERING_INIT_PARAMETERS, W2W_RENDERING_SAMPLER_PARAMETERS

/* Of a job that makes identities: they may be wanted without their pictures. */
#define W2W_NO_PICTURE_PARAMETER                                                                   \
    {                                                                                              \
        .name = "no-picture", .type = W2W_PARAMETER_SWITCH, .flags = W2W_PARAMETER_FILES_ONLY,     \
        .label = N_("N_o picture"),                                                                \
        .blurb = N_("Make the identity alone, without the time that its picture takes."),          \
    }

/*
 * The IDENTITY `name` of the values, checked against the world's space. W2W_ERROR_USAGE where it is
 * missing or the world has no space, W2W_ERROR_FORMAT, W2W_ERROR_MISMATCH.
 */
W2wIdentity *w2w_rendering_get_identity(W2wWorld *world, const W2wValues *values, const char *name,
                                        GError **error);

/*
 * The IDENTITIES `name` of the values, in their order and checked in the same way: an array of
 * W2wIdentity (owned by the array) and one of as many doubles. Both are empty where none was given.
 */
gboolean w2w_rendering_get_identities(W2wWorld *world, const W2wValues *values, const char *name,
                                      GPtrArray **identities, GArray **weights, GError **error);

/* A picture's settings, with what they point at. Strings belong to values and card. */
typedef struct {
    W2wRenderOptions options; /* may be changed before the picture is made */
    /*< private >*/
    W2wPicture *init_picture;
    char *init_fingerprint; /* SHA-256 of the file */
    W2wRenderLora *loras;
    char *message; /* what the user should know about the settings, or NULL */
} W2wRendering;
void w2w_rendering_clear(W2wRendering *rendering);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wRendering, w2w_rendering_clear)

/*
 * The values where they were given, else the card's; the seed is 0. `identity` (borrowed) may be
 * NULL: the base model, whose own words are the class prompt. A card that names no scheduler leaves
 * it to the model's own scheduler_config.json, and where that is none of ours to PNDM, with a
 * message. A table without the init parameters has no picture to start from. W2W_ERROR_UNSUPPORTED
 * for a card whose scheduler we do not have; errors of a picture to start from.
 */
gboolean w2w_rendering_init(W2wRendering *rendering, W2wWorld *world, const W2wValues *values,
                            const W2wIdentity *identity, GError **error);

/* Of a job whose table has no W2W_RENDERING_PARAMETERS: all of them are the world's own. */
gboolean w2w_rendering_init_of_world(W2wRendering *rendering, W2wWorld *world,
                                     const W2wIdentity *identity, GError **error);

/* Can the LoRAs be read? For a job's check(): before a model is opened. */
gboolean w2w_rendering_check_files(const W2wRendering *rendering, GError **error);

/* Both, for a job that has nothing else to do with the settings. */
gboolean w2w_rendering_check(W2wWorld *world, const W2wValues *values, GError **error);

/*
 * "seed" of the values; left out, that of the recipe (the picture that it was made with, so that
 * before and after have one composition), or one drawn at random (32 bits: torch's generator takes
 * no more).
 */
guint64 w2w_rendering_get_seed(const W2wValues *values, JsonObject *recipe);

/*
 * The result of a job that has made `identity`: rendered (unless the job has "no-picture" and it is
 * on), described, and as bytes. `recipe`: from w2w_recipe_new(), with the job's own members and
 * "name"; the picture's settings are added. The identity gets recipe and fingerprints; its
 * model_fingerprint, where the job has set it, is that of the identity which it was made from, and
 * leads to a message where it is of another model.
 */
W2wJobResult *w2w_rendering_make_result(W2wPipeline *pipeline, const W2wValues *values,
                                        const W2wJob *job, W2wIdentity *identity,
                                        JsonObject *recipe, guint64 seed,
                                        const W2wProgress *progress, GError **error);

/* The same with settings of the job's own; options.identity need not be the identity. */
W2wJobResult *w2w_rendering_make_result_of(W2wPipeline *pipeline, const W2wValues *values,
                                           const W2wJob *job, const W2wRendering *rendering,
                                           W2wIdentity *identity, JsonObject *recipe,
                                           const W2wProgress *progress, GError **error);

/*
 * The result of a job that shows an identity which there is already (options.identity; NULL: the
 * base model): without identity and without a name, which the job adds.
 */
W2wJobResult *w2w_rendering_make_picture(W2wPipeline *pipeline, const W2wRendering *rendering,
                                         JsonObject *recipe, const W2wProgress *progress,
                                         GError **error);

/*
 * The two halves of that, for a job that makes its pictures by itself: what a picture was made
 * with is added to `recipe`, and what the user should know about it to `message`; and the result
 * without a picture.
 */
void w2w_rendering_describe(W2wPipeline *pipeline, const W2wRendering *rendering,
                            JsonObject *recipe, char **message);
W2wJobResult *w2w_rendering_make_identity(W2wPipeline *pipeline, W2wIdentity *identity,
                                          JsonObject *recipe, guint64 seed, GError **error);

/* Appends a sentence to a result's message (which may be NULL). */
void w2w_message_append(char **message, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_END_DECLS
