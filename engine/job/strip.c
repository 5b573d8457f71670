/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * strip: one identity along one direction or component, in steps; every frame with the same seed
 * and words, so that they differ by the setting alone, and at last all of them side by side.
 * The frame of setting 0 is the identity itself, to the bit.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/changed_identity.h"
#include "engine/job/job.h"
#include "engine/job/part_progress.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

#define MAX_FRAMES 64

static const W2wParameter parameters[] = {
    {
        .name = "identity",
        .type = W2W_PARAMETER_IDENTITY,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = N_("Identit_y"),
        .blurb = N_("The identity to change."),
    },
    {
        .name = "direction",
        .type = W2W_PARAMETER_STRING,
        .label = N_("Dire_ction"),
        .blurb = N_("The direction to go along, by its name, or #3 for the third component."),
    },
    {
        .name = "from",
        .type = W2W_PARAMETER_DOUBLE,
        .minimum = -10.0,
        .maximum = 10.0,
        .number = -1.0,
        .label = N_("_From"),
        .blurb = N_("Setting of the first frame: −1 is as far from the average as the people of "
                    "the space reach; of a component in standard deviations."),
    },
    {
        .name = "to",
        .type = W2W_PARAMETER_DOUBLE,
        .minimum = -10.0,
        .maximum = 10.0,
        .number = 1.0,
        .label = N_("T_o"),
        .blurb = N_("Setting of the last frame."),
    },
    {
        .name = "frames",
        .short_name = 'n',
        .type = W2W_PARAMETER_INT,
        .minimum = 2,
        .maximum = MAX_FRAMES,
        .number = 5,
        .label = N_("Fra_mes"),
        .blurb = N_("How many pictures, the first and the last included."),
    },
    {
        .name = "protect",
        .type = W2W_PARAMETER_STRING,
        .label = N_("Prot_ect"),
        .blurb = N_("Directions that shall not move, as Male,Chubby."),
    },
    {
        .name = "no-strip",
        .type = W2W_PARAMETER_SWITCH,
        .label = N_("_Leave out the strip"),
        .blurb = N_("Make the frames alone, without the picture that has all of them side by "
                    "side."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

typedef struct {
    W2wSpace *space; /* the world's */
    W2wIdentity *identity;
    const char *direction;
    double from, to;
    guint n_frames;
} Strip;

static void strip_clear(Strip *strip)
{
    g_clear_pointer(&strip->identity, w2w_identity_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Strip, strip_clear)

/* Symmetric, so that the middle of −1 … 1 is 0 and not nearly so. */
static double get_setting(const Strip *strip, guint frame)
{
    const double last = strip->n_frames - 1;

    return (strip->from * (last - frame) + strip->to * frame) / last;
}

static W2wEdits *make_edits(const Strip *strip, const W2wValues *values, double setting,
                            GError **error)
{
    const char *protect = w2w_values_get_string(values, "protect");
    const gboolean is_component = strip->direction[0] == '#';
    g_autoptr(W2wEdits) edits = w2w_edits_new();
    char digits[G_ASCII_DTOSTR_BUF_SIZE];
    g_autofree char *assignment = g_strconcat(strip->direction + is_component, "=",
                                              g_ascii_dtostr(digits, sizeof digits, setting), NULL);

    if (*protect != 0 && !w2w_edits_add_protected_list(edits, protect, error))
        return NULL;
    if (!(is_component ? w2w_edits_add_component(edits, assignment, error)
                       : w2w_edits_add_direction(edits, assignment, error)))
        return NULL;
    return g_steal_pointer(&edits);
}

static W2wIdentity *make_frame(const Strip *strip, const W2wValues *values, double setting,
                               char **edits_text, GError **error)
{
    g_autoptr(W2wEdits) edits = make_edits(strip, values, setting, error);

    if (edits == NULL || !w2w_changed_identity_check_names(strip->space, edits, error))
        return NULL;
    *edits_text = w2w_edits_to_string(edits);
    return w2w_changed_identity_new(strip->space, strip->identity, edits, W2W_METRIC_POPULATION,
                                    error);
}

static gboolean strip_init(Strip *strip, W2wWorld *world, const W2wValues *values, GError **error)
{
    if (!w2w_values_check_required(values, error))
        return FALSE;
    strip->identity = w2w_rendering_get_identity(world, values, "identity", error);
    if (strip->identity == NULL)
        return FALSE;
    strip->space = w2w_world_get_space(world);
    strip->direction = w2w_values_get_string(values, "direction");
    strip->from = w2w_values_get_double(values, "from");
    strip->to = w2w_values_get_double(values, "to");
    strip->n_frames = (guint)w2w_values_get_int(values, "frames");
    if (*strip->direction == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A strip needs the direction to go along: a name, or #3 for the third "
                    "component.");
        return FALSE;
    }
    if (strip->from == strip->to) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The first and the last frame have the same setting.");
        return FALSE;
    }
    return TRUE;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Strip) strip = {0};
    double ends[2];

    if (!strip_init(&strip, world, values, error))
        return FALSE;
    ends[0] = strip.from;
    ends[1] = strip.to;
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *text = NULL;
        g_autoptr(W2wIdentity) frame = make_frame(&strip, values, ends[i], &text, error);

        if (frame == NULL)
            return FALSE;
    }
    return w2w_rendering_check(world, values, error);
}

