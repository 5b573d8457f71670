/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A short list of files, found by name. */
#include "tests/fuzz/memory_files.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"

#define MAX_FILES 16

static struct {
    char *path;
    GBytes *bytes;
} files[MAX_FILES];
static guint n_files;

void w2w_memory_files_add(const char *path, const guint8 *data, gsize size)
{
    g_assert_cmpuint(n_files, <, MAX_FILES);
    files[n_files].path = g_strdup(path);
    files[n_files++].bytes = g_bytes_new_static(data, size);
}

void w2w_memory_files_clear(void)
{
    while (n_files > 0) {
        n_files--;
        g_free(files[n_files].path);
        g_bytes_unref(files[n_files].bytes);
    }
}

const guint8 *w2w_memory_files_split(const char *folder, const char *const *names,
                                     const guint8 *data, gsize size, gsize *rest_size)
{
    for (; *names != NULL && data != NULL; names++) {
        const guint8 *separator = size > 0 ? memchr(data, 0xff, size) : NULL;
        const gsize length = separator != NULL ? (gsize)(separator - data) : size;

        if (length > 0) {
            g_autofree char *path = g_strconcat(folder, "/", *names, NULL);

            w2w_memory_files_add(path, data, length);
        }
        size -= length + (separator != NULL);
        data = separator != NULL ? separator + 1 : NULL;
    }
    *rest_size = size;
    return data;
}

static GBytes *find(const char *path)
{
    for (guint i = 0; i < n_files; i++)
        if (strcmp(files[i].path, path) == 0)
            return files[i].bytes;
    return NULL;
}

GBytes *w2w_mapped_file_open(const char *path, GError **error)
{
    GBytes *bytes = find(path);

    if (bytes == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be opened: there is no such file.",
                    path);
    return bytes != NULL ? g_bytes_ref(bytes) : NULL;
}

GBytes *w2w_mapped_file_read(const char *path, gsize max_bytes, GError **error)
{
    return w2w_mapped_file_open(path, error); /* inputs are small */
}

gboolean w2w_mapped_files_check(GError **error)
{
    return TRUE;
}

gboolean w2w_mapped_file_exists(const char *path)
{
    return find(path) != NULL;
}
