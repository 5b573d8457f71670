/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cache of the base model's pictures. */
#include "engine/job/class_pictures.h"

#include <glib/gstdio.h>

#include "engine/device/device.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/png.h"

struct _W2wClassPictures {
    W2wPipeline *pipeline;
    W2wValues *values; /* of render, at their defaults: the world's own settings */
    W2wRendering rendering;
    char *folder;
};

/* Everything that decides what the pictures look like, to the last bit. */
static char *make_key(W2wPipeline *pipeline, const W2wRenderOptions *options)
{
    const W2wDevice *device = w2w_pipeline_get_device(pipeline);
    g_autoptr(JsonObject) key = json_object_new();
    g_autofree char *text = NULL;

    json_object_set_string_member(key, "program", "w2w " W2W_VERSION);
    json_object_set_string_member(key, "model", w2w_pipeline_get_model_fingerprint(pipeline));
    json_object_set_string_member(key, "device", w2w_device_get_name(device));
    json_object_set_string_member(key, "compute-type",
                                  w2w_compute_type_names[w2w_device_get_compute_type(device)]);
    json_object_set_string_member(key, "prompt", options->prompt);
    json_object_set_string_member(key, "negative-prompt", options->negative_prompt);
    json_object_set_int_member(key, "width", options->width);
    json_object_set_int_member(key, "height", options->height);
    json_object_set_int_member(key, "steps", options->steps);
    json_object_set_double_member(key, "guidance-scale", options->guidance_scale);
    json_object_set_string_member(key, "scheduler", w2w_scheduler_names[options->scheduler]);
    json_object_set_string_member(key, "rng", w2w_generator_names[options->generator]);
    text = w2w_json_write_object(key);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

W2wClassPictures *w2w_class_pictures_new(W2wPipeline *pipeline, GError **error)
{
    g_autoptr(W2wClassPictures) pictures = g_new0(W2wClassPictures, 1);
    g_autofree char *key = NULL;

    pictures->pipeline = pipeline;
    pictures->values = w2w_values_new(w2w_render_job.parameters, w2w_render_job.n_parameters);
    if (!w2w_rendering_init(&pictures->rendering, w2w_pipeline_get_world(pipeline),
                            pictures->values, NULL, error))
        return NULL;
    key = make_key(pipeline, &pictures->rendering.options);
    pictures->folder = g_build_filename(g_get_user_cache_dir(), "w2w", "class-pictures", key, NULL);
    return g_steal_pointer(&pictures);
}

void w2w_class_pictures_free(W2wClassPictures *pictures)
{
    if (pictures == NULL)
        return;
    w2w_rendering_clear(&pictures->rendering);
    w2w_values_free(pictures->values);
    g_free(pictures->folder);
    g_free(pictures);
}

static char *make_path(const W2wClassPictures *pictures, guint i)
{
    g_autofree char *name = g_strdup_printf("%u.png", i);

    return g_build_filename(pictures->folder, name, NULL);
}

gboolean w2w_class_pictures_has(const W2wClassPictures *pictures, guint i)
{
    g_autofree char *path = make_path(pictures, i);

    return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

const char *w2w_class_pictures_get_folder(const W2wClassPictures *pictures)
{
    return pictures->folder;
}

W2wPicture *w2w_class_pictures_get(W2wClassPictures *pictures, guint i, const W2wProgress *progress,
                                   GError **error)
{
    W2wRenderOptions *options = &pictures->rendering.options;
    g_autofree char *path = make_path(pictures, i);
    W2wPicture *picture = w2w_class_pictures_has(pictures, i) ? w2w_png_read(path, NULL) : NULL;

    if (picture != NULL && picture->width == (guint)options->width &&
        picture->height == (guint)options->height)
        return picture;
    w2w_picture_free(picture); /* NULL, or somebody else's */
    options->seed = i;
    picture = w2w_pipeline_render(pictures->pipeline, options, progress, error);
    if (picture != NULL && g_mkdir_with_parents(pictures->folder, 0700) == 0)
        w2w_png_write(picture, path, NULL, NULL);
    return picture;
}
