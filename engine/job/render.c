/* SPDX-License-Identifier: GPL-3.0-or-later */
/* render: an identity, or the base model, under a prompt. */
#include "engine/formats/json_writer.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

static const W2wParameter parameters[] = {
    {
        .name = "identity",
        .type = W2W_PARAMETER_IDENTITY,
        .label = N_("Identit_y"),
        .blurb = N_("The identity to show; without one the base model renders somebody."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

/* Reads and checks the identity; TRUE and NULL where none was given. */
static gboolean get_identity(W2wWorld *world, const W2wValues *values, W2wIdentity **identity,
                             GError **error)
{
    if (w2w_values_get_bytes(values, "identity") == NULL) {
        *identity = NULL;
        return TRUE;
    }
    *identity = w2w_rendering_get_identity(world, values, error);
    return *identity != NULL;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_autoptr(W2wIdentity) identity = NULL;
    W2wRenderOptions options;

    return w2w_values_check_required(values, error) &&
           get_identity(world, values, &identity, error) &&
           w2w_rendering_get_options(values, w2w_world_get_card(world), identity, &options, error);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);
    W2wRenderOptions options;

    if (!w2w_values_check_required(values, error) ||
        !get_identity(world, values, &identity, error) ||
        !w2w_rendering_get_options(values, w2w_world_get_card(world), identity, &options, error))
        return FALSE;
    earlier = w2w_recipe_of_identity(identity);
    options.seed = w2w_rendering_get_seed(values, earlier);
    result->picture = w2w_pipeline_render(pipeline, &options, progress, error);
    if (result->picture == NULL)
        return FALSE;

    recipe = w2w_recipe_new(w2w_render_job.name, pipeline, options.seed, earlier);
    w2w_rendering_describe(&options, recipe);
    result->seed = options.seed;
    result->recipe = w2w_json_write_object(recipe);
    w2w_rendering_warn(pipeline, &options, identity, &result->message);
    if (identity != NULL) {
        result->identity = g_bytes_ref(w2w_values_get_bytes(values, "identity"));
        result->name = w2w_recipe_get_name(earlier);
    } else {
        result->name = g_strdup_printf("Base model %" G_GUINT64_FORMAT, options.seed);
    }
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_render_job = {
    .name = "render",
    .label = N_("_Render Identity…"),
    .blurb = N_("Show an identity under a prompt."),
    .help = N_("Renders a picture of an identity under a prompt, at any size; without an identity "
               "the base model renders somebody, which shows what the world itself can do."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .check = check,
    .run = run,
};
