/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that appear whole. */
#include "engine/formats/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "engine/error.h"

struct _W2wAtomicFile {
    char *path, *temporary_path; /* temporary_path is NULL once there is nothing to remove */
    FILE *stream;
};

static void set_write_error(const W2wAtomicFile *file, int code, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be written: %s.", file->path,
                g_strerror(code));
}

W2wAtomicFile *w2w_atomic_file_new(const char *path, GError **error)
{
    g_autoptr(W2wAtomicFile) file = g_new0(W2wAtomicFile, 1);
    int descriptor;

    file->path = g_strdup(path);
    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        set_write_error(file, EISDIR, error);
        return NULL;
    }
    file->temporary_path = g_strconcat(path, ".XXXXXX", NULL);
    descriptor = g_mkstemp_full(file->temporary_path, O_RDWR | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        const int code = errno;

        g_clear_pointer(&file->temporary_path, g_free);
        set_write_error(file, code, error);
        return NULL;
    }
    file->stream = fdopen(descriptor, "wb");
    if (file->stream == NULL) {
        set_write_error(file, errno, error);
        close(descriptor);
        return NULL;
    }
    return g_steal_pointer(&file);
}

FILE *w2w_atomic_file_get_stream(W2wAtomicFile *file)
{
    return file->stream;
}

gboolean w2w_atomic_file_commit(W2wAtomicFile *file, GError **error)
{
    FILE *stream = g_steal_pointer(&file->stream);
    gboolean ok;

    errno = 0;
    ok = fflush(stream) == 0 && !ferror(stream);
    if (!ok) { /* the failed write's own errno may be gone by now: a full disk is the usual cause */
        set_write_error(file, errno != 0 ? errno : ENOSPC, error);
        fclose(stream);
        return FALSE;
    }
    if (fclose(stream) != 0 || g_rename(file->temporary_path, file->path) != 0) {
        set_write_error(file, errno, error);
        return FALSE;
    }
    g_clear_pointer(&file->temporary_path, g_free);
    return TRUE;
}

void w2w_atomic_file_free(W2wAtomicFile *file)
{
    if (file == NULL)
        return;
    if (file->stream != NULL)
        fclose(file->stream);
    if (file->temporary_path != NULL)
        g_unlink(file->temporary_path);
    g_free(file->temporary_path);
    g_free(file->path);
    g_free(file);
}
