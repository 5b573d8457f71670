/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What --help prints, and what help and manual page have in common: how an option is written. */
#pragma once

#include <stdio.h>

#include "cli/command_line.h"

G_BEGIN_DECLS

/* "w2w edit [OPTION]… --identity FILE -o PATH": the command with what it insists on. Caller frees.
 */
char *w2w_help_synopsis(const W2wCommand *command);

/* Called for every option of a table: "-n, --count N" and a text that ends with range and default.
 */
typedef void (*W2wHelpOptionFunc)(const char *option, const char *text, gpointer user_data);
void w2w_help_each_option(const W2wParameter *parameters, guint n_parameters,
                          W2wHelpOptionFunc func, gpointer user_data);
void w2w_help_each_switch(W2wHelpOptionFunc func, gpointer user_data);

/* Lines of how it is used for real; NULL terminated. */
extern const char *const w2w_help_examples[];

/* The help of one command, or of the program (NULL). */
void w2w_help_print(FILE *stream, const W2wCommand *command);

G_END_DECLS
