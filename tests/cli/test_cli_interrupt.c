/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ctrl-C at the worst moments, and the line of progress, on a terminal of the test's own. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/w2w/identity.h"
#include "engine/w2w/world.h"
#include "tests/cli/cli_run.h"

/* Long enough to be in the middle of it. */
#define LONG "--width=64", "--height=64", "--steps=900"

typedef struct {
    GPid pid;
    int terminal; /* what the program writes to its terminal: standard error */
    int out;      /* and to standard output, a pipe */
} Running;

/* Starts the program with standard error on a terminal. */
static Running start(const char *const *words)
{
    g_auto(GStrv) argv = cli_argv(words);
    g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "TERM", "xterm", TRUE);
    g_autoptr(GError) error = NULL;
    Running running;
    int theirs;

    running.terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(running.terminal, >=, 0);
    g_assert_cmpint(grantpt(running.terminal), ==, 0);
    g_assert_cmpint(unlockpt(running.terminal), ==, 0);
    theirs = open(ptsname(running.terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(theirs, >=, 0);
    g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)argv,
                                     (const char *const *)environment, G_SPAWN_DO_NOT_REAP_CHILD,
                                     NULL, NULL, -1, -1, theirs, NULL, NULL, 0, &running.pid, NULL,
                                     &running.out, NULL, &error);
    g_assert_no_error(error);
    close(theirs);
    return running;
}

/* Reads until `part` has come; everything so far is in `text`. FALSE at the end of the stream. */
static gboolean read_until(int descriptor, GString *text, const char *part)
{
    while (part == NULL || strstr(text->str, part) == NULL) {
        char buffer[4096];
        const gssize n = read(descriptor, buffer, sizeof buffer);

        if (n <= 0)
            return FALSE;
        g_string_append_len(text, buffer, n);
    }
    return TRUE;
}

static int finish(Running *running, GString *terminal, GString *out)
{
    int status = 0;

    read_until(running->out, out, NULL);
    read_until(running->terminal, terminal, NULL);
    g_assert_cmpint(waitpid(running->pid, &status, 0), ==, running->pid);
    close(running->out);
    close(running->terminal);
    return status;
}

static void assert_cancelled(int status, const GString *terminal)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        g_error("Status %d; the terminal shows: %s", status, terminal->str);
    g_assert_nonnull(strstr(terminal->str, "Cancelled"));
}

/* In the middle of a picture: nothing is left, not even a temporary file. */
static void test_nothing_is_left(gconstpointer data)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x.png", NULL);
    const char *const words[] = {"render", "-o", path, "--seed=1", LONG, NULL};
    g_autoptr(GString) terminal = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *files = NULL;
    Running running = start(words);

    g_assert_true(read_until(running.terminal, terminal, " 1 % "));
    kill(running.pid, GPOINTER_TO_INT(data));
    assert_cancelled(finish(&running, terminal, out), terminal);
    g_assert_cmpstr(out->str, ==, "");
    files = cli_list_folder(folder);
    g_assert_cmpstr(files, ==, "");
    cli_remove_folder(folder);
}

/* An old file stays what it was. */
static void test_old_file_stays(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x.png", NULL);
    const char *const words[] = {"render", "-o", path, "--seed=1", LONG, NULL};
    g_autoptr(GString) terminal = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *contents = NULL;
    Running running;

    g_assert_true(g_file_set_contents(path, "old", 3, NULL));
    running = start(words);
    g_assert_true(read_until(running.terminal, terminal, " 1 % "));
    kill(running.pid, SIGINT);
    assert_cancelled(finish(&running, terminal, out), terminal);
    g_assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    g_assert_cmpstr(contents, ==, "old");
    cli_remove_folder(folder);
}

/* Between two of many people: those that were finished are whole, of the next one there is nothing.
 */
static void test_finished_files_stay(void)
{
    g_autofree char *folder = cli_make_folder();
    const char *const words[] = {"sample",     "-n",          "64",        "-o",       folder,
                                 "--width=32", "--height=32", "--steps=2", "--seed=1", NULL};
    g_autoptr(GString) terminal = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_auto(GStrv) paths = NULL;
    g_auto(GStrv) files = NULL;
    g_autofree char *list = NULL;
    guint n = 0;
    Running running = start(words);

    g_assert_true(read_until(running.out, out, "person-2.png\n"));
    kill(running.pid, SIGINT);
    assert_cancelled(finish(&running, terminal, out), terminal);
    g_assert_nonnull(strstr(terminal->str, "so far are kept"));
    paths = g_strsplit(out->str, "\n", -1);
    for (; paths[n] != NULL && *paths[n] != 0; n++) {
        g_autoptr(W2wIdentity) identity = NULL;

        g_assert_true(g_file_test(paths[n], G_FILE_TEST_IS_REGULAR));
        if (!g_str_has_suffix(paths[n], ".safetensors"))
            continue;
        identity = w2w_identity_load(paths[n], NULL);
        g_assert_nonnull(identity);
    }
    list = cli_list_folder(folder);
    files = g_strsplit(list, " ", -1);
    g_assert_cmpuint(n, ==, g_strv_length(files));
    g_assert_cmpuint(n, >=, 4);
    g_assert_cmpuint(n, <, 128);
    cli_remove_folder(folder);
}

