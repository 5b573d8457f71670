/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When workers start, when they leave, and what a client says when one dies. */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/error.h"
#include "tests/worker/worker_fixture.h"

static void run_small(W2wClient *client)
{
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    GError *error = NULL;

    w2w_client_run(client, "sample", worker_fixture_make_values(1, 1), worker_fixture_add_result,
                   results, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(results->len, ==, 1);
}

static void test_killed_between_calls(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    const gint32 pid = worker_fixture_get_pid(client);

    run_small(client);
    worker_fixture_kill(pid, SIGKILL); /* its socket stays behind */
    run_small(client);
    g_assert_cmpint(worker_fixture_get_pid(client), !=, pid);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGKILL);
    {
        g_autoptr(W2wClient) other = worker_fixture_connect(0);

        run_small(other);
        worker_fixture_kill(worker_fixture_get_pid(other), SIGTERM);
    }
}

static void kill_worker(double fraction, const char *text, gpointer user_data)
{
    gint32 *pid = user_data;

    if (*pid != 0)
        worker_fixture_kill(*pid, SIGKILL);
    *pid = 0;
}

static void test_killed_during_a_call(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();
    gint32 pid = worker_fixture_get_pid(client);
    const W2wProgress progress = {kill_worker, &pid, NULL};
    GError *error = NULL;

    g_assert_false(w2w_client_run(client, "sample",
                                  worker_fixture_make_values(LONG_COUNT, LONG_STEPS),
                                  worker_fixture_add_result, results, &progress, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FAILED);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, "ended unexpectedly"));
    g_assert_nonnull(strstr(error->message, ".log"));
    g_error_free(error);
    run_small(client);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
}

static gpointer connect_and_ask(gpointer data)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);

    return GINT_TO_POINTER(worker_fixture_get_pid(client));
}

static void test_one_worker_for_all(void)
{
    GThread *threads[6];
    gint32 pid = 0;

    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("client", connect_and_ask, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        const gint32 its_pid = GPOINTER_TO_INT(g_thread_join(threads[i]));

        g_assert_true(pid == 0 || pid == its_pid);
        pid = its_pid;
    }
    worker_fixture_kill(pid, SIGTERM);
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1); /* there was no other one */
}

/* A client that vanishes takes its job with it: the next one does not wait for minutes. */
static void test_vanished_client(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    const pid_t child = fork();
    W2wWorkerStatus status;
    gint64 start;

    if (child == 0) {
        execl("/proc/self/exe", "test", "--long-job", NULL);
        _exit(1);
    }
    do {
        g_usleep(20 * 1000);
        g_assert_true(w2w_client_get_status(client, &status, NULL));
        w2w_worker_status_clear(&status);
    } while (status.n_loads == 0);
    g_assert_false(worker_fixture_wait_for_end(child, 0));
    worker_fixture_kill(child, SIGKILL);
    start = g_get_monotonic_time();
    run_small(client);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 20 * G_TIME_SPAN_SECOND);
    g_assert_true(w2w_client_get_status(client, &status, NULL));
    g_assert_cmpuint(status.n_jobs, ==, 2);
    worker_fixture_kill(status.pid, SIGTERM);
    w2w_worker_status_clear(&status);
}

static int run_long_job(void)
{
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    g_autoptr(GPtrArray) results = worker_fixture_new_results();

    return w2w_client_run(client, "sample", worker_fixture_make_values(LONG_COUNT, LONG_STEPS),
                          worker_fixture_add_result, results, NULL, NULL)
               ? 0
               : 1;
}

static void test_idle(void)
{
    g_autofree char *before = g_strdup(g_getenv("W2W_WORKER_IDLE_SECONDS"));
    W2wClient *client;
    gint32 pid;

    g_setenv("W2W_WORKER_IDLE_SECONDS", "1", TRUE);
    client = worker_fixture_connect((gint32)getpid());
    g_setenv("W2W_WORKER_IDLE_SECONDS", before, TRUE);
    pid = worker_fixture_get_pid(client);
    g_assert_false(worker_fixture_wait_for_end(pid, 3)); /* not while somebody is connected */
    w2w_client_free(client);
    g_assert_true(worker_fixture_wait_for_end(pid, 10));
}

/*
 * The runtime folder is remade while a worker runs, as a log-out and a new session do: the old
 * worker leaves without taking the new one's socket, which lies at the same path.
 */
