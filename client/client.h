/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The worker from the outside: found or started on demand, asked over a private socket.
 *
 * GIMP starts a plug-in process per call and kills it within 10 ms when its user cancels; models
 * therefore live in the worker (worker/), which outlives calls. The socket lies in a folder
 * that only its user can enter (0700); there is no network. Protocol: GLib's peer-to-peer
 * D-Bus, a version check first; pixels travel as file descriptors of shared memory.
 */
#pragma once

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct _W2wClient W2wClient;

typedef struct {
    const char *worker_path; /* the program; NULL: installed, or W2W_WORKER from the environment */
    const char *world_directory; /* NULL: the embedded world */
    gint32 parent_pid;           /* GIMP's: the worker leaves when it is gone; 0: not watched */
} W2wClientOptions;

/*
 * Connects to the worker of this user, starting it (in a session of its own) when there is none or
 * its version is another one. W2W_ERROR_FAILED with a sentence for the user.
 */
W2wClient *w2w_client_connect(const W2wClientOptions *options, GError **error);
void w2w_client_free(W2wClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wClient, w2w_client_free)

/*
 * Runs a job (W2wJob.name) with `values` (a{sv} as w2w_values_to_variant() gives them; sunk).
 * on_result is called for each result as it arrives, from inside of this call, as the engine would.
 * A worker that dies meanwhile is W2W_ERROR_FAILED saying so; the next call starts it anew.
 */
gboolean w2w_client_run(W2wClient *client, const char *job, GVariant *values,
                        W2wJobResultFunc on_result, gpointer user_data, const W2wProgress *progress,
                        GError **error);

/*
 * The same for a job with W2wJob.resumes_from: whenever one ends because it was cancelled or its
 * client was gone, the worker keeps what it had found until then, or better of the same from
 * before, as long as it lives, for the next that is about the same. `subject` (or NULL) is the
 * caller's name of the pictures in `values`, where it knows better than their bytes whether they
 * are the same. `resume`: go on from what was kept, if there is something. What ends in success is
 * forgotten.
 */
gboolean w2w_client_run_resumable(W2wClient *client, const char *job, GVariant *values,
                                  const char *subject, gboolean resume, W2wJobResultFunc on_result,
                                  gpointer user_data, const W2wProgress *progress, GError **error);

/*
 * Would such a call have something to go on from? With a subject the pictures need not be in the
 * values, and are not sent. `text` (caller frees; "" where nothing is found) says what it is.
 */
gboolean w2w_client_find_kept(W2wClient *client, const char *job, GVariant *values,
                              const char *subject, gboolean *found, char **text, GError **error);

/* What the worker has done so far, for tests and for people. */
typedef struct {
    gint32 pid;
    guint n_loads; /* how often models were loaded: 1 however many calls */
    guint n_jobs;
    char *device; /* "cpu: 2 threads, AVX2" */
} W2wWorkerStatus;
gboolean w2w_client_get_status(W2wClient *client, W2wWorkerStatus *status, GError **error);
void w2w_worker_status_clear(W2wWorkerStatus *status);

G_END_DECLS
