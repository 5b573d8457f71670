/* SPDX-License-Identifier: GPL-3.0-or-later */
/* convert: a model in any form as a diffusers folder, a space as one file. */
#include "engine/models/convert.h"

#include <stdio.h>

#include "cli/commands.h"
#include "cli/convert_space.h"
#include "cli/info.h"
#include "cli/interrupt.h"
#include "cli/terminal_progress.h"
#include "engine/error.h"
#include "engine/w2w/world.h"

static const char *const dtypes[] = {"keep", "f16", "bf16", "f32", NULL};
static const W2wDType dtype_of[] = {W2W_DTYPE_F32, W2W_DTYPE_F16, W2W_DTYPE_BF16, W2W_DTYPE_F32};

static const W2wParameter parameters[] = {
    {
        .name = "output",
        .short_name = 'o',
        .type = W2W_PARAMETER_PATH,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = "Output",
        .blurb = "Folder to write; it must be new or empty. Of a space: the file.",
    },
    {
        .name = "to", /* --dtype is a general option: what is computed in */
        .type = W2W_PARAMETER_CHOICE,
        .string = "keep",
        .choices = dtypes,
        .label = "Numbers",
        .blurb = "Kind of numbers that weights are written as; keep: as they are.",
    },
    {
        .name = "vae",
        .type = W2W_PARAMETER_PATH,
        .label = "VAE",
        .blurb = "File or folder of a VAE to take instead of the model's own.",
    },
};

static gboolean run_convert(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    const char *output = w2w_values_get_string(line->own_values, "output");
    const char *vae = w2w_values_get_string(line->own_values, "vae");
    const guint dtype = w2w_values_get_choice(line->own_values, "to");
    const W2wProgress progress = {w2w_terminal_progress_report, NULL, w2w_interrupt_start()};
    g_autofree char *clip = g_build_filename(w2w_world_get_default_directory(), "clip", NULL);
    const W2wConvertOptions options = {
        .vae = *vae != 0 ? vae : NULL,
        .clip = clip,
        .keep_dtypes = dtype == 0,
        .dtype = dtype_of[dtype],
    };
    gboolean is_space;

    if (line->arguments->len == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "convert needs the model that it is to convert: a folder, or a checkpoint.");
        return FALSE;
    }
    is_space = w2w_convert_is_space(line->arguments->pdata[0]);
    if (is_space
            ? !w2w_convert_space(line->arguments->pdata[0], output, &progress, error)
            : !w2w_model_convert(line->arguments->pdata[0], output, &options, &progress, error)) {
        w2w_terminal_progress_clear();
        return FALSE;
    }
    w2w_terminal_progress_clear();
    if (json != NULL)
        w2w_info_set_path(json, is_space ? "file" : "folder", output);
    else
        printf("%s\n", output);
    return TRUE;
}

const W2wCommand w2w_convert_command = {
    .name = "convert",
    .group = "Files and models",
    .arguments = "MODEL",
    .max_arguments = 1,
    .blurb = "Write a model in any form as a diffusers folder.",
    .help = "Reads a single-file checkpoint (.safetensors or .ckpt, with the names of the original "
            "program) or a diffusers folder new or old, and writes it as a diffusers folder with "
            "safetensors. A checkpoint without a VAE gets one with --vae. A space's folder becomes "
            "one file, of which a thousand components are read at once. Nothing is written where "
            "something cannot be read.",
    .own_parameters = parameters,
    .n_own_parameters = G_N_ELEMENTS(parameters),
    .run = run_convert,
};
