/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * edit-picture: a picture of somebody changed as an identity is, with its composition kept.
 *
 * The identity is rendered twice from the same noise, made of the picture: as it is, and changed.
 * What differs between the two goes into the picture, where the mask is. So what the edit does not
 * touch stays as it was, with every detail that the model's size and its VAE lose, and an edit of
 * nothing changes nothing.
 *
 * The noise is random by default, at each step such that the unchanged identity leads back to the
 * picture: more of an edit is seen so than with the noise that DDIM inversion finds, which holds
 * on to the picture (glasses do not appear, a bald head keeps its hair).
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/changed_identity.h"
#include "engine/job/job.h"
#include "engine/job/part_progress.h"
#include "engine/job/picture_parameters.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/memory.h"
#include "engine/models/model_parts.h"
#include "engine/picture_paste.h"

#define N_PREDICTIONS 3    /* of each step back to noise */
#define LEAST_SHIFT   0.05 /* of a score, to be reported */

typedef enum {
    METHOD_NOISE,
    METHOD_DDIM,
} Method;

static const char *const method_names[] = {"noise", "ddim", NULL};
static const char *const method_labels[] = {N_("Random noise"),
                                            N_("The picture's own noise (DDIM inversion)"), NULL};
static const W2wParameter parameters[] = {
    {
        .name = "identity",
        .type = W2W_PARAMETER_IDENTITY,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = N_("Identit_y"),
        .blurb = N_("Who is in the picture: the identity that inverting it gave."),
    },
    W2W_PICTURE_PARAMETERS,
    W2W_CHANGE_PARAMETERS,
    {
        .name = "method",
        .type = W2W_PARAMETER_CHOICE,
        .string = "noise",
        .choices = method_names,
        .choice_labels = method_labels,
        .label = N_("Begin _from"),
        .blurb = N_("What both renderings start from: ddim, the noise that leads to this picture, "
                    "or the picture with random noise."),
    },
    {
        .name = "strength",
        .type = W2W_PARAMETER_DOUBLE,
        .minimum = 0.01,
        .maximum = 1.0,
        .number = 1.0,
        .label = N_("Stre_ngth"),
        .blurb =
            N_("How far back to noise: with 1 everything can change, with little only the finest "
               "details. At least one step is done; 0.01 is the least."),
    },
    {
        .name = "keep-colours",
        .type = W2W_PARAMETER_SWITCH,
        .label = N_("_Keep the edit's colours"),
        .blurb = N_("Do not match the colours at the seam of the mask."),
    },
    {
        .name = W2W_JOB_REGION_ONLY,
        .type = W2W_PARAMETER_SWITCH,
        .flags = W2W_PARAMETER_FILES_ONLY,
        .label = N_("Re_gion only"),
        .blurb = N_("Make only the region that the model saw, without the mask, to be put into the "
                    "picture elsewhere; the report says where it lies."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_RENDERING_BASIC_PARAMETERS,
    W2W_RENDERING_SAMPLER_PARAMETERS,
};

/* What the run needs, and what can be wrong without a model. */
typedef struct {
    W2wSpace *space; /* the world's */
    W2wIdentity *before, *after;
    W2wEdits *edits;
    W2wRendering rendering; /* of `after` */
    W2wPictureInput input;
    Method method;
    double strength, timestep; /* how far back, and to where */
} EditPicture;

static void edit_picture_clear(EditPicture *edit)
{
    g_clear_pointer(&edit->before, w2w_identity_free);
    g_clear_pointer(&edit->after, w2w_identity_free);
    g_clear_pointer(&edit->edits, w2w_edits_free);
    w2w_rendering_clear(&edit->rendering);
    w2w_picture_input_clear(&edit->input);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EditPicture, edit_picture_clear)

/* Of however few steps, one is left; by a little more than 1 / n, whose product with n may be less
 * than 1. */
static double get_least_strength(guint n_steps)
{
    return MIN((1.0 + 1e-9) / n_steps, 1.0);
}

/* Where the way back ends, which says too whether there is any. */
static gboolean find_timestep(EditPicture *edit, W2wWorld *world, GError **error)
{
    g_autofree char *path = w2w_model_scheduler_path(w2w_world_get_model_directory(world));
    g_autoptr(W2wScheduler) scheduler =
        w2w_scheduler_new_from_file(W2W_SCHEDULER_DDIM, path, error);
    guint n_timesteps;

    edit->strength = MAX(edit->strength, get_least_strength(MAX(edit->rendering.options.steps, 1)));
    if (scheduler == NULL ||
        !w2w_scheduler_start_from(scheduler, edit->rendering.options.steps, edit->strength, error))
        return FALSE;
    edit->timestep = w2w_scheduler_get_timesteps(scheduler, &n_timesteps)[0];
    return TRUE;
}

/* Both methods go along DDIM's timesteps. */
static gboolean choose_scheduler(EditPicture *edit, const W2wValues *values, GError **error)
{
    W2wSchedulerKind *scheduler = &edit->rendering.options.scheduler;

    if (w2w_values_get_choice(values, "scheduler") > 0 && *scheduler != W2W_SCHEDULER_DDIM) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A picture is edited along the timesteps of the scheduler ddim: leave the "
                    "scheduler %s out.",
                    w2w_scheduler_names[*scheduler]);
        return FALSE;
    }
    *scheduler = W2W_SCHEDULER_DDIM;
    return TRUE;
}

