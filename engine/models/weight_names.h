/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of weights as tools have written them over the years → the ones that the models ask
 * for, which are those of today's diffusers and transformers.
 */
#pragma once

#include "engine/models/model_parts.h"
#include "engine/models/weight_table.h"

G_BEGIN_DECLS

/*
 * A new table of `table`'s arrays, for one part:
 *
 * VAE: query, key, value, proj_attn of its attentions are to_q, to_k, to_v, to_out.0, and where
 * these weights are 1×1 convolutions, (out,in,1,1), they become (out,in).
 * Text encoder: "text_model." in front where it is not; what is no weight (position_ids, a
 * counter) or belongs to a head that is not used (text_projection) is left away.
 * UNet: as they are.
 *
 * W2W_ERROR_FORMAT where two names become one; `file` is for messages.
 */
GHashTable *w2w_weight_names_renew(GHashTable *table, W2wModelPart part, const char *file,
                                   GError **error);

G_END_DECLS
