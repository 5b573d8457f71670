/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's start, seen through a pipe that it answers on. */
#include "client/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/protocol.h"
#include "engine/error.h"

#define START_SECONDS 10
#define MAX_ANSWER    4096

char *w2w_launch_get_build(const W2wWorkerPlaces *places)
{
    struct stat status;

    if (stat(places->program, &status) != 0)
        return g_strdup("");
    return g_strdup_printf("%" G_GINT64_FORMAT ".%09ld-%" G_GINT64_FORMAT "-%" G_GUINT64_FORMAT,
                           (gint64)status.st_mtim.tv_sec, (long)status.st_mtim.tv_nsec,
                           (gint64)status.st_size, (guint64)status.st_ino);
}

/* Between fork and exec: only what is async-signal-safe. */
static void enter_session(gpointer data)
{
    setsid();
}

/* A worker without a log is better than none. */
static int open_log(const W2wWorkerPlaces *places)
{
    g_autofree char *folder = g_path_get_dirname(places->log);
    int descriptor = -1;

    if (g_mkdir_with_parents(folder, 0700) == 0)
        descriptor = open(places->log,
                          O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return descriptor >= 0 ? descriptor : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static gboolean spawn(const W2wWorkerPlaces *places, int lock, int ready, int log, GError **error)
{
    g_autofree char *build = w2w_launch_get_build(places);
    const char *const arguments[] = {
        places->program, "--socket", places->socket, "--build", build, "--started-by-client", NULL};
    const int sources[] = {ready, lock};
    const int targets[] = {W2W_PROTOCOL_READY_FD, W2W_PROTOCOL_LOCK_FD};
    g_autofree char *shown = g_filename_display_name(places->program);
    g_autoptr(GError) problem = NULL;

    if (g_spawn_async_with_pipes_and_fds("/", arguments, NULL, G_SPAWN_DEFAULT, enter_session, NULL,
                                         -1, log, log, sources, targets, G_N_ELEMENTS(sources),
                                         NULL, NULL, NULL, NULL, &problem))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                "The worker %s cannot be started: %s. Install Weights2Weights again, or set "
                "W2W_WORKER to where it is.",
                shown, problem->message);
    return FALSE;
}

/* What the worker writes until it closes the pipe; FALSE when it takes too long. */
static gboolean read_answer(int descriptor, char *answer /* (MAX_ANSWER) */)
{
    const gint64 end = g_get_monotonic_time() + START_SECONDS * G_TIME_SPAN_SECOND;
    gsize n = 0;

    while (n < MAX_ANSWER - 1) {
        struct pollfd waiting = {descriptor, POLLIN, 0};
        const gint64 left = end - g_get_monotonic_time();
        gssize n_read;

        if (left <= 0)
            return FALSE;
        if (poll(&waiting, 1, (int)(left / 1000) + 1) <= 0)
            continue;
        n_read = read(descriptor, answer + n, MAX_ANSWER - 1 - n);
        if (n_read == 0 || (n_read < 0 && errno != EINTR && errno != EAGAIN))
            break;
        n += MAX(n_read, 0);
        answer[n] = 0;
        if (strcmp(answer, W2W_PROTOCOL_READY) == 0) /* a script around it may keep the pipe open */
            break;
    }
    answer[n] = 0;
    return TRUE;
}

gboolean w2w_launch(const W2wWorkerPlaces *places, int lock, GError **error)
{
    g_autofree char *shown = g_filename_display_name(places->program);
    g_autofree char *log = g_filename_display_name(places->log);
    char answer[MAX_ANSWER];
    gboolean started, answered;
    int ends[2], output;

    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return FALSE;
    output = open_log(places);
    started = spawn(places, lock, ends[1], output, error);
    close(ends[1]);
    if (output >= 0)
        close(output);
    answered = started && read_answer(ends[0], answer);
    close(ends[0]);
    if (!started)
        return FALSE;
    if (!answered) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The worker %s did not answer within %d seconds of its start (log: %s).", shown,
                    START_SECONDS, log);
        return FALSE;
    }
    if (strcmp(answer, W2W_PROTOCOL_READY) == 0)
        return TRUE;
    if (*answer != 0 && g_utf8_validate(answer, -1, NULL))
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED, "%s", answer);
    else
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The worker %s ended before it was ready (log: %s).", shown, log);
    return FALSE;
}
