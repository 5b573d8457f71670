/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parser: what a word means is looked up in the declarations, never written here. */
#include "cli/command_line.h"

#include <string.h>

#include "engine/device/device.h"
#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/job/nearest_name.h"
#include "engine/w2w/edit.h"

const W2wParameter w2w_general_parameters[] = {
    {
        .name = "world",
        .type = W2W_PARAMETER_PATH,
        .label = "World",
        .blurb = "Folder of the world: model, space and card; left out: the embedded one.",
    },
    {
        .name = "model",
        .type = W2W_PARAMETER_PATH,
        .label = "Model",
        .blurb = "Folder of a diffusers model or a single-file checkpoint, instead of a world.",
    },
    {
        .name = "space",
        .type = W2W_PARAMETER_PATH,
        .label = "Space",
        .blurb = "Folder of a w2w space over that model.",
    },
    {
        .name = "device",
        .type = W2W_PARAMETER_CHOICE,
        .string = "cpu",
        .choices = w2w_device_names,
        .label = "Device",
        .blurb = "What computes; reference is slow and for comparing only.",
    },
    {
        .name = "dtype",
        .type = W2W_PARAMETER_CHOICE,
        .string = "auto",
        .choices = w2w_compute_type_names,
        .label = "Type",
        .blurb = "What numbers it computes with; auto: bfloat16 where the processor is made for "
                 "it, else float32; f64 is for reference only.",
    },
    {
        .name = "threads",
        .type = W2W_PARAMETER_INT,
        .maximum = 1024,
        .label = "Threads",
        .blurb = "How many threads compute; 0: one per processor.",
    },
};
const guint w2w_n_general_parameters = G_N_ELEMENTS(w2w_general_parameters);

const W2wSwitch w2w_switches[] = {
    {"json", 0, "Print the result as one JSON object on standard output.",
     G_STRUCT_OFFSET(W2wCommandLine, json)},
    {"help", 'h', "Say how the program or a command is used.",
     G_STRUCT_OFFSET(W2wCommandLine, help)},
    {"version", 0, "Print the program's version.", G_STRUCT_OFFSET(W2wCommandLine, version)},
    {"man", 0, "Print the manual page, in man's own format.", G_STRUCT_OFFSET(W2wCommandLine, man)},
};
const guint w2w_n_switches = G_N_ELEMENTS(w2w_switches);

const W2wEditOption w2w_edit_options[W2W_N_EDIT_OPTIONS] = {
    [W2W_EDIT_DIRECTION] = {"direction", "NAME=X",
                            "Move along a direction, such as Young=-0.8; may be repeated."},
    [W2W_EDIT_COMPONENT] = {"component", "N=X",
                            "Move along component N (from 1) by X standard deviations; may be "
                            "repeated."},
    [W2W_EDIT_PROTECT] = {"protect", "NAME[,NAME…]",
                          "Keep the place along these directions; may be repeated."},
};

/* An option as it was looked up: exactly one of the pointers is set. */
typedef struct {
    const W2wParameter *parameter;
    W2wValues *values; /* the table that `parameter` is of */
    const W2wSwitch *toggle;
    const W2wEditOption *edit;
} Option;

typedef struct {
    W2wCommandLine *line;
    const char *const *words;
    guint position;
    gboolean argument_taken;
    GPtrArray *edits[W2W_N_EDIT_OPTIONS]; /* of strings */
} Parser;

static void free_file(gpointer data)
{
    W2wCommandLineFile *file = data;

    g_clear_pointer(&file->bytes, g_bytes_unref);
    g_free(file->path);
    g_free(file);
}

void w2w_command_line_free(W2wCommandLine *line)
{
    if (line == NULL)
        return;
    w2w_values_free(line->general);
    w2w_values_free(line->values);
    w2w_values_free(line->own_values);
    g_clear_pointer(&line->files, g_ptr_array_unref);
    g_clear_pointer(&line->arguments, g_ptr_array_unref);
    g_free(line);
}

const W2wParameter *w2w_command_get_edits(const W2wCommand *command)
{
    for (guint i = 0; i < command->n_parameters; i++)
        if (command->parameters[i].type == W2W_PARAMETER_EDITS)
            return &command->parameters[i];
    return NULL;
}

