/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small dense symmetric systems, in double: as many unknowns as there are components
 * or directions (about 1,000 at most).
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Cholesky factors of a symmetric positive definite matrix M, whose rows and columns are
 * first scaled to a diagonal of ones: S M S + ridge · 1 = L Lᵀ. So `ridge`, and what
 * counts as dependent, are relative numbers whatever the units of the unknowns.
 */
typedef struct _W2wCholesky W2wCholesky;

/* A pivot below this part of its diagonal: the row is taken to depend on those before it. */
#define W2W_CHOLESKY_MIN_PIVOT 1e-10

/*
 * `matrix` (n, n), of which the lower triangle is read. Where row i depends on the rows
 * before it (or is zero): NULL, `error` not set, *dependent = i. NULL with W2W_ERROR_MEMORY
 * otherwise.
 */
W2wCholesky *w2w_cholesky_new(const double *matrix, guint n, double ridge, guint *dependent,
                              GError **error);
void w2w_cholesky_free(W2wCholesky *cholesky);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wCholesky, w2w_cholesky_free)

/* M x = b, in place: `x` (n) holds b before and x after. */
void w2w_cholesky_solve(const W2wCholesky *cholesky, double *x);

double w2w_dot(const double *a, const double *b, guint n);

G_END_DECLS
