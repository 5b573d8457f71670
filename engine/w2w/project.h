/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A LoRA from elsewhere as coefficients of a space.
 *
 * A product s·B A fixes its factors up to (q A, B/q), another q of either sign for each module, and
 * c = Vᵀ((theta − mean) ⊘ std) depends on q. So every q starts where A is nearest to the mean's A,
 * and then all of them are chosen together so that theta comes nearest to the space, which is the
 * smallest |z − V Vᵀ z|, z = (theta − mean) ⊘ std. For a LoRA that lies in the space that distance
 * is 0 at its own factors, so its coefficients come back, however its factors were scaled; the
 * nearness to the mean's A alone would miss them.
 *
 * Ranks above 1: the best rank-1 product. A module that the file has not, or whose product is 0,
 * changes nothing: its B is 0 and its A the mean's. Where std is 0 the space stays at its mean; for
 * the choice of q such a number counts as one that varies as little as the least that does.
 */
#pragma once

#include "engine/w2w/lora_file.h"
#include "engine/w2w/space.h"

G_BEGIN_DECLS

typedef struct {
    guint n_modules;    /* that file and space both have */
    GPtrArray *outside; /* paths (char *) that the space has not */
    GPtrArray *missing; /* paths that the file has not */

    /* Frobenius norms of what is left out of the products, parts of the whole LoRA's: */
    double outside_part; /* modules that the space has not */
    double rank_lost;    /* beyond rank 1, in the modules that it has */

    /* Of the rank-1 LoRA, what the space cannot express: */
    double deviation_lost; /* |z − V c| / |z| */
    double product_lost;   /* Frobenius norm of the products' difference, in norms of the LoRA's own
                              products: above 1 where the space has nothing like it */
} W2wProjection;

void w2w_projection_clear(W2wProjection *projection);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wProjection, w2w_projection_clear)

/*
 * `coefficients`: n_components of the space, which has to have keys. W2W_ERROR_MISMATCH where no
 * module is the space's, or one has other widths; _FORMAT, _MEMORY. V is read three times.
 */
gboolean w2w_project_lora(const W2wSpace *space, const W2wLora *lora, float *coefficients,
                          W2wProjection *projection, GError **error);

G_END_DECLS
