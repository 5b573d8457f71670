/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line: results on standard output, everything else on standard error.
 * Exit codes: 0 done, 1 failed or cancelled, 2 wrong usage.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/man_page.h"
#include "engine/error.h"
#include "engine/formats/json_writer.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

static int report_error(const GError *error, const W2wCommand *command, JsonObject *json)
{
    const gboolean is_usage = g_error_matches(error, W2W_ERROR, W2W_ERROR_USAGE);

    fprintf(stderr, "w2w: %s\n", error->message);
    if (is_usage)
        fprintf(stderr, "Try: w2w %s%s--help\n", command != NULL ? command->name : "",
                command != NULL ? " " : "");
    if (json != NULL)
        json_object_set_string_member(json, "error", error->message);
    return is_usage ? EXIT_USAGE : EXIT_FAILED;
}

/* The last thing that is done: what could not be written must not look like success. */
static int close_stdout(int code)
{
    const gboolean failed = ferror(stdout) != 0;

    errno = 0;
    if (fclose(stdout) == 0 && !failed)
        return code;
    fprintf(stderr, "w2w: Standard output cannot be written: %s.\n",
            g_strerror(errno != 0 ? errno : EIO));
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

static int run_command(const W2wCommandLine *line, JsonObject *json)
{
    g_autoptr(GError) error = NULL;

    if (line->version)
        printf("w2w %s\n", W2W_VERSION);
    else if (line->man)
        w2w_man_page_print(stdout);
    else if (line->help)
        w2w_help_print(stdout, line->command);
    else if (!line->command->run(line, json, &error))
        return report_error(error, line->command, json);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    const char *const *words = (const char *const *)argv + MIN(argc, 1);
    g_autoptr(W2wCommandLine) line = NULL;
    g_autoptr(JsonObject) json = NULL;
    g_autoptr(GError) error = NULL;
    const W2wCommand *command = NULL;
    int code;

    if (words[0] == NULL) {
        w2w_help_print(stderr, NULL);
        return EXIT_USAGE;
    }
    line = w2w_command_line_parse(w2w_commands(), words, &command, &error);
    /* Also where the words could not be understood, a script that asked for JSON gets some. */
    if (line != NULL ? line->json : g_strv_contains(words, "--json"))
        json = json_object_new();
    code = line != NULL ? run_command(line, json) : report_error(error, command, json);
    if (json != NULL && json_object_get_size(json) > 0) {
        g_autofree char *text = w2w_json_write_object(json);

        printf("%s\n", text);
    }
    return close_stdout(code);
}
