/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jobs of all clients, one after another in a thread of their own, so that the main loop
 * always answers. Each ends with a reply to its invocation.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _W2wJobQueue W2wJobQueue;

typedef struct {
    guint n_loads, n_jobs;
    char *device; /* of the last pipeline; "": none was loaded yet; caller frees */
} W2wJobQueueStatus;

W2wJobQueue *w2w_job_queue_new(void);

/* Cancels everything and waits for it. */
void w2w_job_queue_free(W2wJobQueue *queue);

/* Takes the invocation of Run (protocol.h) over. */
void w2w_job_queue_push(W2wJobQueue *queue, GDBusMethodInvocation *invocation);

/* Answers FindKept (protocol.h), at once. */
void w2w_job_queue_find_kept(W2wJobQueue *queue, GDBusMethodInvocation *invocation);

/* One job of a connection, or all of them. */
void w2w_job_queue_cancel(W2wJobQueue *queue, GDBusConnection *connection, guint id);
void w2w_job_queue_cancel_all(W2wJobQueue *queue, GDBusConnection *connection);

gboolean w2w_job_queue_is_busy(W2wJobQueue *queue);
W2wJobQueueStatus w2w_job_queue_get_status(W2wJobQueue *queue);

G_END_DECLS
