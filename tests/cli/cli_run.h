/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The built program, run as a user runs it. Where it lies comes from W2W_CLI. */
#pragma once

#include <gio/gio.h>

typedef struct {
    int code; /* exit code, −1 where a signal ended it */
    char *out, *err;
} CliResult;

void cli_result_free(CliResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CliResult, cli_result_free)

/* Runs it with the words that follow (NULL at the end) and waits. Both outputs are pipes. */
CliResult *cli_run(const char *first, ...) G_GNUC_NULL_TERMINATED;

/* The same with the words as a list. */
CliResult *cli_run_words(const char *const *words);

/* argv of the program with those words behind it; for tests that start it themselves. Caller frees.
 */
char **cli_argv(const char *const *words);

/* Fails the test, showing both outputs, unless it ended with `code`. */
void cli_assert_code(const CliResult *result, int code);

/* A new empty folder, and its removal with all that is in it. */
char *cli_make_folder(void);
void cli_remove_folder(const char *path);

/* Names in a folder, sorted, in one string: "a.png b.png". Caller frees. */
char *cli_list_folder(const char *path);
