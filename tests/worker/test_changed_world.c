/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A worker keeps a world for long: where a file of it was written to between two jobs, the next
 * one gets what the file holds now, and not the numbers of before.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "tests/worker/worker_fixture.h"

#define CHANGED "mean.pt" /* small, and every identity depends on it */

static void link_into(const char *from, const char *folder, const char *name)
{
    g_autofree char *target = g_build_filename(from, name, NULL);
    g_autofree char *link = g_build_filename(folder, name, NULL);

    g_assert_cmpint(symlink(target, link), ==, 0);
}

/* The embedded world by links, but for the file that will change: its path. */
static char *make_world(const char *folder)
{
    const char *world = w2w_world_get_default_directory();
    g_autofree char *from = g_build_filename(world, "space", NULL);
    g_autofree char *space = g_build_filename(folder, "space", NULL);
    g_autofree char *original = g_build_filename(from, CHANGED, NULL);
    char *path = g_build_filename(space, CHANGED, NULL);
    g_autofree char *contents = NULL;
    g_autoptr(GDir) dir = g_dir_open(from, 0, NULL);
    const char *name;
    gsize length;

    g_assert_cmpint(g_mkdir(space, 0700), ==, 0);
    while ((name = g_dir_read_name(dir)) != NULL)
        if (strcmp(name, CHANGED) != 0)
            link_into(from, space, name);
    link_into(world, folder, "model");
    link_into(world, folder, "clip"); /* where the model's tokenizer leads to */
    link_into(world, folder, "world.json");
    g_assert_true(g_file_get_contents(original, &contents, &length, NULL));
    g_assert_true(g_file_set_contents(path, contents, (gssize)length, NULL));
    return path;
}

static void remove_links(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK) && g_file_test(path, G_FILE_TEST_IS_DIR))
            remove_links(path);
        else
            g_unlink(path);
    }
    g_rmdir(folder);
}

static void write_again(const char *path)
{
    const int descriptor = g_open(path, O_RDWR, 0);
    char byte;

    g_assert_cmpint(pread(descriptor, &byte, 1, 0), ==, 1);
    g_assert_cmpint(pwrite(descriptor, &byte, 1, 0), ==, 1);
    close(descriptor);
}

static guint n_loads(W2wClient *client)
{
    W2wWorkerStatus status;
    guint n;

    g_assert_true(w2w_client_get_status(client, &status, NULL));
    n = status.n_loads;
    w2w_worker_status_clear(&status);
    return n;
}

static gboolean run(W2wClient *client, GError **error)
{
    g_autoptr(GPtrArray) results = worker_fixture_new_results();

    return w2w_client_run(client, "sample", worker_fixture_make_values(1, 1),
                          worker_fixture_add_result, results, NULL, error);
}

static void test_changed_between_jobs(void)
{
    g_autofree char *folder = g_dir_make_tmp("w2w-changed-XXXXXX", NULL);
    g_autofree char *path = make_world(folder);
    const W2wClientOptions options = {.world_directory = folder};
    g_autoptr(W2wClient) client = w2w_client_connect(&options, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(run(client, &error));
    g_assert_no_error(error);
    g_assert_true(run(client, &error));
    g_assert_cmpuint(n_loads(client), ==, 1);

    g_usleep(20 * 1000); /* the clock of modification times ticks in between */
    write_again(path);
    g_assert_true(run(client, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(n_loads(client), ==, 2);

    g_usleep(20 * 1000);
    g_assert_cmpint(truncate(path, 10), ==, 0);
    g_assert_false(run(client, &error));
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, CHANGED));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);

    worker_fixture_kill(worker_fixture_get_pid(client), SIGTERM);
    remove_links(folder);
}

int main(int argc, char **argv)
{
    worker_fixture_begin(&argc, &argv);
    g_test_add_func("/worker/changed-world/is-read-anew", test_changed_between_jobs);
    return worker_fixture_end(g_test_run());
}