/* By long name, or by short name where `name` is NULL. */
static const W2wParameter *find_in_table(const W2wParameter *parameters, guint n, const char *name,
                                         char short_name)
{
    for (guint i = 0; i < n; i++)
        if (name != NULL ? strcmp(parameters[i].name, name) == 0
                         : parameters[i].short_name == short_name)
            return &parameters[i];
    return NULL;
}

static gboolean find_option(const W2wCommandLine *line, const char *name, char short_name,
                            Option *option)
{
    const W2wCommand *command = line->command;

    memset(option, 0, sizeof *option);
    for (guint i = 0; i < w2w_n_switches && option->toggle == NULL; i++)
        if (name != NULL ? strcmp(w2w_switches[i].name, name) == 0
                         : w2w_switches[i].short_name == short_name)
            option->toggle = &w2w_switches[i];
    if (option->toggle != NULL)
        return TRUE;
    option->values = line->general;
    option->parameter =
        find_in_table(w2w_general_parameters, w2w_n_general_parameters, name, short_name);
    if (option->parameter == NULL && command != NULL) {
        option->values = line->values;
        option->parameter =
            find_in_table(command->parameters, command->n_parameters, name, short_name);
    }
    if (option->parameter == NULL && command != NULL) {
        option->values = line->own_values;
        option->parameter =
            find_in_table(command->own_parameters, command->n_own_parameters, name, short_name);
    }
    if (option->parameter != NULL)
        return TRUE;
    if (command != NULL && name != NULL && w2w_command_get_edits(command) != NULL)
        for (guint i = 0; i < W2W_N_EDIT_OPTIONS && option->edit == NULL; i++)
            if (strcmp(w2w_edit_options[i].name, name) == 0)
                option->edit = &w2w_edit_options[i];
    return option->edit != NULL;
}

/* Every long name that could have stood here. */
static gboolean fail_unknown_option(const W2wCommandLine *line, const char *name, GError **error)
{
    const W2wCommand *command = line->command;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *nearest;

    for (guint i = 0; i < w2w_n_switches; i++)
        g_ptr_array_add(names, (gpointer)w2w_switches[i].name);
    for (guint i = 0; i < w2w_n_general_parameters; i++)
        g_ptr_array_add(names, (gpointer)w2w_general_parameters[i].name);
    for (guint i = 0; command != NULL && i < command->n_parameters; i++)
        g_ptr_array_add(names, (gpointer)command->parameters[i].name);
    for (guint i = 0; command != NULL && i < command->n_own_parameters; i++)
        g_ptr_array_add(names, (gpointer)command->own_parameters[i].name);
    if (command != NULL && w2w_command_get_edits(command) != NULL)
        for (guint i = 0; i < W2W_N_EDIT_OPTIONS; i++)
            g_ptr_array_add(names, (gpointer)w2w_edit_options[i].name);
    g_ptr_array_add(names, NULL);
    nearest = w2w_nearest_name(name, (const char *const *)names->pdata);
    if (nearest != NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "There is no option --%s; did you mean --%s?", name, nearest);
    else
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no option --%s%s%s.", name,
                    command != NULL ? " for " : "", command != NULL ? command->name : "");
    return FALSE;
}

/* Is the value what a file contains, and the word its name? */
static gboolean is_file(const W2wParameter *parameter)
{
    return parameter->type == W2W_PARAMETER_IDENTITY ||
           parameter->type == W2W_PARAMETER_IDENTITIES ||
           parameter->type == W2W_PARAMETER_PICTURE || parameter->type == W2W_PARAMETER_PICTURES;
}

static W2wCommandLineFile *find_file(const W2wCommandLine *line, const W2wParameter *parameter)
{
    for (guint i = 0; i < line->files->len; i++) {
        W2wCommandLineFile *file = line->files->pdata[i];

        if (file->parameter == parameter)
            return file;
    }
    return NULL;
}

