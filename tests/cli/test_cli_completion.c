/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Completion in a bash of its own: the script is sourced, and asked as bash asks it. */
#include <glib/gstdio.h>
#include <string.h>

#include "engine/job/job.h"
#include "tests/cli/cli_run.h"

static char *script; /* a file with what w2w completion bash prints */
static char *folder; /* holds it, and files to complete: people.safetensors, "two words" */

/*
 * What is offered for the last of the words (separated by "|"), one a line. bash itself makes
 * "--name=value" three words.
 */
static char *complete(const char *words)
{
    static const char program[] =
        "source \"$1\" || exit 1\n"
        "cd \"$2\" || exit 1\n"
        "[[ $(complete -p w2w) == 'complete -F _w2w w2w' ]] || exit 1\n"
        "IFS='|' read -r -a COMP_WORDS <<< \"w2w|$3\"\n"
        "[[ $3 == *'|' || -z $3 ]] && COMP_WORDS+=('')\n"
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
        "_w2w w2w \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\" | sort\n";
    const char *argv[] = {"bash", "--norc", "-c", program, "bash", script, folder, words, NULL};
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    char *out = NULL;
    int status = 0;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_cmpstr(err, ==, "");
    g_assert_true(g_spawn_check_wait_status(status, &error));
    return g_strstrip(out);
}

static void assert_completes(const char *words, const char *expected)
{
    g_autofree char *offered = complete(words);

    g_test_message("%s", words);
    g_assert_cmpstr(offered, ==, expected);
}

static void assert_offers(const char *words, const char *one)
{
    g_autofree char *offered = complete(words);
    g_auto(GStrv) lines = g_strsplit(offered, "\n", -1);

    g_test_message("%s", words);
    if (!g_strv_contains((const char *const *)lines, one))
        g_error("%s: “%s” is not among:\n%s", words, one, offered);
}

static void test_commands(void)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++)
        assert_offers("", w2w_jobs[i]->name);
    assert_offers("", "info");
    assert_offers("", "completion");
    assert_completes("sam", "sample");
    assert_completes("--json|sam", "sample");
    assert_completes("--device|cpu|sam", "sample");
    assert_completes("--device|=|cpu|sam", "sample");
    assert_completes("help|sam", "sample");
    assert_completes("zz", "");
}

/* Every option of every job, and the general ones beside them. */
static void test_options(void)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++)
        for (guint j = 0; j < w2w_jobs[i]->n_parameters; j++) {
            const char *name = w2w_jobs[i]->parameters[j].name;
            g_autofree char *option = g_strconcat("--", name, NULL);
            g_autofree char *words = g_strconcat(w2w_jobs[i]->name, "|--", name, NULL);

            assert_offers(words, option);
        }
    assert_completes("sample|--jso", "--json");
    assert_completes("edit|--direc", "--direction");
    assert_completes("render|--direc", "");
    assert_completes("--dev", "--device");
}

static void test_values(void)
{
    assert_completes("render|--device|r", "reference");
    assert_completes("--device|", "cpu\nreference");
    assert_completes("render|--device|=|r", "reference");
    assert_completes("render|--device|=", "cpu\nreference");
    assert_completes("render|--scheduler|pn", "pndm");
    assert_completes("sample|-n|", "");
    assert_completes("sample|-o|peo", "people.safetensors");
    assert_completes("render|--identity|peo", "people.safetensors");
    assert_completes("render|--identity|=|peo", "people.safetensors");
    assert_completes("render|--identity|two", "two words");
}

static void test_arguments(void)
{
    assert_completes("info|peo", "people.safetensors");
    assert_completes("bench|vae", "vae-decode\nvae-encode");
    assert_completes("completion|", "bash");
    assert_completes("sample|", "");
}

int main(int argc, char **argv)
{
    static const char *const files[] = {"people.safetensors", "two words"};
    g_autoptr(CliResult) result = NULL;
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = cli_make_folder();
    script = g_build_filename(folder, "script.bash", NULL);
    result = cli_run("completion", "bash", NULL);
    cli_assert_code(result, 0);
    g_assert_true(g_file_set_contents(script, result->out, -1, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(folder, files[i], NULL);

        g_assert_true(g_file_set_contents(path, "", 0, NULL));
    }
    g_test_add_func("/cli/completion/commands", test_commands);
    g_test_add_func("/cli/completion/options", test_options);
    g_test_add_func("/cli/completion/values", test_values);
    g_test_add_func("/cli/completion/arguments", test_arguments);
    status = g_test_run();
    cli_remove_folder(folder);
    return status;
}
