/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Progress as one line on standard error, rewritten; nothing at all where that is no terminal. */
#pragma once

#include "engine/progress.h"

/* A W2wProgressFunc; needs no user_data. */
void w2w_terminal_progress_report(double fraction, const char *text, gpointer user_data);

/* Takes the line away, before anything else is written to the terminal. */
void w2w_terminal_progress_clear(void);
