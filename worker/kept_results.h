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

/* `text`: about it, for people; may be NULL. Takes the place of an earlier one. */
void w2w_kept_results_put(W2wKeptResults *kept, const char *key, GBytes *identity,
                          const char *text);
void w2w_kept_results_remove(W2wKeptResults *kept, const char *key);

/* NULL where there is none (or no key); else the identity, and its text or "" into `text` (may be
 * NULL). Caller frees both. */
GBytes *w2w_kept_results_get(W2wKeptResults *kept, const char *key, char **text);

G_END_DECLS
