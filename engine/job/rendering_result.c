/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a job's identity and settings to what it hands out: picture, bytes, recipe, messages. */
#include <string.h>

#include "engine/formats/json_writer.h"
#include "engine/formats/mapped_file.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

/* Files are named for people, and for machines told apart by what is in them. */
static void describe_loras(const W2wPipeline *pipeline, const W2wRenderOptions *options,
                           JsonObject *recipe)
{
    JsonArray *loras = json_array_new();

    for (guint i = 0; i < options->n_loras; i++) {
        JsonObject *lora = json_object_new();
        g_autofree char *shown = g_filename_display_name(options->loras[i].path);

        json_object_set_string_member(lora, "path", shown);
        json_object_set_double_member(lora, "strength", options->loras[i].strength);
        json_object_set_string_member(lora, "sha256",
                                      w2w_pipeline_get_lora_fingerprint(pipeline, i));
        json_array_add_object_element(loras, lora);
    }
    json_object_set_array_member(recipe, "lora", loras);
}

/* The settings that it came to, under the names of the parameters. */
static void describe(const W2wPipeline *pipeline, const W2wRendering *rendering, JsonObject *recipe)
{
    const W2wRenderOptions *options = &rendering->options;

    json_object_set_string_member(recipe, "prompt", options->prompt);
    json_object_set_string_member(recipe, "negative-prompt", options->negative_prompt);
    json_object_set_int_member(recipe, "width", options->width);
    json_object_set_int_member(recipe, "height", options->height);
    json_object_set_int_member(recipe, "steps", options->steps);
    json_object_set_double_member(recipe, "guidance-scale", options->guidance_scale);
    json_object_set_string_member(recipe, "scheduler", w2w_scheduler_names[options->scheduler]);
    json_object_set_string_member(recipe, "rng", w2w_generator_names[options->generator]);
    if (options->init_picture != NULL) {
        JsonObject *picture = json_object_new();

        json_object_set_string_member(picture, "sha256", rendering->init_fingerprint);
        json_object_set_object_member(recipe, "init-image", picture);
        json_object_set_double_member(recipe, "strength", options->strength);
    }
    if (options->base_identity != NULL)
        json_object_set_double_member(recipe, "from-timestep", options->from_timestep);
    if (options->n_loras > 0)
        describe_loras(pipeline, options, recipe);
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

void w2w_rendering_describe(W2wPipeline *pipeline, const W2wRendering *rendering,
                            JsonObject *recipe, char **message)
{
    describe(pipeline, rendering, recipe);
    if (rendering->message != NULL)
        w2w_message_append(message, "%s", rendering->message);
    warn_of_picture(pipeline, &rendering->options, message);
}

/* Picture, and what goes with it. */
static gboolean add_picture(W2wJobResult *result, W2wPipeline *pipeline,
                            const W2wRendering *rendering, JsonObject *recipe,
                            const W2wProgress *progress, GError **error)
{
    result->picture = w2w_pipeline_render(pipeline, &rendering->options, progress, error);
    if (result->picture == NULL)
        return FALSE;
    w2w_rendering_describe(pipeline, rendering, recipe, &result->message);
    return TRUE;
}

W2wJobResult *w2w_rendering_make_picture(W2wPipeline *pipeline, const W2wRendering *rendering,
                                         JsonObject *recipe, const W2wProgress *progress,
                                         GError **error)
{
    const W2wRenderOptions *options = &rendering->options;
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);

    if (!add_picture(result, pipeline, rendering, recipe, progress, error))
        return NULL;
    if (options->identity != NULL)
        warn_of_model(pipeline, options->identity->model_fingerprint, &result->message);
    result->seed = options->seed;
    result->recipe = w2w_json_write_object(recipe);
    return g_steal_pointer(&result);
}

static gboolean wants_picture(const W2wJob *job, const W2wValues *values)
{
    return w2w_parameter_lookup(job->parameters, job->n_parameters, "no-picture") == NULL ||
           !w2w_values_get_switch(values, "no-picture");
}

static void replace(char **string, const char *other)
{
    g_free(*string);
    *string = g_strdup(other);
}

/* Recipe and fingerprints into the identity, and its bytes into the result. */
static gboolean add_identity(W2wJobResult *result, W2wPipeline *pipeline, W2wIdentity *identity,
                             JsonObject *recipe, guint64 seed, GError **error)
{
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));

    result->seed = seed;
    result->name = w2w_recipe_get_name(recipe);
    result->recipe = w2w_json_write_object(recipe);
    replace(&identity->recipe, result->recipe);
    replace(&identity->space_fingerprint, w2w_space_get_fingerprint(space));
    replace(&identity->model_fingerprint, w2w_pipeline_get_model_fingerprint(pipeline));
    result->identity = w2w_identity_to_bytes(identity, error);
    return result->identity != NULL && w2w_mapped_files_check(error);
}

W2wJobResult *w2w_rendering_make_identity(W2wPipeline *pipeline, W2wIdentity *identity,
                                          JsonObject *recipe, guint64 seed, GError **error)
{
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);

    warn_of_model(pipeline, identity->model_fingerprint, &result->message);
    return add_identity(result, pipeline, identity, recipe, seed, error) ? g_steal_pointer(&result)
                                                                         : NULL;
}

W2wJobResult *w2w_rendering_make_result_of(W2wPipeline *pipeline, const W2wValues *values,
                                           const W2wJob *job, const W2wRendering *rendering,
                                           W2wIdentity *identity, JsonObject *recipe,
                                           const W2wProgress *progress, GError **error)
{
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);

    warn_of_model(pipeline, identity->model_fingerprint, &result->message);
    if (wants_picture(job, values) &&
        !add_picture(result, pipeline, rendering, recipe, progress, error))
        return NULL;
    return add_identity(result, pipeline, identity, recipe, rendering->options.seed, error)
               ? g_steal_pointer(&result)
               : NULL;
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
