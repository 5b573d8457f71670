/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads that are kept: fork and join in about a microsecond.
 *
 * Tasks are handed out one by one from an atomic counter, so that a thread that the
 * system takes away does not hold up the rest; results must not depend on which thread
 * ran a task. Waiting threads spin for some microseconds (the next op of a graph follows at once),
 * then sleep.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wThreadPool W2wThreadPool;

/* `thread` is 0 … n_threads − 1, for scratch memory of its own. */
typedef void (*W2wTaskFunc)(gconstpointer data, guint task, guint thread);

/* n_threads 0: one per processor that this process may use. The caller's thread is one of them. */
W2wThreadPool *w2w_thread_pool_new(guint n_threads);
void w2w_thread_pool_free(W2wThreadPool *pool);

guint w2w_thread_pool_get_n_threads(const W2wThreadPool *pool);

/* Runs func for tasks 0 … n_tasks − 1 and returns when all are done. One caller at a time. */
void w2w_thread_pool_run(W2wThreadPool *pool, guint n_tasks, W2wTaskFunc func, gconstpointer data);

G_END_DECLS
