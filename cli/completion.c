/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * completion: what a shell needs to complete command lines, written from the declarations that they
 * are parsed by. The script knows every option's kind of value by itself and starts no program.
 */
#include <stdio.h>

#include "cli/commands.h"

static const char *const shells[] = {"bash", NULL};

static const W2wParameter parameters[] = {
    {
        .name = "shell",
        .type = W2W_PARAMETER_CHOICE,
        .string = "bash",
        .choices = shells,
        .label = "Shell",
        .blurb = "The shell that the script is for.",
    },
};

/* What is the same whatever the options are: where one is, and what may stand there. */
static const char beginning[] = "# Completion of w2w for bash; written by: w2w completion bash\n"
                                "\n"
                                "_w2w_words() { # WORD…: those that begin with what is there\n"
                                "    mapfile -t COMPREPLY < <(compgen -W \"$*\" -- \"$cur\")\n"
                                "}\n"
                                "\n"
                                "_w2w_files() {\n"
                                "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                                "    compopt -o filenames 2>/dev/null\n"
                                "}\n"
                                "\n";

static const char ending[] =
    "_w2w() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} i word command='' option=''\n"
    "    COMPREPLY=()\n"
    "    # The command: the first word that is neither option nor an option's value.\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        case $word in\n"
    "        =) ;;\n"
    "        -*)\n"
    "            # bash makes --name=value three words.\n"
    "            if [[ ${COMP_WORDS[i + 1]} == '=' ]]; then\n"
    "                i=$((i + 2))\n"
    "            elif ! _w2w_is_switch \"$word\"; then\n"
    "                i=$((i + 1))\n"
    "            fi\n"
    "            ;;\n"
    "        *)\n"
    "            command=$word\n"
    "            break\n"
    "            ;;\n"
    "        esac\n"
    "    done\n"
    "    # The option whose value is being written.\n"
    "    word=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    if [[ $cur == '=' ]]; then\n"
    "        option=$word cur=''\n"
    "    elif [[ $word == '=' ]]; then\n"
    "        option=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    elif [[ $word == -* ]] && ! _w2w_is_switch \"$word\"; then\n"
    "        option=$word\n"
    "    fi\n"
    "    if [[ -n $option ]]; then\n"
    "        _w2w_value \"$command\" \"$option\"\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        _w2w_options \"$command\"\n"
    "    elif [[ -z $command ]]; then\n"
    "        _w2w_commands\n"
    "    else\n"
    "        _w2w_argument \"$command\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _w2w w2w\n";

/* Both tables of a command, or the general one where it is NULL. */
static const W2wParameter *nth_parameter(const W2wCommand *command, guint i)
{
    if (command == NULL)
        return i < w2w_n_general_parameters ? &w2w_general_parameters[i] : NULL;
    if (i < command->n_parameters)
        return &command->parameters[i];
    i -= command->n_parameters;
    return i < command->n_own_parameters ? &command->own_parameters[i] : NULL;
}

static void print_commands(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();

    fputs("_w2w_commands() {\n    _w2w_words", stream);
    for (guint i = 0; commands[i] != NULL; i++)
        fprintf(stream, " %s", commands[i]->name);
    fputs("\n}\n\n", stream);
}

/* Of all commands: no name takes a value in one and none in another. */
static void print_switches(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();
    g_autoptr(GHashTable) printed = g_hash_table_new(g_str_hash, g_str_equal);

    fputs("_w2w_is_switch() {\n    case $1 in\n    ", stream);
    for (guint i = 0; i < w2w_n_switches; i++) {
        if (w2w_switches[i].short_name != 0)
            fprintf(stream, "-%c | ", w2w_switches[i].short_name);
        fprintf(stream, "--%s%s", w2w_switches[i].name, i + 1 < w2w_n_switches ? " | " : "");
    }
    for (guint i = 0; commands[i] != NULL; i++) {
        const W2wParameter *parameter;

        for (guint j = 0; (parameter = nth_parameter(commands[i], j)) != NULL; j++)
            if (parameter->type == W2W_PARAMETER_SWITCH &&
                g_hash_table_add(printed, (gpointer)parameter->name)) {
                if (parameter->short_name != 0)
                    fprintf(stream, " | -%c", parameter->short_name);
                fprintf(stream, " | --%s", parameter->name);
            }
    }
    fputs(") return 0 ;;\n    esac\n    return 1\n}\n\n", stream);
}

