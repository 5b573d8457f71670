/* SPDX-License-Identifier: GPL-3.0-or-later */
/* info: what a file or folder is; without one, the world that the other commands would use. */
#include "cli/info.h"

#include <stdio.h>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/session.h"
#include "engine/error.h"

void w2w_info_set_path(JsonObject *report, const char *name, const char *path)
{
    g_autofree char *shown = g_filename_display_name(path);

    json_object_set_string_member(report, name, shown);
}

static gboolean gather(const W2wCommandLine *line, JsonObject *report, GError **error)
{
    const char *path = line->arguments->len > 0 ? line->arguments->pdata[0] : NULL;
    const gboolean world_chosen = *w2w_values_get_string(line->general, "world") != 0 ||
                                  *w2w_values_get_string(line->general, "model") != 0;
    g_autoptr(W2wWorld) world = NULL;

    if (path != NULL && g_file_test(path, G_FILE_TEST_IS_DIR))
        return w2w_info_folder(path, report, error);
    /* A file may stand alone; a world that was asked for must be there. */
    world = w2w_session_open_world(line, path == NULL || world_chosen ? error : NULL);
    if (world == NULL && (path == NULL || world_chosen))
        return FALSE;
    if (path != NULL)
        return w2w_info_file(path, world, report, error);
    w2w_info_world(world, report);
    return TRUE;
}

static gboolean run_info(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    g_autoptr(JsonObject) own = json == NULL ? json_object_new() : NULL;
    JsonObject *report = json != NULL ? json : own;

    if (!gather(line, report, error))
        return FALSE;
    if (own != NULL)
        w2w_report_print(stdout, own);
    return TRUE;
}

const W2wCommand w2w_info_command = {
    .name = "info",
    .group = "Files and models",
    .arguments = "[FILE|DIR]",
    .max_arguments = 1,
    .blurb = "Say what a file or folder is, and which directions a world has.",
    .help =
        "Looks into whatever the program reads: an identity, a picture, a LoRA of any tool, a "
        "safetensors or .pt file, a checkpoint, or the folder of a world, a model or a part of "
        "one, a space or a dataset: sizes, types, directions, fingerprints, and what is missing or "
        "cannot be used. Without a name it describes the world that the other commands would use.",
    .run = run_info,
};