/* The last one counts, as for every option; a list has them all. */
static void take_file(W2wCommandLine *line, const Option *option, const char *value)
{
    const gboolean is_list = w2w_parameter_is_list(option->parameter);
    W2wCommandLineFile *file = is_list ? NULL : find_file(line, option->parameter);

    if (file == NULL) {
        file = g_new0(W2wCommandLineFile, 1);
        file->parameter = option->parameter;
        file->values = option->values;
        g_ptr_array_add(line->files, file);
    }
    g_free(file->path);
    file->weight = W2W_DEFAULT_WEIGHT;
    file->path = is_list && option->parameter->type != W2W_PARAMETER_PICTURES
                     ? w2w_parameter_split_weight(value, &file->weight)
                     : g_strdup(value);
}

static gboolean set_option(Parser *parser, const Option *option, const char *shown,
                           const char *value, GError **error)
{
    W2wCommandLine *line = parser->line;

    if (option->edit != NULL) {
        g_ptr_array_add(parser->edits[option->edit - w2w_edit_options], g_strdup(value));
        return TRUE;
    }
    switch (option->parameter->type) {
    case W2W_PARAMETER_IDENTITY:
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_PICTURE:
    case W2W_PARAMETER_PICTURES:
    case W2W_PARAMETER_PATH:
    case W2W_PARAMETER_LORAS:
        if (*value == 0) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "%s needs the name of a file or folder.",
                        shown);
            return FALSE;
        }
        break;
    default:
        break;
    }
    if (is_file(option->parameter)) {
        take_file(line, option, value);
        return TRUE;
    }
    return w2w_values_set_text(option->values, option->parameter->name, value, error);
}

/* The option `shown`; `attached` is the value that stood in the same word, or NULL. */
static gboolean take_option(Parser *parser, const Option *option, const char *shown,
                            const char *attached, GError **error)
{
    const char *value = attached;

    if (option->toggle != NULL) {
        if (attached != NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "%s takes no value.", shown);
            return FALSE;
        }
        G_STRUCT_MEMBER(gboolean, parser->line, option->toggle->offset) = TRUE;
        return TRUE;
    }
    if (option->parameter != NULL && option->parameter->type == W2W_PARAMETER_SWITCH) {
        if (attached != NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "%s takes no value.", shown);
            return FALSE;
        }
        return w2w_values_set_text(option->values, option->parameter->name, "true", error);
    }
    if (value == NULL)
        value = parser->words[parser->position];
    if (value == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "%s needs a value.", shown);
        return FALSE;
    }
    if (attached == NULL)
        parser->position++;
    return set_option(parser, option, shown, value, error);
}

static gboolean take_long(Parser *parser, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *shown = equals != NULL ? g_strndup(word, equals - word) : g_strdup(word);
    Option option;

    if (!find_option(parser->line, shown + 2, 0, &option))
        return fail_unknown_option(parser->line, shown + 2, error);
    return take_option(parser, &option, shown, equals != NULL ? equals + 1 : NULL, error);
}

static gboolean take_short(Parser *parser, const char *word, GError **error)
{
    const char shown[] = {'-', word[1], 0};
    Option option;

    if (!find_option(parser->line, NULL, word[1], &option)) {
        g_autofree char *printable = g_utf8_make_valid(word, -1);

        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no option %s.", printable);
        return FALSE;
    }
    return take_option(parser, &option, shown, word[2] != 0 ? word + 2 : NULL, error);
}

static gboolean has_switch(const W2wParameter *parameters, guint n, const char *name,
                           char short_name)
{
    const W2wParameter *parameter = find_in_table(parameters, n, name, short_name);

    return parameter != NULL && parameter->type == W2W_PARAMETER_SWITCH;
}

/* Is there an option of this name (or short name, where `name` is NULL) that takes no value? */
static gboolean is_switch(const W2wCommand *const *commands, const char *name, char short_name)
{
    for (guint i = 0; i < w2w_n_switches; i++)
        if (name != NULL ? strcmp(w2w_switches[i].name, name) == 0
                         : w2w_switches[i].short_name == short_name)
            return TRUE;
    if (has_switch(w2w_general_parameters, w2w_n_general_parameters, name, short_name))
        return TRUE;
    for (guint i = 0; commands[i] != NULL; i++)
        if (has_switch(commands[i]->parameters, commands[i]->n_parameters, name, short_name) ||
            has_switch(commands[i]->own_parameters, commands[i]->n_own_parameters, name,
                       short_name))
            return TRUE;
    return FALSE;
}

