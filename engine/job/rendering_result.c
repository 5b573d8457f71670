/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a job's identity and settings to what it hands out: picture, bytes, recipe, messages. */
#include <string.h>

#include "engine/formats/json_writer.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

/* The settings that it came to, under the names of the parameters. */
static void describe(const W2wRenderOptions *options, JsonObject *recipe)
{
    json_object_set_string_member(recipe, "prompt", options->prompt);
    json_object_set_string_member(recipe, "negative-prompt", options->negative_prompt);
    json_object_set_int_member(recipe, "width", options->width);
    json_object_set_int_member(recipe, "height", options->height);
    json_object_set_int_member(recipe, "steps", options->steps);
    json_object_set_double_member(recipe, "guidance-scale", options->guidance_scale);
    json_object_set_string_member(recipe, "scheduler", w2w_scheduler_names[options->scheduler]);
}

/* What the user should know about a picture that was made so. */
static void warn_of_picture(W2wPipeline *pipeline, const W2wRenderOptions *options, char **message)
{
    const struct {
        const char *name, *text;
    } prompts[] = {{"prompt", options->prompt}, {"negative prompt", options->negative_prompt}};

    for (guint i = 0; i < G_N_ELEMENTS(prompts); i++) {
        guint n_cut = 0;

        /* What can go wrong here has gone wrong in rendering before. */
        if (w2w_pipeline_count_cut(pipeline, prompts[i].text, &n_cut, NULL) && n_cut > 0)
            w2w_message_append(message,
                               "The end of the %s has no effect: it is %u tokens too long for the "
                               "text encoder.",
                               prompts[i].name, n_cut);
    }
}

static void warn_of_model(W2wPipeline *pipeline, const char *model_fingerprint, char **message)
{
    if (model_fingerprint != NULL &&
        strcmp(model_fingerprint, w2w_pipeline_get_model_fingerprint(pipeline)) != 0)
        w2w_message_append(message, "The identity was made with another model, which shows it "
                                    "differently.");
}

/* Picture, and what goes with it. */
static gboolean add_picture(W2wJobResult *result, W2wPipeline *pipeline,
                            const W2wRenderOptions *options, JsonObject *recipe,
                            const W2wProgress *progress, GError **error)
{
    result->picture = w2w_pipeline_render(pipeline, options, progress, error);
    if (result->picture == NULL)
        return FALSE;
    describe(options, recipe);
    warn_of_picture(pipeline, options, &result->message);
    return TRUE;
}

W2wJobResult *w2w_rendering_make_picture(W2wPipeline *pipeline, const W2wRendering *rendering,
                                         JsonObject *recipe, const W2wProgress *progress,
                                         GError **error)
{
    const W2wRenderOptions *options = &rendering->options;
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);

    if (!add_picture(result, pipeline, options, recipe, progress, error))
        return NULL;
    if (options->identity != NULL)
        warn_of_model(pipeline, options->identity->model_fingerprint, &result->message);
    result->seed = options->seed;
    result->recipe = w2w_json_write_object(recipe);
    return g_steal_pointer(&result);
}

static void replace(char **string, const char *other)
{
    g_free(*string);
    *string = g_strdup(other);
}

W2wJobResult *w2w_rendering_make_result_of(W2wPipeline *pipeline, const W2wValues *values,
                                           const W2wJob *job, const W2wRendering *rendering,
                                           W2wIdentity *identity, JsonObject *recipe,
                                           const W2wProgress *progress, GError **error)
{
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);

    warn_of_model(pipeline, identity->model_fingerprint, &result->message);
    if (!add_picture(result, pipeline, &rendering->options, recipe, progress, error))
        return NULL;
    result->seed = rendering->options.seed;
    result->name = w2w_recipe_get_name(recipe);
    result->recipe = w2w_json_write_object(recipe);
    replace(&identity->recipe, result->recipe);
    replace(&identity->space_fingerprint, w2w_space_get_fingerprint(space));
    replace(&identity->model_fingerprint, w2w_pipeline_get_model_fingerprint(pipeline));
    result->identity = w2w_identity_to_bytes(identity, error);
    return result->identity != NULL ? g_steal_pointer(&result) : NULL;
}

W2wJobResult *w2w_rendering_make_result(W2wPipeline *pipeline, const W2wValues *values,
                                        const W2wJob *job, W2wIdentity *identity,
                                        JsonObject *recipe, guint64 seed,
                                        const W2wProgress *progress, GError **error)
{
    g_auto(W2wRendering) rendering = {0};

    if (!w2w_rendering_init(&rendering, w2w_pipeline_get_world(pipeline), values, identity, error))
        return NULL;
    rendering.options.seed = seed;
    return w2w_rendering_make_result_of(pipeline, values, job, &rendering, identity, recipe,
                                        progress, error);
}
