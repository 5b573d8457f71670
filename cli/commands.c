/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of commands. */
#include "cli/commands.h"

#include "cli/job_command.h"

const W2wCommand *const *w2w_commands(void)
{
    static GPtrArray *commands;

    if (commands == NULL) {
        commands = g_ptr_array_new();
        for (guint i = 0; w2w_jobs[i] != NULL; i++)
            g_ptr_array_add(commands, w2w_job_command_new(w2w_jobs[i]));
        g_ptr_array_add(commands, (gpointer)&w2w_info_command);
        g_ptr_array_add(commands, (gpointer)&w2w_convert_command);
        g_ptr_array_add(commands, (gpointer)&w2w_bench_command);
        g_ptr_array_add(commands, (gpointer)&w2w_selftest_command);
        g_ptr_array_add(commands, (gpointer)&w2w_help_command);
        g_ptr_array_add(commands, (gpointer)&w2w_completion_command);
        g_ptr_array_add(commands, NULL);
    }
    return (const W2wCommand *const *)commands->pdata;
}
