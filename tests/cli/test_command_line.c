/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser on commands made for it, and what every real command must keep to for it. */
#include <glib/gstdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "engine/error.h"

static const char *const colours[] = {"red", "green", NULL};

static const W2wParameter parameters[] = {
    {.name = "quiet", .short_name = 'q', .type = W2W_PARAMETER_SWITCH, .blurb = "Less."},
    {.name = "people", .type = W2W_PARAMETER_IDENTITIES, .blurb = "Who."},
    {.name = "lora", .type = W2W_PARAMETER_LORAS, .blurb = "What."},
    {.name = "picture", .type = W2W_PARAMETER_PICTURE, .blurb = "A picture."},
    {.name = "view", .type = W2W_PARAMETER_PICTURES, .blurb = "One more."},
    {.name = "file",
     .type = W2W_PARAMETER_PATH,
     .flags = W2W_PARAMETER_REQUIRED,
     .blurb = "The file."},
    {.name = "colour",
     .type = W2W_PARAMETER_CHOICE,
     .string = "red",
     .choices = colours,
     .blurb = "Which."},
};

static const W2wCommand made_command = {
    .name = "make",
    .arguments = "FILE",
    .argument_parameter = "file",
    .blurb = "Make.",
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
};
static const W2wCommand *const made_commands[] = {&made_command, NULL};

static W2wCommandLine *parse(const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    const W2wCommand *command;
    W2wCommandLine *line =
        w2w_command_line_parse(made_commands, (const char *const *)words, &command, error);

    g_assert_true(command == NULL || command == &made_command);
    return line;
}

/* A switch takes no second word, so the command behind it is found. */
static void test_switches(void)
{
    const char *const on[] = {"make --quiet f", "--quiet make f", "-q make f", "make f -q",
                              "--json -q make f"};
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(on); i++) {
        g_autoptr(W2wCommandLine) line = parse(on[i], &error);

        g_assert_no_error(error);
        g_assert_true(w2w_values_get_switch(line->values, "quiet"));
        g_assert_cmpstr(w2w_values_get_string(line->values, "file"), ==, "f");
    }
    {
        g_autoptr(W2wCommandLine) line = parse("--colour green make -- -f", &error);

        g_assert_no_error(error);
        g_assert_false(w2w_values_get_switch(line->values, "quiet"));
        g_assert_cmpuint(w2w_values_get_choice(line->values, "colour"), ==, 1);
        g_assert_cmpstr(w2w_values_get_string(line->values, "file"), ==, "-f");
    }
}

