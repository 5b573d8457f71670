/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What cancelled jobs had found (W2wJob.resumes_from), so that the next call for the same can go on
 * from it. Only in memory, and only the last few. All functions may be called from any thread.
 */
#pragma once

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct _W2wKeptResults W2wKeptResults;

/* More push the oldest one out. */
#define W2W_KEPT_RESULTS_MAX 16

W2wKeptResults *w2w_kept_results_new(void);
void w2w_kept_results_free(W2wKeptResults *kept);

/*
 * Names what a job seeks, and where: job, world and the values of W2wJob.resumes_for. `subject`,
 * where it is not empty, is the client's own name of the pictures among them, which then need not
 * be there. NULL for a job that cannot be resumed. Caller frees.
 */
char *w2w_kept_results_make_key(const W2wJob *job, const char *world, const char *subject,
                                const W2wValues *values);

/*
 * The result's identity, with its message. An earlier one stays where it is better: the one with
 * the lower loss, or with any where the other was stopped too early to know; of two that do not
 * know, the one of more steps. So a search that goes on and is stopped at once loses nothing.
 */
void w2w_kept_results_put(W2wKeptResults *kept, const char *key, const W2wJobResult *result);
void w2w_kept_results_remove(W2wKeptResults *kept, const char *key);

/* NULL where there is none (or no key); else the identity, and its text or "" into `text` (may be
 * NULL). Caller frees both. */
GBytes *w2w_kept_results_get(W2wKeptResults *kept, const char *key, char **text);

G_END_DECLS