static void print_names(FILE *stream, const W2wCommand *command)
{
    const W2wParameter *parameter;

    for (guint i = 0; (parameter = nth_parameter(command, i)) != NULL; i++)
        fprintf(stream, " --%s", parameter->name);
    for (guint i = 0;
         command != NULL && w2w_command_get_edits(command) != NULL && i < W2W_N_EDIT_OPTIONS; i++)
        fprintf(stream, " --%s", w2w_edit_options[i].name);
}

static void print_options(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();

    fputs("_w2w_options() { # COMMAND\n    local names='", stream);
    print_names(stream, NULL);
    for (guint i = 0; i < w2w_n_switches; i++)
        fprintf(stream, " --%s", w2w_switches[i].name);
    fputs("'\n    case $1 in\n", stream);
    for (guint i = 0; commands[i] != NULL; i++) {
        fprintf(stream, "    %s) names+='", commands[i]->name);
        print_names(stream, commands[i]);
        fputs("' ;;\n", stream);
    }
    fputs("    esac\n    _w2w_words \"$names\"\n}\n\n", stream);
}

/* What completes a value; nothing does numbers and texts. */
static void print_action(FILE *stream, const W2wParameter *parameter)
{
    switch (parameter->type) {
    case W2W_PARAMETER_CHOICE: {
        g_autofree char *choices = g_strjoinv(" ", (char **)parameter->choices);

        fprintf(stream, "_w2w_words %s", choices);
        break;
    }
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
    case W2W_PARAMETER_PICTURES:
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PATH:
        fputs("_w2w_files", stream);
        break;
    default:
        fputs(":", stream);
        break;
    }
}

/* "render --scheduler", or "*" for the general ones, whatever the command is. */
static void print_values_of(FILE *stream, const W2wCommand *command)
{
    const W2wParameter *parameter;

    for (guint i = 0; (parameter = nth_parameter(command, i)) != NULL; i++) {
        const char *name = command != NULL ? command->name : "*";

        if (parameter->type == W2W_PARAMETER_SWITCH)
            continue;
        fprintf(stream, "    %s' --%s'", name, parameter->name);
        if (parameter->short_name != 0)
            fprintf(stream, " | %s' -%c'", name, parameter->short_name);
        fputs(") ", stream);
        print_action(stream, parameter);
        fputs(" ;;\n", stream);
    }
}

static void print_values(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();

    fputs("_w2w_value() { # COMMAND OPTION\n    case \"$1 $2\" in\n", stream);
    print_values_of(stream, NULL);
    for (guint i = 0; commands[i] != NULL; i++)
        print_values_of(stream, commands[i]);
    fputs("    esac\n}\n\n", stream);
}

/* The word beside options: a parameter's value, a command's name, or a file. */
static void print_arguments(FILE *stream)
{
    const W2wCommand *const *commands = w2w_commands();

    fputs("_w2w_argument() { # COMMAND\n    case $1 in\n    help) _w2w_commands ;;\n", stream);
    for (guint i = 0; commands[i] != NULL; i++) {
        const W2wCommand *command = commands[i];
        const W2wParameter *parameter;

        if (command == &w2w_help_command || command->arguments == NULL)
            continue;
        fprintf(stream, "    %s) ", command->name);
        if (command->argument_parameter == NULL)
            fputs("_w2w_files", stream);
        for (guint j = 0; (parameter = nth_parameter(command, j)) != NULL; j++)
            if (g_strcmp0(parameter->name, command->argument_parameter) == 0)
                print_action(stream, parameter);
        fputs(" ;;\n", stream);
    }
    fputs("    esac\n}\n\n", stream);
}

static gboolean run_completion(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    fputs(beginning, stdout);
    print_commands(stdout);
    print_switches(stdout);
    print_options(stdout);
    print_values(stdout);
    print_arguments(stdout);
    fputs(ending, stdout);
    return TRUE;
}

const W2wCommand w2w_completion_command = {
    .name = "completion",
    .group = "Help",
    .arguments = "[bash]",
    .argument_parameter = "shell",
    .blurb = "Print a script that completes w2w's command lines in a shell.",
    .help = "Installed programs complete by themselves where bash-completion is there. Otherwise: "
            "source <(w2w completion bash)",
    .own_parameters = parameters,
    .n_own_parameters = G_N_ELEMENTS(parameters),
    .run = run_completion,
};