/*
 * The first word that is neither an option nor an option's value. Which options take one does not
 * depend on the command: no name is a switch here and a parameter there.
 */
static const char *find_command_word(const W2wCommand *const *commands, const char *const *words)
{
    for (guint i = 0; words[i] != NULL; i++) {
        const char *word = words[i];
        gboolean has_own_value; /* in the same word */

        if (word[0] != '-' || word[1] == 0)
            return word;
        if (strcmp(word, "--") == 0)
            return words[i + 1];
        if (word[1] == '-')
            has_own_value = strchr(word, '=') != NULL || is_switch(commands, word + 2, 0);
        else
            has_own_value = word[2] != 0 || is_switch(commands, NULL, word[1]);
        if (!has_own_value && words[i + 1] != NULL)
            i++;
    }
    return NULL;
}

static gboolean find_command(const W2wCommand *const *commands, const char *word,
                             const W2wCommand **command, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *printable = g_utf8_make_valid(word, -1);
    const char *nearest;

    for (guint i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, word) == 0) {
            *command = commands[i];
            return TRUE;
        }
        g_ptr_array_add(names, (gpointer)commands[i]->name);
    }
    g_ptr_array_add(names, NULL);
    nearest = w2w_nearest_name(word, (const char *const *)names->pdata);
    if (nearest != NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "There is no command “%s”; did you mean “%s”?", printable, nearest);
    } else {
        g_autofree char *list = g_strjoinv(", ", (char **)names->pdata);

        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "There is no command “%s”, only: %s.",
                    printable, list);
    }
    return FALSE;
}

/* --edits and the options for its parts together are one text. */
static gboolean join_edits(Parser *parser, GError **error)
{
    W2wCommandLine *line = parser->line;
    const W2wParameter *parameter = w2w_command_get_edits(line->command);
    g_autoptr(W2wEdits) edits = NULL;
    g_autofree char *text = NULL;

    if (parameter == NULL)
        return TRUE;
    edits = w2w_edits_parse(w2w_values_get_string(line->values, parameter->name), error);
    if (edits == NULL)
        return FALSE;
    for (guint i = 0; i < parser->edits[W2W_EDIT_DIRECTION]->len; i++)
        if (!w2w_edits_add_direction(edits, parser->edits[W2W_EDIT_DIRECTION]->pdata[i], error))
            return FALSE;
    for (guint i = 0; i < parser->edits[W2W_EDIT_COMPONENT]->len; i++)
        if (!w2w_edits_add_component(edits, parser->edits[W2W_EDIT_COMPONENT]->pdata[i], error))
            return FALSE;
    for (guint i = 0; i < parser->edits[W2W_EDIT_PROTECT]->len; i++) {
        g_auto(GStrv) names = g_strsplit(parser->edits[W2W_EDIT_PROTECT]->pdata[i], ",", -1);

        for (guint j = 0; names[j] != NULL; j++)
            if (*g_strstrip(names[j]) != 0)
                w2w_edits_add_protected(edits, names[j]);
    }
    text = w2w_edits_to_string(edits);
    return w2w_values_set_text(line->values, parameter->name, text, error);
}

/* REQUIRED in the words of the command line. */
static gboolean check_given(const W2wCommandLine *line, const W2wParameter *parameters, guint n,
                            const W2wValues *values, GError **error)
{
    for (guint i = 0; i < n; i++) {
        const W2wParameter *parameter = &parameters[i];
        const gboolean given = is_file(parameter) ? find_file(line, parameter) != NULL
                                                  : w2w_values_is_given(values, parameter);

        if (!(parameter->flags & W2W_PARAMETER_REQUIRED) || given)
            continue;
        if (g_strcmp0(parameter->name, line->command->argument_parameter) == 0)
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "%s is missing. (%s)",
                        line->command->arguments, parameter->blurb);
        else
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The option --%s is missing. (%s)",
                        parameter->name, parameter->blurb);
        return FALSE;
    }
    return TRUE;
}

