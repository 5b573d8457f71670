/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting a worker: in a session of its own, so that no signal meant for GIMP or a plug-in
 * reaches it, without any of their descriptors, its output in a log.
 */
#pragma once

#include "client/worker_folder.h"

G_BEGIN_DECLS

/* The file as it is now, to be told from a later one in its place; "" where there is none. */
char *w2w_launch_get_build(const W2wWorkerPlaces *places);

/*
 * Starts the worker and waits until it listens. `lock` is what w2w_worker_places_lock() gave, and
 * stays the caller's. W2W_ERROR_FAILED names the log.
 */
gboolean w2w_launch(const W2wWorkerPlaces *places, int lock, GError **error);

G_END_DECLS
