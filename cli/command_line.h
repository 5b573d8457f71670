/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the words of a command line to checked values, by declarations alone: the jobs' tables
 * of parameters, the commands' own, and the options that stand before or behind any command.
 *
 *   --name VALUE   --name=VALUE   -n VALUE   -n4   -- (no options from here)
 *
 * Options may stand on both sides of the command, which works because a name that takes no value in
 * one command takes none in any (a test sees to that). The same declarations make the help and the
 * man page (help.h).
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct _W2wCommand W2wCommand;
typedef struct _W2wCommandLine W2wCommandLine;

/*
 * What stands behind the program's name. A command says on stdout what it found, or, where a script
 * asked for it (--json), adds it to `json` (else NULL), which is printed at the end whatever
 * happens.
 */
struct _W2wCommand {
    const char *name;
    const char *group;     /* heading in the help; commands of one stand together */
    const char *arguments; /* "[FILE|DIR]": what stands there beside options, or NULL */
    guint max_arguments;
    const char *argument_parameter; /* the parameter that the one such word fills, or NULL */
    const char *blurb;              /* one sentence */
    const char *help;               /* a paragraph, or NULL */
    const W2wParameter *parameters; /* of the job, or NULL */
    guint n_parameters;
    const W2wParameter *own_parameters; /* what is the command line's alone, or NULL */
    guint n_own_parameters;
    const W2wJob *job; /* NULL for what is none */
    gboolean (*run)(const W2wCommandLine *line, JsonObject *json, GError **error);
};

/* An option without a value. */
typedef struct {
    const char *name;
    char short_name; /* or 0 */
    const char *blurb;
    gsize offset; /* of its gboolean in W2wCommandLine */
} W2wSwitch;

/* The parts of an EDITS parameter as options of their own, which may be repeated. */
typedef enum {
    W2W_EDIT_DIRECTION,
    W2W_EDIT_COMPONENT,
    W2W_EDIT_PROTECT,
    W2W_N_EDIT_OPTIONS,
} W2wEditOptionKind;

typedef struct {
    const char *name, *value, *blurb;
} W2wEditOption;

/* A file whose contents are a value: what it was called, for messages. */
typedef struct {
    const W2wParameter *parameter; /* IDENTITY, PICTURE or lists of them */
    W2wValues *values;             /* that it belongs to */
    char *path;
    double weight; /* of an item */
    GBytes *bytes; /* what is in it, once everything else was right */
} W2wCommandLineFile;

struct _W2wCommandLine {
    const W2wCommand *command; /* NULL: none was named */
    W2wValues *general;        /* of w2w_general_parameters */
    W2wValues *values;         /* of the command's parameters, with the bytes of the files */
    W2wValues *own_values;
    GPtrArray *files;     /* W2wCommandLineFile */
    GPtrArray *arguments; /* what is neither option nor `argument_parameter` */
    gboolean json, help, version, man;
};

/* world, model, space, device, dtype, threads; and the switches; both for help and man page too. */
extern const W2wParameter w2w_general_parameters[];
extern const guint w2w_n_general_parameters;
extern const W2wSwitch w2w_switches[];
extern const guint w2w_n_switches;
extern const W2wEditOption w2w_edit_options[W2W_N_EDIT_OPTIONS];

/* The parameter that --direction, --component and --protect are parts of; NULL where there is none.
 */
const W2wParameter *w2w_command_get_edits(const W2wCommand *command);

/*
 * `words`: argv without the program's name. `commands` is NULL terminated and outlives the result.
 * Always W2W_ERROR_USAGE, but W2W_ERROR_FILE for a file that cannot be read. With --help,
 * --version or --man nothing is insisted on. `reterr_command`: which command the error is about,
 * or NULL.
 */
W2wCommandLine *w2w_command_line_parse(const W2wCommand *const *commands, const char *const *words,
                                       const W2wCommand **reterr_command, GError **error);
void w2w_command_line_free(W2wCommandLine *line);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wCommandLine, w2w_command_line_free)

G_END_DECLS
