/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said about wrong words, what help there is; no picture is made here. */
#include <string.h>

#include "engine/formats/json.h"
#include "engine/job/job.h"
#include "tests/cli/cli_run.h"

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        g_error("“%s” is not in:\n%s", part, text);
}

/* A job that is added to the table is a command with help, without a line here. */
static void test_help_of_every_job(void)
{
    g_autoptr(CliResult) top = cli_run("--help", NULL);
    g_autoptr(CliResult) manual = cli_run("--man", NULL);

    cli_assert_code(top, 0);
    cli_assert_code(manual, 0);
    g_assert_cmpstr(top->err, ==, "");
    g_assert_true(g_str_has_prefix(manual->out, ".TH W2W 1 "));
    for (guint i = 0; w2w_jobs[i] != NULL; i++) {
        const W2wJob *job = w2w_jobs[i];
        g_autoptr(CliResult) help = cli_run(job->name, "--help", NULL);

        cli_assert_code(help, 0);
        assert_has(top->out, job->name);
        for (guint j = 0; j < job->n_parameters; j++) {
            g_autofree char *flag = g_strdup_printf("--%s", job->parameters[j].name);
            g_auto(GStrv) words = g_strsplit(job->parameters[j].name, "-", -1);
            g_autofree char *in_manual = g_strjoinv("\\-", words);

            assert_has(help->out, flag);
            assert_has(manual->out, in_manual);
        }
    }
}

/* No line of the help is wider than a terminal; examples are to be copied in one piece. */
static void test_help_fits_the_terminal(void)
{
    g_autoptr(CliResult) help = cli_run("edit", "-h", NULL);
    g_auto(GStrv) lines = g_strsplit(help->out, "\n", -1);

    cli_assert_code(help, 0);
    for (guint i = 0; lines[i] != NULL; i++)
        g_assert_cmpint(g_utf8_strlen(lines[i], -1), <=, 80);
}

static void test_version(void)
{
    g_autoptr(CliResult) result = cli_run("--version", NULL);

    cli_assert_code(result, 0);
    g_assert_true(g_str_has_prefix(result->out, "w2w "));
}

static void test_no_words(void)
{
    g_autoptr(CliResult) result = cli_run_words((const char *const[]){NULL});

    cli_assert_code(result, 2);
    g_assert_cmpstr(result->out, ==, "");
    assert_has(result->err, "Usage:");
}

/* Each is exit code 2, nothing on standard output, a sentence with these words. */
static const struct {
    const char *words; /* separated by spaces */
    const char *part;
} wrong[] = {
    {"sampel -o x", "did you mean “sample”?"},
    {"paint", "only: sample, edit, edit-picture, render"},
    {"--json", "Say what to do"},
    {"sample", "--output is missing"},
    {"edit -o x", "--identity is missing"},
    {"render --promt x -o x.png", "did you mean --prompt?"},
    {"render --zzzzzzzz x -o x.png", "no option --zzzzzzzz"},
    {"render -z x -o x.png", "no option -z"},
    {"sample -n 0 -o x", "count must be a whole number from 1 to 64"},
    {"sample -n 65 -o x", "count must be a whole number from 1 to 64"},
    {"sample -n four -o x", "not “four”"},
    {"sample --factor=3.5 -o x", "factor must be a number from 0 to 3"},
    {"sample --factor 1,5 -o x", "not “1,5”"},
    {"sample --seed -2 -o x", "seed must be"},
    {"sample --seed 9007199254740991 -n 2 -o x", "seed is too large"},
    {"sample -o", "-o needs a value"},
    {"sample --output= ", "needs the name"},
    {"sample --json=yes -o x", "--json takes no value"},
    {"sample more -o x", "one word too many"},
    {"sample --direction Young=1 -o x", "no option --direction"},
    {"render --scheduler magic -o x.png", "one of: world, pndm"},
    {"render --device gpu -o x.png", "cpu, reference"},
    {"render -o x.jpg", "must end in .png"},
    {"render -o /", "is a folder"},
    {"render --world a --model b -o x.png", "either it, or --model"},
    {"render --space b -o x.png", "--model too"},
    {"info a b", "one word too many"},
    {"bench magic", "one of: unet, vae-decode, vae-encode, text, render, load, train, invert"},
    {"bench --reps 0 unet", "reps must be a whole number from 1"},
    {"completion csh", "one of: bash"},
    {"render --dtype f16 -o x.png", "one of: auto, f32, bf16, f64"},
    {"help nothing", "no command of that name"},
};

