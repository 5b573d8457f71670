/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders and processes of the worker's tests. */
#include "tests/worker/worker_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char *root, *folder;

void worker_fixture_begin(int *argc, char ***argv)
{
    g_autofree char *cache = NULL;

    g_test_init(argc, argv, NULL);
    g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), ==, 0);
    root = g_dir_make_tmp("w2w-worker-XXXXXX", NULL);
    g_assert_nonnull(root);
    cache = g_build_filename(root, "cache", NULL);
    folder = g_build_filename(root, "w2w-worker", NULL);
    g_setenv("XDG_RUNTIME_DIR", root, TRUE);
    g_setenv("XDG_CACHE_HOME", cache, TRUE);
    g_setenv("W2W_WORKER_IDLE_SECONDS", "30", TRUE); /* where a test fails and kills none */
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    return remove(path);
}

int worker_fixture_end(int result)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    g_free(root);
    g_free(folder);
    return result;
}

const char *worker_fixture_get_folder(void)
{
    return folder;
}

W2wClient *worker_fixture_connect(gint32 parent_pid)
{
    const W2wClientOptions options = {.parent_pid = parent_pid};
    GError *error = NULL;
    W2wClient *client = w2w_client_connect(&options, &error);

    g_assert_no_error(error);
    g_assert_nonnull(client);
    return client;
}

gint32 worker_fixture_get_pid(W2wClient *client)
{
    W2wWorkerStatus status;
    GError *error = NULL;
    gint32 pid;

    w2w_client_get_status(client, &status, &error);
    g_assert_no_error(error);
    pid = status.pid;
    w2w_worker_status_clear(&status);
    return pid;
}

gboolean worker_fixture_wait_for_end(gint32 pid, guint seconds)
{
    const gint64 end = g_get_monotonic_time() + seconds * G_TIME_SPAN_SECOND;

    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (g_get_monotonic_time() > end)
            return FALSE;
        g_usleep(20 * 1000);
    }
    /* Killed by the test, or in order: what a sanitizer finds at the end is an exit status too. */
    if (pid > 0 && (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL))
        g_assert_cmpint(status, ==, 0);
    return TRUE;
}

void worker_fixture_kill(gint32 pid, int signal_number)
{
    g_assert_cmpint(kill(pid, signal_number), ==, 0);
    g_assert_true(worker_fixture_wait_for_end(pid, 20));
}

GVariant *worker_fixture_make_values(gint count, gint steps)
{
    GVariantDict values = G_VARIANT_DICT_INIT(NULL);

    g_variant_dict_insert(&values, "count", "i", count);
    g_variant_dict_insert(&values, "steps", "i", steps);
    g_variant_dict_insert(&values, "seed", "x", (gint64)42);
    g_variant_dict_insert(&values, "width", "i", 64);
    g_variant_dict_insert(&values, "height", "i", 64);
    return g_variant_dict_end(&values);
}

GPtrArray *worker_fixture_new_results(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)w2w_job_result_free);
}

void worker_fixture_add_result(W2wJobResult *result, gpointer results)
{
    g_ptr_array_add(results, result);
}
