/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The private folder of sockets. */
#include "client/worker_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/protocol.h"
#include "engine/error.h"

#define FOLDER        "w2w-worker"
#define N_HASH        16 /* hexadecimal digits of a name */
#define LOCK_INTERVAL (10 * 1000)

static gboolean check_folder(const char *folder, GError **error)
{
    g_autofree char *shown = g_filename_display_name(folder);
    struct stat status;

    if (g_mkdir_with_parents(folder, 0700) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The folder %s for the worker's socket cannot be made: %s.", shown,
                    g_strerror(errno));
        return FALSE;
    }
    if (lstat(folder, &status) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED, "The folder %s cannot be read: %s.", shown,
                    g_strerror(errno));
        return FALSE;
    }
    if (!S_ISDIR(status.st_mode)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "%s is no folder, but the worker's socket has to lie in one: remove it.",
                    shown);
        return FALSE;
    }
    if (status.st_uid != geteuid()) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The folder %s for the worker's socket belongs to another user: remove it.",
                    shown);
        return FALSE;
    }
    /* A parent that hands its group down (setgid) lets nobody in. */
    if ((status.st_mode & 0777) != 0700) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The folder %s for the worker's socket has the mode %04o instead of 0700, so "
                    "that others might reach it: remove it, or run “chmod 700” on it.",
                    shown, (guint)(status.st_mode & 0777));
        return FALSE;
    }
    return TRUE;
}

gboolean w2w_worker_places_init(W2wWorkerPlaces *places, const char *program, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(program, NULL);
    g_autofree char *key = g_strconcat(W2W_PROTOCOL_PROGRAM, " ", absolute, NULL);
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);
    /* A session that names a folder which is not there (a container, a bare login) has the cache.
     */
    const char *parent = g_file_test(g_get_user_runtime_dir(), G_FILE_TEST_IS_DIR)
                             ? g_get_user_runtime_dir()
                             : g_get_user_cache_dir();
    g_autofree char *folder = g_build_filename(parent, FOLDER, NULL);
    g_autofree char *socket = NULL;
    g_autofree char *log = NULL;

    hash[N_HASH] = 0;
    socket = g_strconcat(folder, "/", hash, NULL);
    log = g_strconcat("worker-", hash, ".log", NULL);
    if (strlen(socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        g_autofree char *shown = g_filename_display_name(folder);

        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The path of the folder %s is too long for a socket in it: set "
                    "XDG_RUNTIME_DIR to a shorter one.",
                    shown);
        return FALSE;
    }
    if (!check_folder(folder, error))
        return FALSE;
    places->program = g_steal_pointer(&absolute);
    places->lock = g_strconcat(socket, W2W_PROTOCOL_LOCK_SUFFIX, NULL);
    places->socket = g_steal_pointer(&socket);
    places->log = g_build_filename(g_get_user_cache_dir(), FOLDER, log, NULL);
    return TRUE;
}

void w2w_worker_places_clear(W2wWorkerPlaces *places)
{
    g_clear_pointer(&places->program, g_free);
    g_clear_pointer(&places->socket, g_free);
    g_clear_pointer(&places->lock, g_free);
    g_clear_pointer(&places->log, g_free);
}

int w2w_worker_places_lock(const W2wWorkerPlaces *places, guint seconds, GError **error)
{
    const gint64 end = g_get_monotonic_time() + seconds * (gint64)G_USEC_PER_SEC;
    const int descriptor =
        open(places->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    g_autofree char *shown = g_filename_display_name(places->lock);

    if (descriptor < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED, "The file %s cannot be opened: %s.", shown,
                    g_strerror(errno));
        return -1;
    }
    while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || g_get_monotonic_time() >= end) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                        "Somebody else has been starting the worker for %u seconds (the file %s is "
                        "locked). Try again.",
                        seconds, shown);
            close(descriptor);
            return -1;
        }
        g_usleep(LOCK_INTERVAL);
    }
    return descriptor;
}
