/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Help, written from the declarations. */
#include "cli/help.h"

#include <string.h>

#include "cli/commands.h"
#include "engine/error.h"

#define WIDTH         80
#define OPTION_COLUMN 28

const char *const w2w_help_examples[] = {
    "w2w sample -n 4 --seed 1 -o people",
    "w2w edit --identity people/person-1.safetensors --direction Young=-0.8 -o old.safetensors",
    "w2w render --identity old.safetensors --prompt \"sks person with a hat\" -o hat.png",
    "w2w info people/person-1.safetensors",
    NULL,
};

/* What stands for the value of a parameter; NULL for a switch. Caller frees. */
static char *value_word(const W2wParameter *parameter)
{
    switch (parameter->type) {
    case W2W_PARAMETER_INT:
    case W2W_PARAMETER_SEED:
        return g_strdup("N");
    case W2W_PARAMETER_DOUBLE:
        return g_strdup("X");
    case W2W_PARAMETER_STRING:
        return g_strdup("TEXT");
    case W2W_PARAMETER_CHOICE:
        return g_strjoinv("|", (char **)parameter->choices);
    case W2W_PARAMETER_EDITS:
        return g_strdup("EDITS");
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PICTURES:
        return g_strdup("FILE");
    case W2W_PARAMETER_IDENTITIES:
        /* One weight alone is none to choose. */
        return g_strdup(parameter->minimum == 0.0 || parameter->minimum < parameter->maximum
                            ? "FILE[:WEIGHT]"
                            : "FILE");
    case W2W_PARAMETER_LORAS:
        return g_strdup("FILE[:STRENGTH]");
    case W2W_PARAMETER_PATH:
        return g_strdup("PATH");
    case W2W_PARAMETER_SWITCH:
        return NULL;
    }
    g_assert_not_reached();
}

char *w2w_help_synopsis(const W2wCommand *command)
{
    GString *text = g_string_new("w2w ");
    const struct {
        const W2wParameter *parameters;
        guint n;
    } tables[] = {{command->parameters, command->n_parameters},
                  {command->own_parameters, command->n_own_parameters}};

    g_string_append_printf(text, "%s [OPTION]…", command->name);
    for (guint t = 0; t < G_N_ELEMENTS(tables); t++)
        for (guint i = 0; i < tables[t].n; i++) {
            const W2wParameter *parameter = &tables[t].parameters[i];
            g_autofree char *value = value_word(parameter);

            if (!(parameter->flags & W2W_PARAMETER_REQUIRED) ||
                g_strcmp0(parameter->name, command->argument_parameter) == 0)
                continue;
            if (parameter->short_name != 0)
                g_string_append_printf(text, " -%c %s", parameter->short_name, value);
            else
                g_string_append_printf(text, " --%s %s", parameter->name, value);
        }
    if (command->arguments != NULL)
        g_string_append_printf(text, " %s", command->arguments);
    return g_string_free(text, FALSE);
}

/* The blurb, then what numbers may be. */
static char *describe(const W2wParameter *parameter)
{
    GString *text = g_string_new(parameter->blurb);
    /* What is left to the world has said so in its blurb. */
    const gboolean from_world = (parameter->flags & W2W_PARAMETER_FROM_WORLD) != 0;

    if (parameter->type == W2W_PARAMETER_INT || parameter->type == W2W_PARAMETER_DOUBLE) {
        g_string_append_printf(text, " %g to %g", parameter->minimum, parameter->maximum);
        if (!from_world)
            g_string_append_printf(text, ", default %g", parameter->number);
        g_string_append_c(text, '.');
    } else if (parameter->type == W2W_PARAMETER_CHOICE && !from_world) {
        g_string_append_printf(text, " Default %s.", parameter->string);
    } else if (w2w_parameter_is_list(parameter)) {
        g_string_append(text, " May be repeated.");
    }
    return g_string_free(text, FALSE);
}

static void call_option(W2wHelpOptionFunc func, gpointer user_data, char short_name,
                        const char *name, const char *value, const char *text)
{
    g_autofree char *option =
        short_name != 0 ? g_strdup_printf("-%c, --%s%s%s", short_name, name,
                                          value != NULL ? " " : "", value != NULL ? value : "")
                        : g_strdup_printf("--%s%s%s", name, value != NULL ? " " : "",
                                          value != NULL ? value : "");

    func(option, text, user_data);
}

