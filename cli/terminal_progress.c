/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The line of progress. */
#include "cli/terminal_progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What stands in the terminal now; one line, one terminal. */
static char *shown;

static gboolean is_terminal(void)
{
    const char *kind = g_getenv("TERM");

    return isatty(STDERR_FILENO) && g_strcmp0(kind, "dumb") != 0;
}

static guint get_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

void w2w_terminal_progress_report(double fraction, const char *text, gpointer user_data)
{
    g_autofree char *line = NULL;
    guint columns;

    if (!is_terminal())
        return;
    line = g_strdup_printf("%3.0f %% %s", CLAMP(fraction, 0.0, 1.0) * 100.0, text);
    columns = get_columns();
    if (g_utf8_strlen(line, -1) >= columns) { /* a line that wraps cannot be rewritten */
        char *cut = g_utf8_substring(line, 0, columns - 1);

        g_free(line);
        line = cut;
    }
    if (g_strcmp0(line, shown) == 0)
        return;
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    g_free(shown);
    shown = g_steal_pointer(&line);
}

void w2w_terminal_progress_clear(void)
{
    if (shown == NULL)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    g_clear_pointer(&shown, g_free);
}
