/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A LoRA of one's own, looked at as one from elsewhere. */
#include "engine/job/trained_lora.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/job/projection_report.h"
#include "engine/w2w/project.h"

/* In sizes of the LoRA: a larger difference, and the identity is hardly the person. */
#define SERIOUS 0.5

static gboolean add_file(GPtrArray *files, const char *name, GBytes *bytes)
{
    if (bytes == NULL)
        return FALSE;
    g_ptr_array_add(files, w2w_job_file_new(name, bytes));
    return TRUE;
}

static gboolean write_temporary(W2wTrainedLora *lora, GBytes *bytes, GError **error)
{
    g_autoptr(GError) problem = NULL;
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    const int descriptor = g_file_open_tmp("w2w-XXXXXX.safetensors", &lora->path, &problem);

    if (descriptor >= 0)
        close(descriptor);
    if (descriptor >= 0 && g_file_set_contents_full(lora->path, data, (gssize)size,
                                                    G_FILE_SET_CONTENTS_NONE, 0600, &problem))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "A temporary file cannot be written: %s.",
                problem->message);
    return FALSE;
}

gboolean w2w_trained_lora_init(W2wTrainedLora *lora, const W2wLoraLayout *layout,
                               const float *theta, W2wLoraFormat format, GError **error)
{
    const char *name = w2w_lora_writer_get_file_name(format);
    g_autoptr(GBytes) tensors =
        w2w_lora_writer_get_tensors_of(layout, theta, W2W_LORA_FORMAT_DIFFUSERS, error);

    *lora = (W2wTrainedLora){0};
    if (tensors == NULL || !write_temporary(lora, tensors, error))
        return FALSE;
    lora->files = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_job_file_free);
    if (name != NULL)
        add_file(lora->files, W2W_LORA_CONFIG_FILE, w2w_lora_writer_get_config_of(layout));
    return add_file(lora->files, name != NULL ? name : "",
                    w2w_lora_writer_get_tensors_of(layout, theta, format, error));
}

void w2w_trained_lora_clear(W2wTrainedLora *lora)
{
    g_clear_pointer(&lora->files, g_ptr_array_unref);
    if (lora->path != NULL)
        g_unlink(lora->path);
    g_clear_pointer(&lora->path, g_free);
}

W2wIdentity *w2w_trained_lora_project(const W2wTrainedLora *lora, const W2wSpace *space,
                                      JsonObject *report, char **message, GError **error)
{
    g_autoptr(W2wLora) opened = w2w_lora_open(lora->path, error);
    g_autoptr(W2wIdentity) identity = NULL;
    g_auto(W2wProjection) projection = {0};

    if (opened == NULL)
        return NULL;
    identity = w2w_identity_new(w2w_space_get_n_components(space), error);
    if (identity == NULL ||
        !w2w_project_lora(space, opened, identity->coefficients, &projection, error))
        return NULL;
    w2w_projection_report(&projection, report);
    if (projection.product_lost > SERIOUS)
        w2w_message_append(message, "The space cannot express most of the LoRA: "
                                    "the identity will hardly be the person, the LoRA is.");
    return g_steal_pointer(&identity);
}

/* A picture as `render` makes it, with this LoRA instead of an identity. */
W2wPicture *w2w_trained_lora_render(const W2wTrainedLora *lora, W2wPipeline *pipeline,
                                    const char *prompt, guint64 seed, JsonObject *recipe,
                                    char **message, const W2wProgress *progress, GError **error)
{
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    const W2wRenderLora own = {.path = lora->path, .strength = 1.0};
    g_autoptr(W2wValues) values =
        w2w_values_new(w2w_render_job.parameters, w2w_render_job.n_parameters);
    g_auto(W2wRendering) rendering = {0};
    g_autoptr(JsonObject) settings = json_object_new();
    g_autoptr(W2wJobResult) result = NULL;

    if (!w2w_rendering_init(&rendering, world, values, NULL, error))
        return NULL;
    rendering.options.prompt = *prompt != 0 ? prompt : w2w_world_get_card(world)->instance_prompt;
    rendering.options.seed = seed;
    rendering.options.loras = &own;
    rendering.options.n_loras = 1;
    result = w2w_rendering_make_picture(pipeline, &rendering, settings, progress, error);
    if (result == NULL)
        return NULL;
    json_object_remove_member(settings, "lora"); /* a file that is gone; its recipe is around it */
    json_object_set_object_member(recipe, "picture", g_steal_pointer(&settings));
    if (result->message != NULL)
        w2w_message_append(message, "%s", result->message);
    return g_steal_pointer(&result->picture);
}
