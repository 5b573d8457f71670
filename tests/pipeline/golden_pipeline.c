/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening them in float32: that is what the frozen outputs and their tolerances are for. */
#include "tests/pipeline/golden_pipeline.h"

#include <glib/gstdio.h>

#include "engine/device/device.h"
#include "tests/diffusion/scheduler_fixture.h"
#include "tests/w2w/space_folder.h"

static W2wPipeline *open_pipeline(W2wWorld *world, const char *name)
{
    g_autoptr(GError) error = NULL;
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};
    W2wDevice *device = w2w_device_new(name, &options, &error);
    W2wPipeline *pipeline;

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(world, device, &error);
    g_assert_no_error(error);
    return pipeline;
}

static char *model_with_scheduler(W2wGolden *golden, const char *model, const char *sampler)
{
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), "scheduler");
    JsonObject *configs = json_object_get_object_member(params, "config");
    char *folder = link_folder(model, NULL);
    g_autofree char *place = g_build_filename(folder, "scheduler", NULL);
    g_autofree char *text = NULL;

    g_assert_true(json_object_has_member(configs, sampler));
    text = scheduler_fixture_text(json_object_get_object_member(configs, sampler));
    remove_file(folder, "scheduler");
    g_assert_cmpint(g_mkdir(place, 0700), ==, 0);
    write_text(place, "scheduler_config.json", text);
    return folder;
}

void golden_pipeline_open(GoldenPipeline *fixture, const char *device, const char *sampler)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *model = NULL;
    g_autofree char *space = NULL;
    W2wWorld *world;

    *fixture = (GoldenPipeline){.golden = w2w_golden_open(NULL)};
    model = w2w_golden_get_path(fixture->golden, "model");
    space = w2w_golden_get_path(fixture->golden, "space");
    if (sampler != NULL)
        fixture->model = model_with_scheduler(fixture->golden, model, sampler);
    world = w2w_world_open_parts(fixture->model != NULL ? fixture->model : model, space, &error);
    g_assert_no_error(error);
    fixture->pipeline = open_pipeline(world, device);
}

void golden_pipeline_open_embedded(GoldenPipeline *fixture)
{
    g_autoptr(GError) error = NULL;
    W2wWorld *world = w2w_world_open(w2w_world_get_default_directory(), &error);

    g_assert_no_error(error);
    *fixture = (GoldenPipeline){.golden = w2w_golden_open(w2w_golden_mini_dir()),
                                .pipeline = open_pipeline(world, "cpu")};
}

void golden_pipeline_close(GoldenPipeline *fixture)
{
    w2w_pipeline_free(fixture->pipeline);
    w2w_golden_free(fixture->golden);
    if (fixture->model != NULL) {
        g_autofree char *place = g_build_filename(fixture->model, "scheduler", NULL);

        remove_file(place, "scheduler_config.json");
        g_rmdir(place);
        remove_folder(fixture->model);
    }
}

W2wIdentity *golden_pipeline_get_identity(const GoldenPipeline *fixture, const char *file,
                                          const char *key)
{
    g_autoptr(GError) error = NULL;
    const W2wArray *array = w2w_golden_get(fixture->golden, file, key);
    W2wIdentity *identity = w2w_identity_new((guint)array->n_elements, &error);

    g_assert_no_error(error);
    w2w_array_to_f32(array, identity->coefficients);
    return identity;
}

void golden_to_channels_last(const float *planes, gint64 channels, gint64 n_pixels, float *pixels)
{
    for (gint64 p = 0; p < n_pixels; p++)
        for (gint64 i = 0; i < channels; i++)
            pixels[p * channels + i] = planes[i * n_pixels + p];
}

void golden_to_planes(const float *pixels, gint64 channels, gint64 n_pixels, float *planes)
{
    for (gint64 p = 0; p < n_pixels; p++)
        for (gint64 i = 0; i < channels; i++)
            planes[i * n_pixels + p] = pixels[p * channels + i];
}
