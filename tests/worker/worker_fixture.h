/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Real workers in folders of the test's own. The test is the reaper of the workers that clients
 * start, so that it can wait for their end; none is left behind.
 */
#pragma once

#include "client/client.h"

/* Once, before anything else; the folder goes away with worker_fixture_end(). */
void worker_fixture_begin(int *argc, char ***argv);
int worker_fixture_end(int result);

/* Folder of the sockets: there once a client connected. */
const char *worker_fixture_get_folder(void);

W2wClient *worker_fixture_connect(gint32 parent_pid);
gint32 worker_fixture_get_pid(W2wClient *client);

/* TRUE when the process, a child of ours (−1: any), ended within that time. */
gboolean worker_fixture_wait_for_end(gint32 pid, guint seconds);
void worker_fixture_kill(gint32 pid, int signal_number);

/* A job of minutes. */
#define LONG_COUNT 64
#define LONG_STEPS 500

/* "sample", small; count and steps as given. Floating. */
GVariant *worker_fixture_make_values(gint count, gint steps);

/* W2wJobResultFunc into a GPtrArray of W2wJobResult. */
GPtrArray *worker_fixture_new_results(void);
void worker_fixture_add_result(W2wJobResult *result, gpointer results);
