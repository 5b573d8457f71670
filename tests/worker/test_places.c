/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which worker: its folder, its program, its version; and what is said where there is none. */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"
#include "tests/worker/worker_fixture.h"

static void refuse(const char *program, const char *pattern)
{
    const W2wClientOptions options = {.worker_path = program};
    GError *error = NULL;

    g_assert_null(w2w_client_connect(&options, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FAILED);
    g_test_message("%s", error->message);
    g_assert_true(g_pattern_match_simple(pattern, error->message));
    g_error_free(error);
}

static void test_mode(void)
{
    const char *folder = worker_fixture_get_folder();
    struct stat status;
    W2wClient *client = worker_fixture_connect(0);

    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
    w2w_client_free(client);
    g_assert_cmpint(stat(folder, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 07777, ==, 0700);
    g_assert_cmpint(chmod(folder, 0755), ==, 0);
    refuse(NULL, "*w2w-worker*0755*0700*");
    g_assert_cmpint(chmod(folder, 02700), ==, 0); /* as made in a parent with this bit */
    client = worker_fixture_connect(0);
    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
    w2w_client_free(client);
    g_assert_cmpint(chmod(folder, 0700), ==, 0);
}

static void test_symbolic_link(void)
{
    const char *folder = worker_fixture_get_folder();
    g_autofree char *aside = g_strconcat(folder, "-aside", NULL);

    g_assert_cmpint(g_rename(folder, aside), ==, 0);
    g_assert_cmpint(symlink(aside, folder), ==, 0);
    refuse(NULL, "*w2w-worker is no folder*");
    g_assert_cmpint(g_unlink(folder), ==, 0);
    g_assert_cmpint(g_rename(aside, folder), ==, 0);
}

static void test_no_program(void)
{
    refuse("/nowhere/w2w-worker", "*/nowhere/w2w-worker cannot be started*");
    refuse("/bin/false", "*/bin/false ended before it was ready*.log*");
}

static char *write_script(const char *text)
{
    g_autofree char *parent = g_path_get_dirname(worker_fixture_get_folder());
    char *path = g_build_filename(parent, "script", NULL);

    g_assert_true(
        g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0700, NULL));
    return path;
}

/* Two programs, two workers; one program that was built anew: the old one goes. */
static void test_other_build(void)
{
    g_autofree char *text =
        g_strdup_printf("#!/bin/sh\nexec \"%s\" \"$@\"\n", g_getenv("W2W_WORKER"));
    g_autofree char *text_anew = g_strconcat(text, "# anew\n", NULL);
    g_autofree char *path = write_script(text);
    const W2wClientOptions options = {.worker_path = path};
    g_autoptr(W2wClient) installed = worker_fixture_connect(0);
    g_autoptr(W2wClient) built = w2w_client_connect(&options, NULL);
    const gint32 installed_pid = worker_fixture_get_pid(installed);
    const gint32 built_pid = worker_fixture_get_pid(built);

    g_assert_cmpint(installed_pid, !=, built_pid);
    g_free(write_script(text_anew));
    {
        g_autoptr(W2wClient) anew = w2w_client_connect(&options, NULL);
        const gint32 pid = worker_fixture_get_pid(anew);

        g_assert_cmpint(pid, !=, built_pid);
        g_assert_true(worker_fixture_wait_for_end(built_pid, 10));
        g_assert_cmpint(worker_fixture_get_pid(built), ==,
                        pid); /* it found the new one by itself */
        worker_fixture_kill(pid, SIGTERM);
    }
    g_assert_cmpint(worker_fixture_get_pid(installed), ==, installed_pid);
    worker_fixture_kill(installed_pid, SIGTERM);
}

int main(int argc, char **argv)
{
    worker_fixture_begin(&argc, &argv);
    g_test_add_func("/worker/places/folder-with-wrong-mode-is-refused", test_mode);
    g_test_add_func("/worker/places/symbolic-link-is-refused", test_symbolic_link);
    g_test_add_func("/worker/places/no-program", test_no_program);
    g_test_add_func("/worker/places/other-build", test_other_build);
    return worker_fixture_end(g_test_run());
}
