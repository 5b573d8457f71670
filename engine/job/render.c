/* SPDX-License-Identifier: GPL-3.0-or-later */
/* render: an identity, or the base model, under a prompt. */
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
    *identity = w2w_rendering_get_identity(world, values, "identity", error);
    return *identity != NULL;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_autoptr(W2wIdentity) identity = NULL;

    return w2w_values_check_required(values, error) &&
           get_identity(world, values, &identity, error) &&
           w2w_rendering_check(world, values, error);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_auto(W2wRendering) rendering = {0};
    W2wJobResult *result;

    if (!w2w_values_check_required(values, error) ||
        !get_identity(world, values, &identity, error) ||
        !w2w_rendering_init(&rendering, world, values, identity, error))
        return FALSE;
    earlier = w2w_recipe_of_identity(identity);
    rendering.options.seed = w2w_rendering_get_seed(values, earlier);
    recipe = w2w_recipe_new(w2w_render_job.name, pipeline, rendering.options.seed, earlier);
    result = w2w_rendering_make_picture(pipeline, &rendering, recipe, progress, error);
    if (result == NULL)
        return FALSE;
    if (identity != NULL) {
        result->identity = g_bytes_ref(w2w_values_get_bytes(values, "identity"));
        result->name = w2w_recipe_get_name(earlier);
    } else {
        result->name = g_strdup_printf("Base model %" G_GUINT64_FORMAT, result->seed);
    }
    on_result(result, user_data);
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
