/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * edit: an identity changed along directions and components, and its picture with the seed of
 * the picture before, so that the two differ by the edit alone.
 */
#include "engine/w2w/edit.h"
#include "engine/error.h"
#include "engine/job/changed_identity.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

static const W2wParameter parameters[] = {
    {
        .name = "identity",
        .type = W2W_PARAMETER_IDENTITY,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = N_("Identit_y"),
        .blurb = N_("The identity to change."),
    },
    W2W_CHANGE_PARAMETERS,
    {
        .name = "from-timestep",
        .type = W2W_PARAMETER_DOUBLE,
        .maximum = W2W_RENDERING_MAX_TIMESTEP,
        .number = W2W_RENDERING_MAX_TIMESTEP,
        .label = N_("_From timestep"),
        .blurb = N_("Keeps the composition: down to this timestep the identity as it was is "
                    "rendered, and from there the new one; 1000: the new one from the beginning."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_NO_PICTURE_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

/* What the run needs, and what can be wrong without a model. */
typedef struct {
    W2wSpace *space; /* the world's */
    W2wIdentity *before, *after;
    W2wEdits *edits;
    W2wRendering rendering; /* of the identity after the edit */
} Edit;

static void edit_clear(Edit *edit)
{
    g_clear_pointer(&edit->before, w2w_identity_free);
    g_clear_pointer(&edit->after, w2w_identity_free);
    g_clear_pointer(&edit->edits, w2w_edits_free);
    w2w_rendering_clear(&edit->rendering);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Edit, edit_clear)

static gboolean edit_init(Edit *edit, W2wWorld *world, const W2wValues *values, GError **error)
{
    double from_timestep;

    if (!w2w_values_check_required(values, error))
        return FALSE;
    edit->before = w2w_rendering_get_identity(world, values, "identity", error);
    if (edit->before == NULL)
        return FALSE;
    edit->space = w2w_world_get_space(world);
    edit->edits = w2w_edits_parse(w2w_values_get_string(values, "edits"), error);
    if (edit->edits == NULL || !w2w_changed_identity_check_names(edit->space, edit->edits, error))
        return FALSE;
    edit->after = w2w_changed_identity_new(edit->space, edit->before, edit->edits,
                                           w2w_values_get_choice(values, "metric"), error);
    if (edit->after == NULL ||
        !w2w_rendering_init(&edit->rendering, world, values, edit->after, error))
        return FALSE;
    from_timestep = w2w_values_get_double(values, "from-timestep");
    if (from_timestep < W2W_RENDERING_MAX_TIMESTEP) {
        edit->rendering.options.base_identity = edit->before;
        edit->rendering.options.from_timestep = from_timestep;
    }
    return TRUE;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Edit) edit = {0};

    return edit_init(&edit, world, values, error) &&
           w2w_rendering_check_files(&edit.rendering, error);
}

static void describe(const Edit *edit, const W2wValues *values, JsonObject *recipe)
{
    g_autofree char *edits = w2w_edits_to_string(edit->edits);

    json_object_set_string_member(recipe, "edits", edits);
    json_object_set_string_member(recipe, "metric",
                                  w2w_metric_names[w2w_values_get_choice(values, "metric")]);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_auto(Edit) edit = {0};
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autofree char *name = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    guint64 seed;

    if (!edit_init(&edit, world, values, error))
        return FALSE;
    earlier = w2w_recipe_of_identity(edit.before);
    edit.rendering.options.seed = seed = w2w_rendering_get_seed(values, earlier);
    name = w2w_changed_identity_name(w2w_world_get_card(world), edit.edits, earlier);
    recipe = w2w_recipe_new(w2w_edit_job.name, pipeline, seed, earlier);
    json_object_set_string_member(recipe, "name", name);
    describe(&edit, values, recipe);
    result = w2w_rendering_make_result_of(pipeline, values, &w2w_edit_job, &edit.rendering,
                                          edit.after, recipe, progress, error);
    if (result == NULL)
        return FALSE;
    if (w2w_edits_are_empty(edit.edits))
        w2w_message_append(&result->message,
                           "No direction or component was set, so the identity is unchanged.");
    if (!w2w_changed_identity_warn(world, edit.before, edit.after, &result->message, error))
        return FALSE;
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_edit_job = {
    .name = "edit",
    .label = N_("_Edit Identity…"),
    .blurb = N_("Change an identity along directions and components."),
    .help = N_("Changes an identity along named directions, whose settings are in units of how far "
               "the people of the space reach (1: to the far end from the average), and along "
               "components, in standard deviations. Directions under protection keep "
               "their place. All settings are taken together, in no order. The result is a new "
               "identity and its picture."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .check = check,
    .run = run,
};
