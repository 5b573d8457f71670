/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a worker program's socket, lock and log lie.
 *
 * The socket's folder is this user's alone (0700): who can reach the socket can have any file
 * opened. Names come from the version and the worker's path, so that an installed and a
 * development build do not meet.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    char *program; /* the worker, absolute */
    char *socket;
    char *lock;
    char *log;
} W2wWorkerPlaces;

/* Makes the folder where it is missing; W2W_ERROR_FAILED where others could get into it. */
gboolean w2w_worker_places_init(W2wWorkerPlaces *places, const char *program, GError **error);
void w2w_worker_places_clear(W2wWorkerPlaces *places);

/* The lock is held until the descriptor is closed; -1 after `seconds` without it. */
int w2w_worker_places_lock(const W2wWorkerPlaces *places, guint seconds, GError **error);

G_END_DECLS
