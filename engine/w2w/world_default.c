/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the embedded world lies.
 *
 * A program that runs from its build folder shall use the data of its source tree, so that
 * nothing need be installed to try it. No path of the building machine is compiled in for that:
 * meson describes every build folder in meson-info/meson-info.json, and the program looks for
 * this file in the folders above its own executable. An installed program finds none and
 * uses the folder that it was configured for.
 */
#include <gio/gio.h>

#include "engine/formats/json.h"
#include "engine/w2w/world.h"

/* Build folders are flat: cli/w2w, worker/w2w-worker, tests/w2w/test_space. */
#define MAX_LEVELS 4

/* The source tree of the meson build folder `directory`; NULL where it is none. */
static char *get_source_directory(const char *directory)
{
    g_autofree char *path = g_build_filename(directory, "meson-info", "meson-info.json", NULL);
    g_autoptr(JsonObject) info = NULL;
    JsonNode *directories, *build, *source;

    if (!g_file_test(path, G_FILE_TEST_IS_REGULAR))
        return NULL;
    info = w2w_json_load(path, NULL);
    directories = info != NULL ? json_object_get_member(info, "directories") : NULL;
    if (directories == NULL || !JSON_NODE_HOLDS_OBJECT(directories))
        return NULL;
    build = json_object_get_member(json_node_get_object(directories), "build");
    source = json_object_get_member(json_node_get_object(directories), "source");
    if (build == NULL || source == NULL || !JSON_NODE_HOLDS_VALUE(build) ||
        !JSON_NODE_HOLDS_VALUE(source) || json_node_get_string(source) == NULL)
        return NULL;
    /* Not a build folder that was copied or moved from somewhere else. */
    if (g_strcmp0(json_node_get_string(build), directory) != 0)
        return NULL;
    return json_node_dup_string(source);
}

static char *find_source_data(void)
{
    g_autofree char *directory = g_file_read_link("/proc/self/exe", NULL);

    for (guint level = 0; directory != NULL && level < MAX_LEVELS; level++) {
        char *parent = g_path_get_dirname(directory);
        g_autofree char *source = get_source_directory(parent);

        g_free(directory);
        directory = parent;
        if (source != NULL) {
            g_autofree char *card = g_build_filename(source, "data", "world.json", NULL);

            if (g_file_test(card, G_FILE_TEST_IS_REGULAR))
                return g_path_get_dirname(card);
        }
    }
    return NULL;
}

const char *w2w_world_get_default_directory(void)
{
    static gsize once;
    static char *found;
    const char *chosen = g_getenv("W2W_DATA_DIR");

    if (chosen != NULL && *chosen != 0)
        return chosen;
    if (g_once_init_enter(&once)) {
        found = find_source_data();
        if (found == NULL)
            found = g_strdup(W2W_INSTALLED_DATA_DIR);
        g_once_init_leave(&once, 1);
    }
    return found;
}
