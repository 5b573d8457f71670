/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands: one per job, and those that are none. */
#pragma once

#include "cli/command_line.h"

G_BEGIN_DECLS

/* NULL terminated; built on the first call and kept. */
const W2wCommand *const *w2w_commands(void);

extern const W2wCommand w2w_info_command;       /* info.c */
extern const W2wCommand w2w_bench_command;      /* bench.c */
extern const W2wCommand w2w_convert_command;    /* convert.c */
extern const W2wCommand w2w_selftest_command;   /* selftest.c */
extern const W2wCommand w2w_completion_command; /* completion.c */
extern const W2wCommand w2w_help_command;       /* help.c */

G_END_DECLS
