/* SPDX-License-Identifier: GPL-3.0-or-later */
/* render: an identity, or the base model, under a prompt. */
#include "engine/error.h"
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
    {
        .name = "base-identity",
        .type = W2W_PARAMETER_IDENTITY,
        .label = N_("Ba_se identity"),
        .blurb = N_("An identity for the composition: it is rendered first, and from a timestep on "
                    "the identity to show, which then decides about the details."),
    },
    {
        .name = "from-timestep",
        .type = W2W_PARAMETER_DOUBLE,
        .flags = W2W_PARAMETER_FILES_ONLY, /* a layer has no base identity */
        .maximum = W2W_RENDERING_MAX_TIMESTEP,
        .number = 700.0,
        .label = N_("_From timestep"),
        .blurb = N_("Where the base identity ends, from 1000 (at once) to 0 (never): the timestep "
                    "from which the identity to show is rendered."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

/* What the run needs, and what can be wrong without a model. */
typedef struct {
    W2wIdentity *identity, *base; /* NULL: none */
    W2wRendering rendering;
} Render;

static void render_clear(Render *render)
{
    g_clear_pointer(&render->identity, w2w_identity_free);
    g_clear_pointer(&render->base, w2w_identity_free);
    w2w_rendering_clear(&render->rendering);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Render, render_clear)

/* TRUE and NULL where none was given. */
static gboolean get_identity(W2wWorld *world, const W2wValues *values, const char *name,
                             W2wIdentity **identity, GError **error)
{
    if (w2w_values_get_bytes(values, name) == NULL)
        return TRUE;
    *identity = w2w_rendering_get_identity(world, values, name, error);
    return *identity != NULL;
}

static gboolean render_init(Render *render, W2wWorld *world, const W2wValues *values,
                            GError **error)
{
    if (!w2w_values_check_required(values, error) ||
        !get_identity(world, values, "identity", &render->identity, error) ||
        !get_identity(world, values, "base-identity", &render->base, error))
        return FALSE;
    if (render->base != NULL && render->identity == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "base-identity gives the composition of an identity's picture: the identity "
                    "itself is missing.");
        return FALSE;
    }
    if (!w2w_rendering_init(&render->rendering, world, values, render->identity, error))
        return FALSE;
    render->rendering.options.base_identity = render->base;
    render->rendering.options.from_timestep = w2w_values_get_double(values, "from-timestep");
    return TRUE;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Render) render = {0};

    return render_init(&render, world, values, error) &&
           w2w_rendering_check_files(&render.rendering, error);
}

/* Who gave the composition: its name and recipe, and the file as it was. */
static void describe_base(const W2wIdentity *base, const W2wValues *values, JsonObject *recipe)
{
    g_autofree char *sha256 = g_compute_checksum_for_bytes(
        G_CHECKSUM_SHA256, w2w_values_get_bytes(values, "base-identity"));
    JsonObject *own = w2w_recipe_of_identity(base);
    g_autofree char *name = w2w_recipe_get_name(own);
    JsonObject *description = json_object_new();

    json_object_set_string_member(description, "name", name);
    json_object_set_string_member(description, "sha256", sha256);
    if (own != NULL)
        json_object_set_object_member(description, "recipe", own);
    json_object_set_object_member(recipe, "base-identity", description);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_auto(Render) render = {0};
    W2wRenderOptions *options = &render.rendering.options;
    g_autoptr(JsonObject) earlier = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    W2wJobResult *result;

    if (!render_init(&render, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    earlier = w2w_recipe_of_identity(render.identity);
    options->seed = w2w_rendering_get_seed(values, earlier);
    recipe = w2w_recipe_new(w2w_render_job.name, pipeline, options->seed, earlier);
    if (render.base != NULL)
        describe_base(render.base, values, recipe);
    result = w2w_rendering_make_picture(pipeline, &render.rendering, recipe, progress, error);
    if (result == NULL)
        return FALSE;
    if (render.identity != NULL) {
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
