/* SPDX-License-Identifier: GPL-3.0-or-later */
/* man's macros around the help's texts. */
#include "cli/man_page.h"

#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"

/* Text that man takes as it stands: no request at a line's start, hyphens that can be copied. */
static void print_text(FILE *stream, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stream);
    for (; *text != 0; text++) {
        if (*text == '\\')
            fputs("\\e", stream);
        else if (*text == '-')
            fputs("\\-", stream);
        else
            fputc(*text, stream);
    }
}

static void print_line(FILE *stream, const char *text)
{
    print_text(stream, text);
    fputc('\n', stream);
}

static void print_option(const char *option, const char *text, gpointer user_data)
{
    FILE *stream = user_data;

    fputs(".TP\n\\fB", stream);
    print_text(stream, option);
    fputs("\\fR\n", stream);
    print_line(stream, text);
}

static void print_command(FILE *stream, const W2wCommand *command)
{
    g_autofree char *synopsis = w2w_help_synopsis(command);

    fprintf(stream, ".SS ");
    print_line(stream, synopsis);
    print_line(stream, command->help != NULL ? command->help : command->blurb);
    w2w_help_each_option(command->parameters, command->n_parameters, print_option, stream);
    w2w_help_each_option(command->own_parameters, command->n_own_parameters, print_option, stream);
}

static void print_exit_codes(FILE *stream)
{
    fputs(".SH EXIT STATUS\n", stream);
    print_option("0", "Done.", stream);
    print_option("1", "Failed, or cancelled with Ctrl-C; files that were finished stay.", stream);
    print_option("2", "Wrong usage; nothing was done.", stream);
}

void w2w_man_page_print(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();

    fputs(".TH W2W 1 \"\" \"w2w " W2W_VERSION "\" \"User Commands\"\n.SH NAME\n", stream);
    print_line(stream, "w2w - sample, edit and render identities in the weights of a model");
    fputs(".SH SYNOPSIS\n\\fBw2w\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]…\n.SH DESCRIPTION\n", stream);
    print_line(stream,
               "An identity is a point in a space of customised diffusion models (weights2weights, "
               "arXiv 2406.09413). This program samples new ones, changes them along directions "
               "with a meaning, and renders them. Results go to files, whose names are printed on "
               "standard output; everything else is on standard error. Pictures are PNG and carry "
               "the recipe that they were made by.");
    for (guint i = 0; commands[i] != NULL; i++) {
        if (i == 0 || strcmp(commands[i]->group, commands[i - 1]->group) != 0) {
            g_autofree char *heading = g_ascii_strup(commands[i]->group, -1);

            fprintf(stream, ".SH COMMANDS: %s\n", heading);
        }
        print_command(stream, commands[i]);
    }
    fputs(".SH GENERAL OPTIONS\n", stream);
    w2w_help_each_option(w2w_general_parameters, w2w_n_general_parameters, print_option, stream);
    w2w_help_each_switch(print_option, stream);
    print_exit_codes(stream);
    fputs(".SH ENVIRONMENT\n", stream);
    print_option("W2W_DATA_DIR", "Folder of the embedded world, where it is not the installed one.",
                 stream);
    fputs(".SH EXAMPLES\n.nf\n", stream);
    for (guint i = 0; w2w_help_examples[i] != NULL; i++)
        print_line(stream, w2w_help_examples[i]);
    fputs(".fi\n", stream);
}