static W2wJobResult *render_frame(W2wPipeline *pipeline, const W2wValues *values,
                                  const Strip *strip, guint frame, JsonObject *earlier,
                                  guint64 seed, const W2wProgress *progress, GError **error)
{
    const double setting = get_setting(strip, frame);
    g_autofree char *edits = NULL;
    g_autoptr(W2wIdentity) identity = make_frame(strip, values, setting, &edits, error);
    g_autofree char *before = w2w_recipe_get_name(earlier);
    g_autofree char *name = NULL;
    g_autoptr(GString) label = g_string_new(NULL);
    g_autoptr(JsonObject) recipe = NULL;
    W2wJobResult *result;

    if (identity == NULL)
        return NULL;
    w2w_changed_identity_append_setting(label, strip->direction, setting);
    name = g_strconcat(before, strstr(before, ": ") != NULL ? ", " : ": ", label->str, NULL);
    recipe = w2w_recipe_new(w2w_strip_job.name, pipeline, seed, earlier);
    json_object_set_string_member(recipe, "name", name);
    json_object_set_string_member(recipe, "edits", edits);
    json_object_set_string_member(recipe, "metric", w2w_metric_names[W2W_METRIC_POPULATION]);
    result = w2w_rendering_make_result(pipeline, values, &w2w_strip_job, identity, recipe, seed,
                                       progress, error);
    if (result != NULL)
        result->stem = g_strdup_printf("frame-%02u", frame + 1);
    return result;
}

/* Puts a frame into its place; the strip is made with the first one. */
static gboolean add_to_strip(W2wPicture **whole, const W2wPicture *frame, guint index,
                             guint n_frames, GError **error)
{
    if (*whole == NULL)
        *whole = w2w_picture_new(frame->width * n_frames, frame->height, error);
    if (*whole == NULL)
        return FALSE;
    for (guint y = 0; y < frame->height; y++)
        memcpy((*whole)->pixels + ((gsize)y * (*whole)->width + (gsize)index * frame->width) * 3,
               frame->pixels + (gsize)y * frame->width * 3, (gsize)frame->width * 3);
    return TRUE;
}

/* All frames side by side, and what they have in common as a recipe. */
static W2wJobResult *make_strip(W2wPipeline *pipeline, const W2wValues *values, const Strip *strip,
                                JsonObject *earlier, guint64 seed, W2wPicture *picture)
{
    g_autofree char *before = w2w_recipe_get_name(earlier);
    g_autoptr(JsonObject) recipe = w2w_recipe_new(w2w_strip_job.name, pipeline, seed, earlier);
    const char *protect = w2w_values_get_string(values, "protect");
    W2wJobResult *result = g_new0(W2wJobResult, 1);

    result->picture = picture;
    result->seed = seed;
    result->name = g_strdup_printf("%s: %s", before, strip->direction);
    result->stem = g_strdup("strip");
    json_object_set_string_member(recipe, "name", result->name);
    json_object_set_string_member(recipe, "direction", strip->direction);
    json_object_set_double_member(recipe, "from", strip->from);
    json_object_set_double_member(recipe, "to", strip->to);
    json_object_set_int_member(recipe, "frames", strip->n_frames);
    if (*protect != 0)
        json_object_set_string_member(recipe, "protect", protect);
    result->recipe = w2w_json_write_object(recipe);
    return result;
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    const gboolean wants_strip = !w2w_values_get_switch(values, "no-strip");
    W2wProgressPart part = {.whole = progress};
    const W2wProgress part_progress = w2w_progress_part(&part);
    g_auto(Strip) strip = {0};
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(W2wPicture) whole = NULL;
    guint64 seed;

    if (!strip_init(&strip, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    earlier = w2w_recipe_of_identity(strip.identity);
    seed = w2w_rendering_get_seed(values, earlier);
    part.count = strip.n_frames;
    for (; part.index < part.count; part.index++) {
        W2wJobResult *frame = render_frame(pipeline, values, &strip, part.index, earlier, seed,
                                           &part_progress, error);

        if (frame == NULL)
            return FALSE;
        if (wants_strip && !add_to_strip(&whole, frame->picture, part.index, part.count, error)) {
            w2w_job_result_free(frame);
            return FALSE;
        }
        on_result(frame, user_data);
    }
    if (wants_strip)
        on_result(make_strip(pipeline, values, &strip, earlier, seed, g_steal_pointer(&whole)),
                  user_data);
    return TRUE;
}

const W2wJob w2w_strip_job = {
    .name = "strip",
    .label = N_("S_trip along a Direction…"),
    .blurb = N_("Show an identity along one direction, in steps."),
    .help = N_("Changes an identity along one direction or component in equal steps, and renders "
               "each with the same seed and words, so that they differ by the setting alone. Every "
               "frame is an identity with its picture; the last result has them all side by side."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .check = check,
    .run = run,
};
