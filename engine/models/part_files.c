/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two forms of a part, behind one door. */
#include "engine/models/part_files.h"

#include "engine/formats/json.h"
#include "engine/models/checkpoint.h"
#include "engine/models/weight_folder.h"
#include "engine/models/weight_names.h"

#define CONFIG "config.json"

GHashTable *w2w_part_read_weights(const char *path, W2wModelPart part, char **file, GError **error)
{
    g_autoptr(GHashTable) table = NULL;
    g_autoptr(GHashTable) renewed = NULL;
    g_autofree char *found = NULL;

    if (w2w_model_is_file(path)) {
        renewed = w2w_checkpoint_read(path, part, error);
        found = g_strdup(path);
    } else {
        table = w2w_weight_folder_read(path, &found, error);
        renewed = table != NULL ? w2w_weight_names_renew(table, part, found, error) : NULL;
    }
    if (renewed == NULL)
        return NULL;
    *file = g_steal_pointer(&found);
    return g_steal_pointer(&renewed);
}

JsonObject *w2w_part_read_settings(const char *path, W2wModelPart part, GHashTable *arrays,
                                   char **name, GError **error)
{
    g_autofree char *folder = NULL;
    g_autofree char *config = NULL;
    JsonObject *settings;

    if (!w2w_model_is_file(path)) {
        config = g_build_filename(path, CONFIG, NULL);
    } else {
        folder = w2w_model_get_settings_folder(path);
        if (folder != NULL)
            config = g_build_filename(folder, w2w_model_part_names[part], CONFIG, NULL);
        if (config == NULL || !g_file_test(config, G_FILE_TEST_EXISTS)) {
            settings = w2w_checkpoint_get_settings(arrays, part, path, error);
            if (settings != NULL)
                *name = g_strdup_printf("the shapes in %s", path);
            return settings;
        }
    }
    settings = w2w_json_load(config, error);
    if (settings != NULL)
        *name = g_steal_pointer(&config);
    return settings;
}

gboolean w2w_part_open(const char *path, W2wModelPart part, W2wConfig **config,
                       W2wWeights **weights, GError **error)
{
    g_autoptr(GHashTable) arrays = NULL;
    g_autoptr(JsonObject) settings = NULL;
    g_autofree char *file = NULL;
    g_autofree char *name = NULL;

    /* A folder without a config.json is no part of a model, whatever weights it has. */
    if (!w2w_model_is_file(path)) {
        settings = w2w_part_read_settings(path, part, NULL, &name, error);
        if (settings == NULL)
            return FALSE;
    }
    arrays = w2w_part_read_weights(path, part, &file, error);
    if (arrays == NULL)
        return FALSE;
    if (settings == NULL)
        settings = w2w_part_read_settings(path, part, arrays, &name, error);
    if (settings == NULL)
        return FALSE;
    *config = w2w_config_new(settings, name);
    *weights = w2w_weights_new(arrays, file);
    return TRUE;
}
