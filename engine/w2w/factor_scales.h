/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scales q of a LoRA's modules that bring it nearest to a space.
 *
 * A deviation is z = sum of x_i d_i, where the vectors d_i do not overlap; what the space cannot
 * express of it is xᵀ G x with G_ij = <d_i, d_j> − <Vᵀd_i, Vᵀd_j>. Module m has x = q at its A
 * and x = 1/q at its B; the other x stay as they are.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    guint a, b; /* indices of the factors' vectors */
    double q;   /* where to begin (not 0), and what was found */
} W2wFactorScale;

/*
 * Sets every q, x[a] and x[b]. `gram` (n, n) is G, `whole` (n, n) the <d_i, d_j> alone; both
 * symmetric. W2W_ERROR_MEMORY.
 */
gboolean w2w_factor_scales_fit(const double *gram, const double *whole, guint n, double *x,
                               W2wFactorScale *scales, guint n_scales, GError **error);

G_END_DECLS
