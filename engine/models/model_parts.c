/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a folder, the one file of a checkpoint and what lies beside it. */
#include "engine/models/model_parts.h"

#include <string.h>

#define SCHEDULER_CONFIG "scheduler_config.json"

const char *const w2w_model_part_names[W2W_N_MODEL_PARTS] = {
    [W2W_PART_TEXT_ENCODER] = "text_encoder",
    [W2W_PART_UNET] = "unet",
    [W2W_PART_VAE] = "vae",
};

gboolean w2w_model_is_file(const char *model)
{
    return g_file_test(model, G_FILE_TEST_IS_REGULAR);
}

char *w2w_model_part_path(const char *model, const char *part)
{
    return w2w_model_is_file(model) ? g_strdup(model) : g_build_filename(model, part, NULL);
}

char *w2w_model_get_settings_folder(const char *checkpoint)
{
    g_autofree char *folder = g_strdup(checkpoint);
    char *name = strrchr(folder, G_DIR_SEPARATOR);
    char *extension = strrchr(name != NULL ? name + 1 : folder, '.');

    if (extension == NULL)
        return NULL;
    *extension = '\0';
    return g_file_test(folder, G_FILE_TEST_IS_DIR) ? g_steal_pointer(&folder) : NULL;
}

/* `name` in the folder of settings, where both are there. */
static char *find_setting(const char *checkpoint, const char *name)
{
    g_autofree char *folder = w2w_model_get_settings_folder(checkpoint);
    g_autofree char *path = folder != NULL ? g_build_filename(folder, name, NULL) : NULL;

    return path != NULL && g_file_test(path, G_FILE_TEST_EXISTS) ? g_steal_pointer(&path) : NULL;
}

char *w2w_model_tokenizer_path(const char *model, const char *clip)
{
    char *path;

    if (!w2w_model_is_file(model))
        return g_build_filename(model, "tokenizer", NULL);
    path = find_setting(model, "tokenizer");
    return path != NULL ? path : g_strdup(clip);
}

char *w2w_model_scheduler_path(const char *model)
{
    if (!w2w_model_is_file(model))
        return g_build_filename(model, "scheduler", SCHEDULER_CONFIG, NULL);
    return find_setting(model, "scheduler" G_DIR_SEPARATOR_S SCHEDULER_CONFIG);
}
