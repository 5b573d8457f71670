/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting the program, and folders for what it writes. */
#include "tests/cli/cli_run.h"

#include <glib/gstdio.h>
#include <sys/wait.h>

void cli_result_free(CliResult *result)
{
    g_free(result->out);
    g_free(result->err);
    g_free(result);
}

char **cli_argv(const char *const *words)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const char *program = g_getenv("W2W_CLI");

    if (program == NULL)
        g_error("W2W_CLI must name the built program.");
    g_ptr_array_add(argv, g_strdup(program));
    for (guint i = 0; words[i] != NULL; i++)
        g_ptr_array_add(argv, g_strdup(words[i]));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}

CliResult *cli_run_words(const char *const *words)
{
    g_auto(GStrv) argv = cli_argv(words);
    CliResult *result = g_new0(CliResult, 1);
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &result->out, &result->err, &status,
                 &error);
    g_assert_no_error(error);
    result->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return result;
}

CliResult *cli_run(const char *first, ...)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    va_list arguments;

    va_start(arguments, first);
    for (const char *word = first; word != NULL; word = va_arg(arguments, const char *))
        g_ptr_array_add(words, (gpointer)word);
    va_end(arguments);
    g_ptr_array_add(words, NULL);
    return cli_run_words((const char *const *)words->pdata);
}

void cli_assert_code(const CliResult *result, int code)
{
    if (result->code != code)
        g_error("Exit code %d, not %d. Standard output:\n%s\nStandard error:\n%s", result->code,
                code, result->out, result->err);
}

char *cli_make_folder(void)
{
    g_autoptr(GError) error = NULL;
    char *path = g_dir_make_tmp("w2w-cli-XXXXXX", &error);

    g_assert_no_error(error);
    return path;
}

void cli_remove_folder(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            cli_remove_folder(child);
        else
            g_unlink(child);
    }
    g_rmdir(path);
}

static gint compare_names(gconstpointer first, gconstpointer second)
{
    return g_strcmp0(*(const char *const *)first, *(const char *const *)second);
}

char *cli_list_folder(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    g_assert_nonnull(folder);
    while ((name = g_dir_read_name(folder)) != NULL)
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(" ", (char **)names->pdata);
}