static void test_lists(void)
{
    g_autofree char *folder = g_dir_make_tmp("w2w-line-XXXXXX", NULL);
    g_autofree char *a = g_build_filename(folder, "a", NULL);
    g_autofree char *b = g_build_filename(folder, "b:1", NULL);
    g_autofree char *text =
        g_strdup_printf("make --people %s:0.25 --lora x --people=%s --lora y:-2 --picture %s "
                        "--picture %s --view %s --view=%s f",
                        a, b, b, a, a, b);
    g_autoptr(W2wCommandLine) line = NULL;
    g_autoptr(GError) error = NULL;
    double weight;

    g_assert_true(g_file_set_contents(a, "A", 1, NULL) && g_file_set_contents(b, "B", 1, NULL));
    line = parse(text, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(w2w_values_get_n_items(line->values, "people"), ==, 2);
    g_assert_cmpmem(g_bytes_get_data(w2w_values_get_item(line->values, "people", 0, &weight), NULL),
                    1, "A", 1);
    g_assert_cmpfloat(weight, ==, 0.25);
    g_assert_cmpmem(g_bytes_get_data(w2w_values_get_item(line->values, "people", 1, &weight), NULL),
                    1, "B", 1);
    g_assert_cmpfloat(weight, ==, 1.0);
    g_assert_cmpuint(w2w_values_get_n_items(line->values, "lora"), ==, 2);
    g_assert_cmpstr(g_bytes_get_data(w2w_values_get_item(line->values, "lora", 1, &weight), NULL),
                    ==, "y");
    g_assert_cmpfloat(weight, ==, -2.0);
    /* Pictures have no weights: a colon is part of the name. */
    g_assert_cmpuint(w2w_values_get_n_items(line->values, "view"), ==, 2);
    g_assert_cmpmem(g_bytes_get_data(w2w_values_get_item(line->values, "view", 1, &weight), NULL),
                    1, "B", 1);
    g_assert_cmpfloat(weight, ==, W2W_DEFAULT_WEIGHT);
    /* Not a list: the last one counts. */
    g_assert_cmpmem(g_bytes_get_data(w2w_values_get_bytes(line->values, "picture"), NULL), 1, "A",
                    1);
    g_unlink(a);
    g_unlink(b);
    g_rmdir(folder);
}

static void test_refused(void)
{
    const struct {
        const char *text, *part;
    } cases[] = {
        {"make", "FILE is missing. (The file.)"}, {"make a b", "“b” is one word too many"},
        {"make --quiet=1 f", "takes no value"},   {"make -qx f", "takes no value"},
        {"make --lora= f", "needs the name"},     {"make ", "FILE needs the name"},
        {"make --people= f", "needs the name"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(parse(cases[i].text, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        if (strstr(error->message, cases[i].part) == NULL)
            g_error("%s: %s", cases[i].text, error->message);
    }
}

typedef struct {
    GHashTable *seen; /* name → "switch" or "value" */
    const char *command;
} Names;

static void note(Names *names, const char *name, gboolean is_switch)
{
    const char *kind = is_switch ? "switch" : "value";
    const char *before = g_hash_table_lookup(names->seen, name);

    if (before != NULL && strcmp(before, kind) != 0)
        g_error("The option %s of %s is a %s here and a %s elsewhere: then the command of a line "
                "that begins with it cannot be found.",
                name, names->command, kind, before);
    g_hash_table_insert(names->seen, (gpointer)g_intern_string(name), (gpointer)kind);
}

static void note_table(Names *names, const W2wParameter *table, guint n)
{
    for (guint i = 0; i < n; i++) {
        const char short_name[] = {'-', table[i].short_name, 0};

        note(names, table[i].name, table[i].type == W2W_PARAMETER_SWITCH);
        if (table[i].short_name != 0)
            note(names, short_name, table[i].type == W2W_PARAMETER_SWITCH);
    }
}

/* No name takes a value in one command and none in another. */
static void test_switches_are_switches_everywhere(void)
{
    const W2wCommand *const *commands = w2w_commands();
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    Names names = {seen, "w2w"};

    for (guint i = 0; i < w2w_n_switches; i++) {
        const char short_name[] = {'-', w2w_switches[i].short_name, 0};

        note(&names, w2w_switches[i].name, TRUE);
        if (w2w_switches[i].short_name != 0)
            note(&names, short_name, TRUE);
    }
    note_table(&names, w2w_general_parameters, w2w_n_general_parameters);
    for (guint i = 0; i < W2W_N_EDIT_OPTIONS; i++)
        note(&names, w2w_edit_options[i].name, FALSE);
    for (guint i = 0; commands[i] != NULL; i++) {
        names.command = commands[i]->name;
        note_table(&names, commands[i]->parameters, commands[i]->n_parameters);
        note_table(&names, commands[i]->own_parameters, commands[i]->n_own_parameters);
    }
    g_assert_cmpuint(g_hash_table_size(seen), >, 20);
}

static gboolean has_parameter(const W2wCommand *command, const char *name)
{
    return w2w_parameter_lookup(command->parameters, command->n_parameters, name) != NULL ||
           w2w_parameter_lookup(command->own_parameters, command->n_own_parameters, name) != NULL;
}

/* No name means two things in one command; its argument is a parameter that it has. */
static void test_commands_are_sane(void)
{
    const W2wCommand *const *commands = w2w_commands();
    g_autoptr(GHashTable) groups = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; commands[i] != NULL; i++) {
        const W2wCommand *command = commands[i];

        g_test_message("%s", command->name);
        g_assert_nonnull(command->group); /* one heading each: they stand together */
        if (i == 0 || strcmp(command->group, commands[i - 1]->group) != 0)
            g_assert_true(g_hash_table_add(groups, (gpointer)command->group));
        g_assert_nonnull(command->run);
        g_assert_nonnull(command->blurb);
        for (guint j = 0; j < command->n_parameters + command->n_own_parameters; j++) {
            const W2wParameter *parameter =
                j < command->n_parameters ? &command->parameters[j]
                                          : &command->own_parameters[j - command->n_parameters];

            g_test_message("  --%s", parameter->name);
            g_assert_nonnull(parameter->blurb);
            g_assert_null(w2w_parameter_lookup(w2w_general_parameters, w2w_n_general_parameters,
                                               parameter->name));
            if (j >= command->n_parameters)
                g_assert_null(w2w_parameter_lookup(command->parameters, command->n_parameters,
                                                   parameter->name));
        }
        if (command->argument_parameter != NULL) {
            g_assert_true(has_parameter(command, command->argument_parameter));
            g_assert_nonnull(command->arguments);
        }
        if (command->job != NULL) /* aborts where it has no row */
            w2w_output_get_parameter(command->job);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/command-line/switches", test_switches);
    g_test_add_func("/cli/command-line/lists", test_lists);
    g_test_add_func("/cli/command-line/refused", test_refused);
    g_test_add_func("/cli/command-line/switches-are-switches-everywhere",
                    test_switches_are_switches_everywhere);
    g_test_add_func("/cli/command-line/commands-are-sane", test_commands_are_sane);
    return g_test_run();
}