static void test_folder_made_anew(void)
{
    g_autofree char *before = g_strdup(g_getenv("W2W_WORKER_IDLE_SECONDS"));
    g_autofree char *aside = g_strconcat(worker_fixture_get_folder(), "-old", NULL);
    W2wClient *client;
    gint32 old, new;

    g_setenv("W2W_WORKER_IDLE_SECONDS", "3", TRUE);
    client = worker_fixture_connect((gint32)getpid());
    g_setenv("W2W_WORKER_IDLE_SECONDS", before, TRUE);
    old = worker_fixture_get_pid(client);
    w2w_client_free(client);
    g_assert_cmpint(g_rename(worker_fixture_get_folder(), aside), ==, 0);

    client = worker_fixture_connect((gint32)getpid());
    new = worker_fixture_get_pid(client);
    w2w_client_free(client);
    g_assert_cmpint(old, !=, new);
    g_assert_true(worker_fixture_wait_for_end(old, 15));
    client = worker_fixture_connect((gint32)getpid());
    g_assert_cmpint(worker_fixture_get_pid(client), ==, new);
    w2w_client_free(client);
    worker_fixture_kill(new, SIGTERM);
}

static pid_t start_parent(void)
{
    const pid_t parent = fork();

    if (parent == 0) {
        execlp("sleep", "sleep", "1000", NULL);
        _exit(1);
    }
    return parent;
}

static void test_parents_gone(void)
{
    const pid_t parents[2] = {start_parent(), start_parent()};
    W2wClient *client = worker_fixture_connect(parents[0]);
    const gint32 pid = worker_fixture_get_pid(client);

    w2w_client_free(client);
    client = worker_fixture_connect(parents[1]);
    g_assert_cmpint(worker_fixture_get_pid(client), ==, pid);
    w2w_client_free(client);
    worker_fixture_kill(parents[0], SIGKILL);
    g_assert_false(worker_fixture_wait_for_end(pid, 5)); /* one is left */
    client = worker_fixture_connect(0);
    worker_fixture_kill(parents[1], SIGKILL);
    g_assert_false(worker_fixture_wait_for_end(pid, 5)); /* a client is left */
    w2w_client_free(client);
    g_assert_true(worker_fixture_wait_for_end(pid, 10));
}

/* What a plug-in has open, GIMP's pipe first of all, must end with it. */
static void test_own_session(void)
{
    const int descriptor = memfd_create("w2w-of-the-test", 0);
    g_autoptr(W2wClient) client = worker_fixture_connect(0);
    const gint32 pid = worker_fixture_get_pid(client);
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", pid);
    g_autoptr(GDir) descriptors = g_dir_open(folder, 0, NULL);
    guint n_descriptors = 0;
    const char *name;

    g_assert_cmpint(descriptor, >=, 0);
    g_assert_cmpint(getsid(pid), ==, pid);
    while ((name = g_dir_read_name(descriptors)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        n_descriptors++;
        g_assert_nonnull(target);
        g_assert_null(strstr(target, "w2w-of-the-test"));
        g_assert_false(g_str_has_suffix(target, ".lock"));
        if (strcmp(name, "0") == 0)
            g_assert_cmpstr(target, ==, "/dev/null");
        if (strcmp(name, "1") == 0 || strcmp(name, "2") == 0)
            g_assert_true(g_str_has_suffix(target, ".log"));
    }
    g_assert_cmpuint(n_descriptors, >, 3);
    close(descriptor);
    worker_fixture_kill(pid, SIGTERM);
}

/*
 * GIMP kills a plug-in while it starts the worker, at any moment of it: the next one gets a worker
 * all the same, and no second one is left over.
 */
static void test_killed_while_starting(void)
{
    for (guint milliseconds = 0; milliseconds < 40; milliseconds += 4) {
        const pid_t child = fork();
        W2wClient *client;

        if (child == 0) {
            execl("/proc/self/exe", "test", "--long-job", NULL);
            _exit(1);
        }
        g_usleep(milliseconds * 1000);
        worker_fixture_kill(child, SIGKILL);
        client = worker_fixture_connect(0);
        run_small(client);
        worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
        w2w_client_free(client);
        /* What GLib forks in between may be ours now, and ends by itself; a worker would not. */
        g_assert_true(worker_fixture_wait_for_end(-1, 5));
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--long-job") == 0)
        return run_long_job();
    worker_fixture_begin(&argc, &argv);
    g_test_add_func("/worker/life/killed-between-calls", test_killed_between_calls);
    g_test_add_func("/worker/life/killed-during-a-call", test_killed_during_a_call);
    g_test_add_func("/worker/life/one-worker-for-all", test_one_worker_for_all);
    g_test_add_func("/worker/life/vanished-client", test_vanished_client);
    g_test_add_func("/worker/life/idle", test_idle);
    g_test_add_func("/worker/life/folder-made-anew", test_folder_made_anew);
    g_test_add_func("/worker/life/parents-gone", test_parents_gone);
    g_test_add_func("/worker/life/own-session", test_own_session);
    g_test_add_func("/worker/life/client-killed-while-starting", test_killed_while_starting);
    return worker_fixture_end(g_test_run());
}
