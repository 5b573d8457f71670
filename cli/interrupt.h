/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ctrl-C as a GCancellable. */
#pragma once

#include <gio/gio.h>

/*
 * From now on the first SIGINT, SIGTERM or SIGHUP cancels what is returned (owned by the program,
 * never freed), and the second one ends the program as if nothing had caught it. Signals that the
 * caller of the program had set to be ignored (nohup) stay ignored. To be called once, before any
 * other thread is started: it works by blocking the signals, which threads inherit.
 */
GCancellable *w2w_interrupt_start(void);
