/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A checksum over names, sizes and times: some hundred calls of stat() for a world. */
#include "engine/formats/file_stamp.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_DEPTH 4

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *list_names(const char *path)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    return names;
}

static void add(GChecksum *checksum, const char *path, guint depth)
{
    g_autoptr(GPtrArray) names = NULL;
    struct stat status;

    g_checksum_update(checksum, (const guchar *)path, (gssize)strlen(path) + 1);
    if (stat(path, &status) != 0)
        return;
    if (!S_ISDIR(status.st_mode)) {
        const gint64 facts[] = {(gint64)status.st_ino, status.st_size, status.st_mtim.tv_sec,
                                status.st_mtim.tv_nsec};

        g_checksum_update(checksum, (const guchar *)facts, sizeof facts);
        return;
    }
    if (depth == MAX_DEPTH)
        return;
    names = list_names(path);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *child = g_build_filename(path, names->pdata[i], NULL);

        add(checksum, child, depth + 1);
    }
}

char *w2w_file_stamp(const char *path)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);

    add(checksum, path, 0);
    return g_strdup(g_checksum_get_string(checksum));
}