void w2w_help_each_option(const W2wParameter *parameters, guint n_parameters,
                          W2wHelpOptionFunc func, gpointer user_data)
{
    for (guint i = 0; i < n_parameters; i++) {
        g_autofree char *value = value_word(&parameters[i]);
        g_autofree char *text = describe(&parameters[i]);

        if (parameters[i].type == W2W_PARAMETER_EDITS)
            for (guint e = 0; e < W2W_N_EDIT_OPTIONS; e++)
                call_option(func, user_data, 0, w2w_edit_options[e].name, w2w_edit_options[e].value,
                            w2w_edit_options[e].blurb);
        call_option(func, user_data, parameters[i].short_name, parameters[i].name, value, text);
    }
}

void w2w_help_each_switch(W2wHelpOptionFunc func, gpointer user_data)
{
    for (guint i = 0; i < w2w_n_switches; i++)
        call_option(func, user_data, w2w_switches[i].short_name, w2w_switches[i].name, NULL,
                    w2w_switches[i].blurb);
}

/* Words of `text` in lines that start at column `indent`; the first line has `at` columns already.
 */
static void print_wrapped(FILE *stream, const char *text, guint indent, guint at)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    for (guint i = 0; words[i] != NULL; i++) {
        const guint length = (guint)g_utf8_strlen(words[i], -1);

        if (i > 0 && at + 1 + length > WIDTH) {
            fputc('\n', stream);
            at = 0;
        } else if (i > 0) {
            fputc(' ', stream);
            at++;
        }
        if (at < indent) {
            fprintf(stream, "%*s", (int)(indent - at), "");
            at = indent;
        }
        fputs(words[i], stream);
        at += length;
    }
    fputc('\n', stream);
}

static void print_option(const char *option, const char *text, gpointer user_data)
{
    FILE *stream = user_data;
    guint at = 2 + (guint)g_utf8_strlen(option, -1);

    fprintf(stream, "  %s", option);
    if (at + 2 > OPTION_COLUMN) {
        fputc('\n', stream);
        at = 0;
    }
    print_wrapped(stream, text, OPTION_COLUMN, at);
}

static void print_general_options(FILE *stream)
{
    fputs("\nGeneral options:\n", stream);
    w2w_help_each_option(w2w_general_parameters, w2w_n_general_parameters, print_option, stream);
    w2w_help_each_switch(print_option, stream);
}

static void print_program(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();

    fputs("Usage: w2w COMMAND [OPTION]…\n\n", stream);
    print_wrapped(
        stream, "Samples, edits and renders identities in the weights of a diffusion model.", 0, 0);
    for (guint i = 0; commands[i] != NULL; i++) {
        if (i == 0 || strcmp(commands[i]->group, commands[i - 1]->group) != 0)
            fprintf(stream, "\n%s:\n", commands[i]->group);
        print_option(commands[i]->name, commands[i]->blurb, stream);
    }
    print_general_options(stream);
    fputs("\nExamples:\n", stream);
    for (guint i = 0; w2w_help_examples[i] != NULL; i++)
        fprintf(stream, "  %s\n", w2w_help_examples[i]);
    fputs("\nw2w COMMAND --help says more about a command, w2w --man is the manual page.\n"
          "Exit codes: 0 done, 1 failed or cancelled, 2 wrong usage.\n",
          stream);
}

void w2w_help_print(FILE *stream, const W2wCommand *command)
{
    g_autofree char *synopsis = NULL;

    if (command == NULL) {
        print_program(stream);
        return;
    }
    synopsis = w2w_help_synopsis(command);
    fprintf(stream, "Usage: %s\n\n", synopsis);
    print_wrapped(stream, command->blurb, 0, 0);
    if (command->help != NULL) {
        fputc('\n', stream);
        print_wrapped(stream, command->help, 0, 0);
    }
    if (command->n_parameters + command->n_own_parameters > 0)
        fputs("\nOptions:\n", stream);
    w2w_help_each_option(command->parameters, command->n_parameters, print_option, stream);
    w2w_help_each_option(command->own_parameters, command->n_own_parameters, print_option, stream);
    print_general_options(stream);
}

static gboolean run_help(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    const W2wCommand *const *commands = w2w_commands();

    if (line->arguments->len == 0) {
        w2w_help_print(stdout, NULL);
        return TRUE;
    }
    for (guint i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, line->arguments->pdata[0]) == 0) {
            w2w_help_print(stdout, commands[i]);
            return TRUE;
        }
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no command of that name.");
    return FALSE;
}

const W2wCommand w2w_help_command = {
    .name = "help",
    .group = "Help",
    .arguments = "[COMMAND]",
    .max_arguments = 1,
    .blurb = "Say how the program or a command is used.",
    .run = run_help,
};