/* A search that is stopped keeps the best that it had found, and the next call goes on from it. */
static void test_best_is_kept(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "best.safetensors", NULL);
    g_autofree char *next = g_build_filename(folder, "next.safetensors", NULL);
    g_autofree char *face =
        g_build_filename(w2w_world_get_default_directory(), "faces", "person_05_0.png", NULL);
    const char *const words[] = {"invert", face, "-o", path, "--steps=100000", "--seed=3", NULL};
    g_autoptr(GString) terminal = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(W2wIdentity) identity = NULL;
    g_autoptr(CliResult) result = NULL;
    g_autofree char *files = NULL;
    Running running = start(words);

    g_assert_true(read_until(running.terminal, terminal, "Step 2 of"));
    kill(running.pid, SIGINT);
    assert_cancelled(finish(&running, terminal, out), terminal);
    g_assert_nonnull(strstr(terminal->str, "Stopped after"));
    g_assert_nonnull(strstr(terminal->str, "so far are kept"));
    g_assert_nonnull(strstr(out->str, path));
    files = cli_list_folder(folder);
    g_assert_cmpstr(files, ==, "best.safetensors");
    identity = w2w_identity_load(path, NULL);
    g_assert_nonnull(identity);
    result = cli_run("invert", face, "-o", next, "--from", path, "--steps=1", "--no-picture",
                     "--seed=3", NULL);
    cli_assert_code(result, 0);
    cli_remove_folder(folder);
}

/* So does a training: the LoRA of the steps until then, which render takes. */
static void test_lora_is_kept(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "so-far.safetensors", NULL);
    g_autofree char *shown = g_build_filename(folder, "shown.png", NULL);
    g_autofree char *lora_option = g_strconcat("--lora=", path, NULL);
    g_autofree char *faces = g_build_filename(w2w_world_get_default_directory(), "faces", NULL);
    const char *const words[] = {"dreambooth",       faces,          "-o", path,
                                 "--prior-weight=0", "--steps=9999", NULL};
    g_autoptr(GString) terminal = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(CliResult) result = NULL;
    g_autofree char *files = NULL;
    Running running = start(words);

    g_assert_true(read_until(running.terminal, terminal, "Step 2 of"));
    kill(running.pid, SIGINT);
    assert_cancelled(finish(&running, terminal, out), terminal);
    g_assert_nonnull(strstr(terminal->str, "iB of memory"));
    g_assert_nonnull(strstr(terminal->str, "Stopped after"));
    g_assert_nonnull(strstr(terminal->str, "so far are kept"));
    g_assert_nonnull(strstr(out->str, path));
    files = cli_list_folder(folder);
    g_assert_cmpstr(files, ==, "so-far.safetensors");
    result =
        cli_run("render", lora_option, "--steps=2", "--width=32", "--height=32", "-o", shown, NULL);
    cli_assert_code(result, 0);
    cli_remove_folder(folder);
}

/* One line, rewritten, and gone at the end: what stays on the terminal is what was to be said. */
static void test_progress_on_a_terminal(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "x.png", NULL);
    const char *const words[] = {"render",     "-o",          path,        "--seed=1",
                                 "--width=32", "--height=32", "--steps=4", NULL};
    g_autoptr(GString) terminal = g_string_new(NULL);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *expected = g_strdup_printf("%s\n", path);
    Running running = start(words);
    const int status = finish(&running, terminal, out);

    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    g_assert_cmpstr(out->str, ==, expected);
    g_assert_nonnull(strstr(terminal->str, "\r\033[K"));
    g_assert_nonnull(strstr(terminal->str, " % "));
    g_assert_null(strchr(terminal->str, '\n'));
    g_assert_true(g_str_has_suffix(terminal->str, "\r\033[K"));
    cli_remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/cli/interrupt/ctrl-c-leaves-nothing", GINT_TO_POINTER(SIGINT),
                         test_nothing_is_left);
    g_test_add_data_func("/cli/interrupt/sigterm-leaves-nothing", GINT_TO_POINTER(SIGTERM),
                         test_nothing_is_left);
    g_test_add_func("/cli/interrupt/old-file-stays", test_old_file_stays);
    g_test_add_func("/cli/interrupt/finished-files-stay", test_finished_files_stay);
    g_test_add_func("/cli/interrupt/best-is-kept", test_best_is_kept);
    g_test_add_func("/cli/interrupt/lora-is-kept", test_lora_is_kept);
    g_test_add_func("/cli/interrupt/progress-on-a-terminal", test_progress_on_a_terminal);
    return g_test_run();
}
