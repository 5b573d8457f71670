/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mapped files. */
#include "engine/formats/mapped_file.h"

#include "engine/error.h"

gboolean w2w_mapped_file_exists(const char *path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

GBytes *w2w_mapped_file_open(const char *path, GError **error)
{
    g_autoptr(GError) file_error = NULL;
    g_autoptr(GMappedFile) file = NULL;

    if (g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s is not a file that can be read.", path);
        return NULL;
    }
    file = g_mapped_file_new(path, FALSE, &file_error);
    if (file == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be opened: %s.", path,
                    g_error_matches(file_error, G_FILE_ERROR, G_FILE_ERROR_NOENT)
                        ? "there is no such file"
                        : file_error->message);
        return NULL;
    }
    return g_mapped_file_get_bytes(file);
}