static gboolean edit_picture_init(EditPicture *edit, W2wWorld *world, const W2wValues *values,
                                  GError **error)
{
    if (w2w_values_get_bytes(values, "identity") == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The parameter identity is missing: who is in the picture. Invert the picture "
                    "first; that gives the identity to edit it with.");
        return FALSE;
    }
    if (!w2w_values_check_required(values, error))
        return FALSE;
    edit->before = w2w_rendering_get_identity(world, values, "identity", error);
    if (edit->before == NULL)
        return FALSE;
    edit->space = w2w_world_get_space(world);
    edit->method = w2w_values_get_choice(values, "method");
    edit->strength = w2w_values_get_double(values, "strength");
    edit->edits = w2w_edits_parse(w2w_values_get_string(values, "edits"), error);
    if (edit->edits == NULL || !w2w_changed_identity_check_names(edit->space, edit->edits, error))
        return FALSE;
    edit->after = w2w_changed_identity_new(edit->space, edit->before, edit->edits,
                                           w2w_values_get_choice(values, "metric"), error);
    return edit->after != NULL &&
           w2w_rendering_init(&edit->rendering, world, values, edit->after, error) &&
           choose_scheduler(edit, values, error) && find_timestep(edit, world, error) &&
           w2w_picture_input_init(&edit->input, values, (guint)edit->rendering.options.width,
                                  (guint)edit->rendering.options.height, error);
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(EditPicture) edit = {0};

    return edit_picture_init(&edit, world, values, error) &&
           w2w_rendering_check_files(&edit.rendering, error);
}

/* To the bit: then nothing needs to be rendered to know what comes out. */
static gboolean is_unchanged(const EditPicture *edit)
{
    return edit->after->n_coefficients == edit->before->n_coefficients &&
           memcmp(edit->after->coefficients, edit->before->coefficients,
                  edit->after->n_coefficients * sizeof *edit->after->coefficients) == 0;
}

/* Both renderings, (height, width, 3). */
typedef struct {
    float *before, *after;
} Pair;

