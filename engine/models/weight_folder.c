/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files of a folder hold its weights. */
#include "engine/models/weight_folder.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"

static const char *const names[] = {"diffusion_pytorch_model", "model", "pytorch_model"};

/* In the order in which they are looked for. */
static const char *const endings[] = {
    ".safetensors",
    ".safetensors.index.json",
    ".bin",
    ".bin.index.json",
    ".fp16.safetensors",
    ".safetensors.index.fp16.json",
    ".fp16.safetensors.index.json",
    ".fp16.bin",
    ".bin.index.fp16.json",
    ".fp16.bin.index.json",
};

static char *find_file(const char *directory)
{
    for (guint i = 0; i < G_N_ELEMENTS(endings); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(names); j++) {
            g_autofree char *file = g_strconcat(names[j], endings[i], NULL);
            g_autofree char *path = g_build_filename(directory, file, NULL);

            if (g_file_test(path, G_FILE_TEST_IS_REGULAR))
                return g_steal_pointer(&path);
        }
    }
    return NULL;
}

/* --- an index and its shards --- */

static gboolean index_fail(const char *index, GError **error, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static gboolean index_fail(const char *index, GError **error, const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "The index %s %s.", index, what);
    return FALSE;
}

/* Nothing but a file beside the index: an index from a stranger must not lead elsewhere. */
static gboolean is_plain_name(const char *name)
{
    return *name != '\0' && *name != '.' && strchr(name, '/') == NULL && strchr(name, '\\') == NULL;
}

static gboolean add_shard(GHashTable *table, const char *directory, const char *index,
                          const char *shard, GError **error)
{
    g_autofree char *path = g_build_filename(directory, shard, NULL);

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "%s is missing: the index %s names it as a part of the weights.", path, index);
        return FALSE;
    }
    return w2w_weight_table_add_file(table, path, error);
}

/* Weights by shards: each shard is read into a table of its own and checked against the map. */
static gboolean add_shards(GHashTable *table, const char *directory, const char *index,
                           JsonObject *map, GError **error)
{
    g_autoptr(GHashTable) shards =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_hash_table_unref);
    g_autoptr(GList) members = json_object_get_members(map);
    GHashTableIter iter;
    gpointer shard_table;

    for (GList *l = members; l != NULL; l = l->next) {
        const char *name = l->data;
        JsonNode *node = json_object_get_member(map, name);
        const char *shard;

        if (!JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_STRING)
            return index_fail(index, error, "does not name a file for “%s”", name);
        shard = json_node_get_string(node);
        if (!is_plain_name(shard))
            return index_fail(index, error,
                              "names “%s” for “%s”; a file of the same folder was expected", shard,
                              name);
        shard_table = g_hash_table_lookup(shards, shard);
        if (shard_table == NULL) {
            shard_table = w2w_weight_table_new();
            g_hash_table_insert(shards, (gpointer)shard, shard_table);
            if (!add_shard(shard_table, directory, index, shard, error))
                return FALSE;
        }
        if (!g_hash_table_contains(shard_table, name))
            return index_fail(index, error, "says that “%s” lies in %s, where it is not", name,
                              shard);
    }
    /* All that the shards hold counts, as with other programs; the model says what has no place. */
    g_hash_table_iter_init(&iter, shards);
    while (g_hash_table_iter_next(&iter, NULL, &shard_table)) {
        GHashTableIter arrays;
        gpointer name, array;

        g_hash_table_iter_init(&arrays, shard_table);
        while (g_hash_table_iter_next(&arrays, &name, &array))
            if (!w2w_weight_table_add(table, name, array, index, error))
                return FALSE;
    }
    return TRUE;
}

static gboolean add_index(GHashTable *table, const char *directory, const char *index,
                          GError **error)
{
    g_autoptr(JsonObject) object = w2w_json_load(index, error);
    JsonNode *node;

    if (object == NULL)
        return FALSE;
    node = json_object_get_member(object, "weight_map");
    if (node == NULL || !JSON_NODE_HOLDS_OBJECT(node))
        return index_fail(index, error,
                          "has no “weight_map” that tells in which file each weight lies");
    return add_shards(table, directory, index, json_node_get_object(node), error);
}

GHashTable *w2w_weight_folder_read(const char *directory, char **path, GError **error)
{
    g_autofree char *file = find_file(directory);
    g_autoptr(GHashTable) table = w2w_weight_table_new();

    if (file == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "The folder \"%s\" holds no weights: neither %s%s nor %s%s is there, nor an "
                    "index of several files, nor an older form of them (%s%s, %s%s …).",
                    directory, names[0], endings[0], names[1], endings[0], names[0], endings[2],
                    names[2], endings[2]);
        return NULL;
    }
    if (g_str_has_suffix(file, ".json") ? !add_index(table, directory, file, error)
                                        : !w2w_weight_table_add_file(table, file, error))
        return NULL;
    *path = g_steal_pointer(&file);
    return g_steal_pointer(&table);
}
