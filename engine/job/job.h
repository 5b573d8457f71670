/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jobs: what the program can do for a person, declared once and run by the command line
 * in its own process, by the worker for GIMP, from the same table.
 *
 *   sample   new identities and their pictures
 *   edit     an identity changed along directions and components, and its picture
 *   render   an identity (or the base model) under a prompt
 *   edit-picture
 *            a picture of an identity changed in the same way
 *   project  a LoRA from elsewhere as an identity, and its picture
 *   export   an identity as a LoRA for other programs
 *   invert   a person sought in a picture, as an identity
 *   dreambooth
 *            a LoRA trained from pictures of one person, and the identity nearest to it
 *   mix, strip, direction, pick
 *            identities averaged; one along a direction; a direction from two groups; a person of
 *            the dataset
 *
 * One file per job holds its table of parameters and what it does.
 */
#pragma once

#include "engine/job/parameter.h"
#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

/* A file that a job made whole. */
typedef struct {
    char *name; /* "": the output path itself; else a name in the folder that it names */
    GBytes *bytes;
} W2wJobFile;
W2wJobFile *w2w_job_file_new(const char *name, GBytes *bytes /* taken over */);
void w2w_job_file_free(W2wJobFile *file);

/* One result of a job. */
typedef struct {
    W2wPicture *picture; /* NULL where the job makes none */
    GBytes *identity;    /* an identity file, or NULL (base model) */
    guint64 seed;        /* what the picture was made with, drawn by the job if it was not given */
    char *name;          /* short, for a layer: "Person 42", "Person 42: Young −0.8" */
    char *recipe;        /* JSON object: the job with every value, the seed included; or NULL */
    char *message;       /* sentences that the user should read, or NULL */
    char *report;        /* JSON object: what was found, for people and scripts; or NULL */
    GPtrArray *files;    /* of W2wJobFile, which it frees; or NULL */
    char *stem;          /* name of its files where a job has several results ("frame-03");
                            NULL: "person-<seed>" */

    /* Of a search that was stopped (W2wJob.resumes_from), for who has two of the same: */
    double loss;   /* how badly this explains what it was sought in; 0: too early to know */
    guint n_steps; /* that were done */
} W2wJobResult;
void w2w_job_result_free(W2wJobResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wJobResult, w2w_job_result_free)

/* Called as each result is ready; takes it over. */
typedef void (*W2wJobResultFunc)(W2wJobResult *result, gpointer user_data);

typedef struct {
    const char *name;  /* "sample": sub-command, procedure plug-in-w2w-sample */
    const char *label; /* "_Sample Identities…", translatable */
    const char *blurb; /* one sentence, translatable */
    const char *help;  /* a paragraph, translatable */
    const W2wParameter *parameters;
    guint n_parameters;
    const char *argument;      /* the parameter that a command line's one word beside options fills
                                  (w2w project FILE), or NULL */
    const char *argument_word; /* what stands for it in the synopsis; NULL: "FILE" */
    gboolean no_picture;       /* no result has one: nothing for a front-end of pictures */

    /*
     * Of a job that seeks for long, the IDENTITY from which it can go on, or NULL. Cancelled, such
     * a job may hand out the best that it had found: a result with an identity and no picture. It
     * is good for this parameter as long as the values of `resumes_for` (names, NULL terminated:
     * what was sought in) are the same.
     */
    const char *resumes_from;
    const char *const *resumes_for;

    /*
     * Everything about the values that can be found wrong without a model: what is missing, an
     * unknown direction, an identity of another space. Quick, so that a front-end may ask before
     * it loads anything; run() begins with it.
     */
    gboolean (*check)(W2wWorld *world, const W2wValues *values, GError **error);

    /*
     * Results that were handed out stay valid when a later one fails or the job is cancelled
     * (G_IO_ERROR_CANCELLED).
     */
    gboolean (*run)(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error);
} W2wJob;

/* All of them, in the order of the menus; NULL terminated. */
extern const W2wJob *const w2w_jobs[];
const W2wJob *w2w_job_lookup(const char *name); /* NULL where there is none */

/* A PICTURE of this name is what a job works on, or which part of it (white: inside). */
#define W2W_JOB_IMAGE "image"
#define W2W_JOB_MASK  "mask"

/*
 * A SWITCH (FILES_ONLY) of this name leaves the picture to the front-end: the result is only the
 * region that was made anew, and its report says where that lies, "box": [x, y, width, height].
 */
#define W2W_JOB_REGION_ONLY "region-only"

/*
 * The rule of front-ends that have layers and generated dialogs but no choice of files yet
 * (GIMP's):
 *
 * - A parameter is shown unless it is a file that no layer has: PATH, IDENTITIES, LORAS, PICTURES,
 *   each IDENTITY but the first and the one that the job resumes from, and each PICTURE but
 *   W2W_JOB_IMAGE and W2W_JOB_MASK are left out, at their defaults, and so is what is FILES_ONLY.
 * - What is shown and a file is the layer's (w2w_job_takes_from_layer()): its identity, its pixels,
 *   the selection in its extent. It is no argument.
 * - A job is shown unless its results have no picture or it insists on something left out.
 */
gboolean w2w_job_shows_parameter(const W2wJob *job, const W2wParameter *parameter);
gboolean w2w_job_takes_from_layer(const W2wJob *job, const W2wParameter *parameter);
gboolean w2w_job_is_shown(const W2wJob *job);

/* One per file: sample.c, edit.c … */
extern const W2wJob w2w_sample_job, w2w_edit_job, w2w_render_job, w2w_project_job, w2w_export_job;
extern const W2wJob w2w_edit_picture_job;
extern const W2wJob w2w_dreambooth_job;
extern const W2wJob w2w_mix_job, w2w_strip_job, w2w_direction_job, w2w_pick_job;
extern const W2wJob w2w_invert_job;

G_END_DECLS