static void pair_clear(Pair *pair)
{
    w2w_aligned_free(pair->before);
    w2w_aligned_free(pair->after);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

/* Both from the noise that leads to the crop. */
static gboolean render_inverted(const EditPicture *edit, W2wPipeline *pipeline,
                                W2wRenderOptions *options, Pair *pair, const W2wProgress *progress,
                                GError **error)
{
    W2wProgressPart part = {.whole = progress, .count = 3};
    const W2wProgress part_progress = w2w_progress_part(&part);
    W2W_AUTO_ALIGNED float *noised = NULL;

    options->identity = edit->before;
    noised = w2w_pipeline_invert_ddim(pipeline, options, N_PREDICTIONS, &part_progress, error);
    if (noised == NULL)
        return FALSE;
    options->init_picture = NULL;
    options->noised_latents = noised;
    part.index++;
    pair->before = w2w_pipeline_render_float(pipeline, options, &part_progress, error);
    if (pair->before == NULL)
        return FALSE;
    part.index++;
    options->identity = edit->after;
    pair->after = w2w_pipeline_render_float(pipeline, options, &part_progress, error);
    return pair->after != NULL;
}

static gboolean render_pair(const EditPicture *edit, W2wPipeline *pipeline, const W2wPicture *crop,
                            Pair *pair, const W2wProgress *progress, GError **error)
{
    W2wRenderOptions options = edit->rendering.options;

    options.init_picture = crop;
    options.strength = edit->strength;
    switch (edit->method) {
    case METHOD_NOISE:
        return w2w_pipeline_change_picture(pipeline, &options, edit->before, &pair->before,
                                           &pair->after, progress, error);
    case METHOD_DDIM:
        return render_inverted(edit, pipeline, &options, pair, progress, error);
    }
    g_assert_not_reached();
}

/* The whole picture, or the box alone. */
static W2wPicture *make_picture(const EditPicture *edit, W2wPipeline *pipeline,
                                const W2wValues *values, const W2wProgress *progress,
                                GError **error)
{
    const W2wRenderOptions *options = &edit->rendering.options;
    const gboolean region_only = w2w_values_get_switch(values, W2W_JOB_REGION_ONLY);
    const W2wPictureInput *input = &edit->input;
    const W2wPasteOptions paste = {
        .box = input->box,
        .mask = input->given_mask,
        .match_colours = !w2w_values_get_switch(values, "keep-colours"),
    };
    W2wChange change = {.width = (guint)options->width, .height = (guint)options->height};
    g_auto(Pair) pair = {NULL, NULL};
    W2W_AUTO_ALIGNED float *crop_image = NULL;
    g_autoptr(W2wPicture) crop = NULL;
    g_autoptr(W2wPicture) picture = NULL;

    if (is_unchanged(edit))
        return region_only ? w2w_crop_cut(input->picture, &input->box, (guint)input->box.width,
                                          (guint)input->box.height, error)
                           : w2w_picture_copy(input->picture, error);
    crop = w2w_crop_cut(input->picture, &input->box, change.width, change.height, error);
    if (crop == NULL || !render_pair(edit, pipeline, crop, &pair, progress, error))
        return NULL;
    crop_image = w2w_picture_to_image(crop, options->width, options->height, error);
    if (crop_image == NULL)
        return NULL;
    change.crop = crop_image;
    change.before = pair.before;
    change.after = pair.after;
    if (region_only)
        return w2w_picture_paste_region(input->picture, &change, &paste, error);
    picture = w2w_picture_copy(input->picture, error);
    return picture != NULL && w2w_picture_paste(picture, &change, &paste, error)
               ? g_steal_pointer(&picture)
               : NULL;
}

static void describe(const EditPicture *edit, const W2wValues *values, JsonObject *recipe)
{
    g_autofree char *edits = w2w_edits_to_string(edit->edits);

    w2w_picture_input_describe(&edit->input, recipe);
    json_object_set_string_member(recipe, "edits", edits);
    json_object_set_string_member(recipe, "metric",
                                  w2w_metric_names[w2w_values_get_choice(values, "metric")]);
    json_object_set_string_member(recipe, "method", method_names[edit->method]);
    json_object_set_double_member(recipe, "strength", edit->strength);
    json_object_set_boolean_member(recipe, "keep-colours",
                                   w2w_values_get_switch(values, "keep-colours"));
}

/* What was asked for, and what else moved. */
static gboolean report_scores(const EditPicture *edit, const W2wWorldCard *card, JsonObject *report,
                              GError **error)
{
    const char *const *names = w2w_space_get_direction_names(edit->space);
    g_autofree W2wAttributeShift *shifts = NULL;
    JsonArray *moved;

    if (names[0] == NULL)
        return TRUE;
    shifts =
        w2w_edits_get_shifts(edit->space, edit->before->coefficients, edit->before->n_coefficients,
                             edit->after->coefficients, edit->after->n_coefficients, error);
    if (shifts == NULL)
        return FALSE;
    names = w2w_space_get_direction_names(edit->space);
    moved = json_array_new();
    for (guint i = 0; names[i] != NULL; i++)
        if (fabs(shifts[i].after - shifts[i].before) >= LEAST_SHIFT) {
            JsonObject *row = json_object_new();

            json_object_set_string_member(row, "name", names[i]);
            json_object_set_string_member(row, "label", w2w_direction_label(card, names[i]));
            json_object_set_double_member(row, "before", round(shifts[i].before * 1000) / 1000);
            json_object_set_double_member(row, "after", round(shifts[i].after * 1000) / 1000);
            json_array_add_object_element(moved, row);
        }
    json_object_set_array_member(report, "moved", moved);
    return TRUE;
}

static char *make_report(const EditPicture *edit, W2wPipeline *pipeline, GError **error)
{
    g_autoptr(JsonObject) report = json_object_new();
    const W2wWorldCard *card = w2w_world_get_card(w2w_pipeline_get_world(pipeline));

    json_object_set_array_member(report, "box", w2w_box_to_json(&edit->input.box));
    json_object_set_boolean_member(report, "unchanged", is_unchanged(edit));
    json_object_set_string_member(report, "method", method_names[edit->method]);
    json_object_set_double_member(report, "strength", edit->strength);
    json_object_set_double_member(report, "timestep", edit->timestep);
    if (!report_scores(edit, card, report, error))
        return NULL;
    return w2w_json_write_object(report);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_auto(EditPicture) edit = {0};
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autofree char *name = NULL;
    g_autofree char *message = NULL;
    g_autoptr(W2wPicture) picture = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    guint64 seed;

    if (!edit_picture_init(&edit, world, values, error))
        return FALSE;
    earlier = w2w_recipe_of_identity(edit.before);
    edit.rendering.options.seed = seed = w2w_rendering_get_seed(values, earlier);
    picture = make_picture(&edit, pipeline, values, progress, error);
    if (picture == NULL)
        return FALSE;
    name = w2w_changed_identity_name(w2w_world_get_card(world), edit.edits, earlier);
    recipe = w2w_recipe_new(w2w_edit_picture_job.name, pipeline, seed, earlier);
    json_object_set_string_member(recipe, "name", name);
    describe(&edit, values, recipe);
    w2w_rendering_describe(pipeline, &edit.rendering, recipe, &message);
    result = w2w_rendering_make_identity(pipeline, edit.after, recipe, seed, error);
    if (result == NULL)
        return FALSE;
    result->picture = g_steal_pointer(&picture);
    if (message != NULL)
        w2w_message_append(&result->message, "%s", message);
    if (is_unchanged(&edit))
        w2w_message_append(&result->message,
                           "No direction or component was set, so the picture is unchanged.");
    if (!w2w_changed_identity_warn(world, edit.before, edit.after, &result->message, error))
        return FALSE;
    result->report = make_report(&edit, pipeline, error);
    if (result->report == NULL)
        return FALSE;
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_edit_picture_job = {
    .name = "edit-picture",
    .label = N_("Edit P_icture…"),
    .blurb = N_("Change who is in a picture, and keep the picture."),
    .help = N_("Changes the person in a picture along directions and components, as edit changes "
               "an identity, and keeps the composition: the identity is rendered as it is and "
               "changed, both from the same noise made of the picture, and what differs goes into "
               "the picture, at its own size, where the mask is. The identity comes from inverting "
               "the picture. Outside of the mask, and with all settings at 0, every pixel stays as "
               "it is."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .argument = W2W_JOB_IMAGE,
    .check = check,
    .run = run,
};