/* Opened here and now, so that a wrong name is found at once. */
static gboolean read_files(W2wCommandLine *line, GError **error)
{
    for (guint i = 0; i < line->files->len; i++) {
        W2wCommandLineFile *file = line->files->pdata[i];
        const char *name = file->parameter->name;

        file->bytes = w2w_mapped_file_open(file->path, error);
        if (file->bytes == NULL)
            return FALSE;
        if (w2w_parameter_is_list(file->parameter)
                ? !w2w_values_add_item(file->values, name, file->bytes, file->weight, error)
                : !w2w_values_set_bytes(file->values, name, file->bytes, error))
            return FALSE;
    }
    return TRUE;
}

/* A word that is no option: the command's argument, as if its option stood before it, or kept. */
static gboolean take_argument(Parser *parser, const char *word, GError **error)
{
    W2wCommandLine *line = parser->line;
    const char *name = line->command != NULL ? line->command->argument_parameter : NULL;
    Option option;

    if (name == NULL || parser->argument_taken) {
        g_ptr_array_add(line->arguments, g_strdup(word));
        return TRUE;
    }
    parser->argument_taken = TRUE;
    if (!find_option(line, name, 0, &option))
        g_assert_not_reached(); /* a command declares only what it has */
    return set_option(parser, &option, line->command->arguments, word, error);
}

static gboolean parse_words(Parser *parser, GError **error)
{
    W2wCommandLine *line = parser->line;
    gboolean options_end = FALSE, command_seen = FALSE;

    while (parser->words[parser->position] != NULL) {
        const char *word = parser->words[parser->position++];

        if (!options_end && strcmp(word, "--") == 0) {
            options_end = TRUE;
        } else if (!options_end && g_str_has_prefix(word, "--")) {
            if (!take_long(parser, word, error))
                return FALSE;
        } else if (!options_end && word[0] == '-' && word[1] != 0) {
            if (!take_short(parser, word, error))
                return FALSE;
        } else if (!command_seen && line->command != NULL) {
            command_seen = TRUE;
        } else if (!take_argument(parser, word, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean check_line(Parser *parser, GError **error)
{
    W2wCommandLine *line = parser->line;
    const W2wCommand *command = line->command;
    guint n_allowed;

    if (command == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "Say what to do.");
        return FALSE;
    }
    n_allowed = command->argument_parameter != NULL ? 0 : command->max_arguments;
    if (line->arguments->len > n_allowed) {
        g_autofree char *printable = g_utf8_make_valid(line->arguments->pdata[n_allowed], -1);

        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "“%s” is one word too many for %s.",
                    printable, command->name);
        return FALSE;
    }
    return join_edits(parser, error) &&
           check_given(line, command->parameters, command->n_parameters, line->values, error) &&
           check_given(line, command->own_parameters, command->n_own_parameters, line->own_values,
                       error) &&
           read_files(line, error);
}

W2wCommandLine *w2w_command_line_parse(const W2wCommand *const *commands, const char *const *words,
                                       const W2wCommand **reterr_command, GError **error)
{
    g_autoptr(W2wCommandLine) line = g_new0(W2wCommandLine, 1);
    const char *command_word = find_command_word(commands, words);
    Parser parser = {.line = line, .words = words};
    gboolean ok;

    *reterr_command = NULL;
    line->general = w2w_values_new(w2w_general_parameters, w2w_n_general_parameters);
    line->files = g_ptr_array_new_with_free_func(free_file);
    line->arguments = g_ptr_array_new_with_free_func(g_free);
    if (command_word != NULL && !find_command(commands, command_word, &line->command, error))
        return NULL;
    *reterr_command = line->command;
    if (line->command != NULL) {
        line->values = w2w_values_new(line->command->parameters, line->command->n_parameters);
        line->own_values =
            w2w_values_new(line->command->own_parameters, line->command->n_own_parameters);
    }
    for (guint i = 0; i < W2W_N_EDIT_OPTIONS; i++)
        parser.edits[i] = g_ptr_array_new_with_free_func(g_free);
    ok = parse_words(&parser, error) &&
         (line->help || line->version || line->man || check_line(&parser, error));
    for (guint i = 0; i < W2W_N_EDIT_OPTIONS; i++)
        g_ptr_array_unref(parser.edits[i]);
    return ok ? g_steal_pointer(&line) : NULL;
}
