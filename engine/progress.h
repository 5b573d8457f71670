/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long-running engine calls report, and how they are asked to stop. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * Called from the thread that made the engine call. `fraction` grows from 0 to 1
 * over the whole call; `text` says what is going on ("Rendering 2 of 4") and is
 * only valid during the call. Cancelling is polled through the GCancellable
 * between steps; a cancelled call fails with G_IO_ERROR_CANCELLED.
 */
typedef void (*W2wProgressFunc)(double fraction, const char *text, gpointer user_data);

typedef struct {
    W2wProgressFunc func; /* NULL: no reports */
    gpointer user_data;
    GCancellable *cancellable; /* NULL: cannot be cancelled; not owned */
} W2wProgress;

/* Reports, where `progress` and its func are not NULL; FALSE and G_IO_ERROR_CANCELLED once
 * cancelled. */
gboolean w2w_progress_step(const W2wProgress *progress, double fraction, const char *text,
                           GError **error);

G_END_DECLS