static void test_wrong_words(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_auto(GStrv) words = g_strsplit(wrong[i].words, " ", -1);
        g_autoptr(CliResult) result = NULL;

        g_test_message("w2w %s", wrong[i].words);
        result = cli_run_words((const char *const *)words);
        cli_assert_code(result, 2);
        assert_has(result->err, wrong[i].part);
        assert_has(result->err, "--help");
        if (strstr(wrong[i].words, "--json") == NULL)
            g_assert_cmpstr(result->out, ==, "");
    }
}

/* A script that asked for JSON gets JSON, whatever happens. */
static void test_errors_as_json(void)
{
    const char *const failing[][8] = {
        {"sampel", "--json", NULL},
        {"sample", "--json", "-o", "x", "-n", "65", NULL},
        {"info", "--json", "/nowhere", NULL},
        {"render", "--json", "-o", "/dev/null/x.png", NULL},
    };

    for (guint i = 0; i < G_N_ELEMENTS(failing); i++) {
        g_autoptr(CliResult) result = cli_run_words(failing[i]);
        g_autoptr(JsonObject) json = NULL;
        g_autoptr(GError) error = NULL;

        g_assert_cmpint(result->code, !=, 0);
        json = w2w_json_parse(result->out, strlen(result->out), "output", &error);
        g_assert_no_error(error);
        assert_has(result->err, json_object_get_string_member(json, "error"));
    }
}

/* Found out before any work: no model is opened for it. */
static void test_output_that_cannot_be(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *file = g_build_filename(folder, "file", NULL);
    g_autofree char *below_file = g_build_filename(file, "people", NULL);
    g_autofree char *picture = g_build_filename(below_file, "x.png", NULL);
    g_autoptr(CliResult) sample = NULL;
    g_autoptr(CliResult) render = NULL;

    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    sample = cli_run("sample", "-o", below_file, NULL);
    render = cli_run("render", "-o", picture, NULL);
    cli_assert_code(sample, 1);
    cli_assert_code(render, 1);
    assert_has(sample->err, below_file);
    assert_has(render->err, below_file);
    cli_remove_folder(folder);
}

static void test_full_disk(void)
{
    const char *const words[] = {"--help", NULL};
    g_auto(GStrv) argv = cli_argv(words);
    g_autofree char *program = g_shell_quote(argv[0]);
    g_autofree char *command = g_strdup_printf("%s --help > /dev/full", program);
    const char *const shell[] = {"/bin/sh", "-c", command, NULL};
    g_autofree char *err = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_spawn_sync(NULL, (char **)shell, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &err, &status,
                 &error);
    g_assert_no_error(error);
    g_assert_false(g_spawn_check_wait_status(status, NULL));
    assert_has(err, "Standard output cannot be written");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/usage/help-of-every-job", test_help_of_every_job);
    g_test_add_func("/cli/usage/help-fits-the-terminal", test_help_fits_the_terminal);
    g_test_add_func("/cli/usage/version", test_version);
    g_test_add_func("/cli/usage/no-words", test_no_words);
    g_test_add_func("/cli/usage/wrong-words", test_wrong_words);
    g_test_add_func("/cli/usage/errors-as-json", test_errors_as_json);
    g_test_add_func("/cli/usage/output-that-cannot-be", test_output_that_cannot_be);
    g_test_add_func("/cli/usage/full-disk", test_full_disk);
    return g_test_run();
}
