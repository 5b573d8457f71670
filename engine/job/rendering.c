/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a job's values to a picture's settings. */
#include "engine/job/rendering.h"

#include <string.h>

#include "engine/error.h"
#include "engine/job/recipe.h"

const char *const w2w_rendering_schedulers[] = {"world", "pndm", NULL};
const char *const w2w_rendering_scheduler_labels[] = {N_("The world's own"), N_("PNDM"), NULL};

W2wIdentity *w2w_rendering_get_identity(W2wWorld *world, const W2wValues *values, GError **error)
{
    W2wSpace *space = w2w_world_get_space(world);
    GBytes *bytes = w2w_values_get_bytes(values, "identity");
    g_autoptr(W2wIdentity) identity = NULL;

    if (bytes == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The parameter identity is missing.");
        return NULL;
    }
    if (space == NULL) {
        g_set_error(
            error, W2W_ERROR, W2W_ERROR_USAGE,
            "An identity needs the space that it lies in, and a model alone has none: choose "
            "a world, or add a space.");
        return NULL;
    }
    identity = w2w_identity_from_bytes(bytes, "The identity", error);
    if (identity == NULL || !w2w_identity_check(identity, space, "The identity", error))
        return NULL;
    return g_steal_pointer(&identity);
}

/* 0 in the table is "world". */
static gboolean get_scheduler(const W2wValues *values, const W2wWorldCard *card,
                              W2wSchedulerKind *kind, GError **error)
{
    const guint choice = w2w_values_get_choice(values, "scheduler");
    g_autofree char *names = NULL;

    if (choice > 0) {
        *kind = choice - 1;
        return TRUE;
    }
    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++)
        if (strcmp(w2w_scheduler_names[i], card->scheduler) == 0) {
            *kind = i;
            return TRUE;
        }
    names = g_strjoinv(", ", (char **)w2w_scheduler_names);
    g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "The world's card asks for the scheduler “%s”, which this program does not have; "
                "choose one of: %s.",
                card->scheduler, names);
    return FALSE;
}

static const char *text_or(const W2wValues *values, const char *name, const char *otherwise)
{
    const char *text = w2w_values_get_string(values, name);

    return *text != 0 ? text : otherwise != NULL ? otherwise : "";
}

static gint number_or(const W2wValues *values, const char *name, gint otherwise)
{
    const gint number = (gint)w2w_values_get_int(values, name);

    return number > 0 ? number : otherwise;
}

gboolean w2w_rendering_get_options(const W2wValues *values, const W2wWorldCard *card,
                                   const W2wIdentity *identity, W2wRenderOptions *options,
                                   GError **error)
{
    const double guidance_scale = w2w_values_get_double(values, "guidance-scale");

    memset(options, 0, sizeof *options);
    options->identity = identity;
    options->prompt =
        text_or(values, "prompt", identity != NULL ? card->instance_prompt : card->class_prompt);
    options->negative_prompt = text_or(values, "negative-prompt", card->negative_prompt);
    options->width = number_or(values, "width", card->width);
    options->height = number_or(values, "height", card->height);
    options->steps = number_or(values, "steps", card->steps);
    options->guidance_scale = guidance_scale > 0.0 ? guidance_scale : card->guidance_scale;
    return get_scheduler(values, card, &options->scheduler, error);
}

void w2w_rendering_describe(const W2wRenderOptions *options, JsonObject *recipe)
{
    json_object_set_string_member(recipe, "prompt", options->prompt);
    json_object_set_string_member(recipe, "negative-prompt", options->negative_prompt);
    json_object_set_int_member(recipe, "width", options->width);
    json_object_set_int_member(recipe, "height", options->height);
    json_object_set_int_member(recipe, "steps", options->steps);
    json_object_set_double_member(recipe, "guidance-scale", options->guidance_scale);
    json_object_set_string_member(recipe, "scheduler", w2w_scheduler_names[options->scheduler]);
}

guint64 w2w_rendering_get_seed(const W2wValues *values, JsonObject *recipe)
{
    const gint64 given = w2w_values_get_int(values, "seed");
    guint64 seed;

    if (given >= 0)
        return (guint64)given;
    return w2w_recipe_get_seed(recipe, &seed) ? seed : g_random_int();
}

void w2w_rendering_warn(W2wPipeline *pipeline, const W2wRenderOptions *options,
                        const W2wIdentity *given, char **message)
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
    if (given != NULL && given->model_fingerprint != NULL &&
        strcmp(given->model_fingerprint, w2w_pipeline_get_model_fingerprint(pipeline)) != 0)
        w2w_message_append(message, "The identity was made with another model, which shows it "
                                    "differently.");
}

void w2w_message_append(char **message, const char *format, ...)
{
    g_autofree char *before = *message;
    g_autofree char *sentence = NULL;
    va_list arguments;

    va_start(arguments, format);
    sentence = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    *message = before != NULL ? g_strconcat(before, " ", sentence, NULL) : g_strdup(sentence);
}
