/* SPDX-License-Identifier: GPL-3.0-or-later */
/* World and device by the general options. */
#include "cli/session.h"

#include "engine/error.h"

static const char *get_path(const W2wCommandLine *line, const char *name)
{
    const char *path = w2w_values_get_string(line->general, name);

    return *path != 0 ? path : NULL;
}

W2wWorld *w2w_session_open_world(const W2wCommandLine *line, GError **error)
{
    const char *world = get_path(line, "world");
    const char *model = get_path(line, "model");
    const char *space = get_path(line, "space");

    if (world != NULL && (model != NULL || space != NULL)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "--world brings its own model and space: give either it, or --model and "
                    "--space.");
        return NULL;
    }
    if (space != NULL && model == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "--space needs the model that it is over: give --model too.");
        return NULL;
    }
    if (model != NULL)
        return w2w_world_open_parts(model, space, error);
    return w2w_world_open(world != NULL ? world : w2w_world_get_default_directory(), error);
}

W2wDevice *w2w_session_open_device(const W2wCommandLine *line, GError **error)
{
    const W2wDeviceOptions options = {
        .n_threads = (guint)w2w_values_get_int(line->general, "threads"),
        .compute_type = (W2wComputeType)w2w_values_get_choice(line->general, "dtype"),
    };

    return w2w_device_new(w2w_values_get_string(line->general, "device"), &options, error);
}
