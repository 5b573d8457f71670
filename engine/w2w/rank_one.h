/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The best rank-1 product for a LoRA's module, and how much of the module it holds. */
#pragma once

#include "engine/w2w/lora_file.h"

G_BEGIN_DECLS

typedef struct {
    double *u, *v;  /* (out), (in): of length 1; zeros where sigma is 0 */
    double sigma;   /* ≥ 0: sigma u vᵀ is the best rank-1 approximation of scale · B A */
    double norm;    /* Frobenius norm of scale · B A */
    double outside; /* Frobenius norm of what sigma u vᵀ leaves of it; 0 for rank 1 */
    gint64 n_in, n_out;
} W2wRankOne;

/*
 * By the small matrices A Aᵀ and Bᵀ B: (out,in) is never formed. A convolution counts as the matrix
 * (out, in·kh·kw). W2W_ERROR_MEMORY; W2W_ERROR_FORMAT where the product is out of range.
 */
gboolean w2w_rank_one_find(const W2wLoraModule *module, W2wRankOne *found, GError **error);
void w2w_rank_one_clear(W2wRankOne *found);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wRankOne, w2w_rank_one_clear)

G_END_DECLS
