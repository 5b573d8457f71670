/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A space as one file: a safetensors that w2w_space_open() takes like a folder.
 *
 *   mean, std         (n) F64
 *   components        (k, n) V with a row for each component, in V's own dtype: who uses a thousand
 *                     of 10,000 components reads one tenth of the file
 *   projections       (people, P)
 *   labels            (attributes, people) I8, 1 or −1
 *   directions        (attributes, P) F64, score_ranges (attributes, 3) F64: half range, least
 *                     and largest score; so that nothing need be fitted
 *   people, files     U8: UTF-8 texts, each with a NUL behind it, one for each person
 *
 * and as metadata format "w2w-space", version, lora_scale, attributes and keys (JSON lists: names;
 * [path, "A" or "B", length] in the flat order) and card (JSON: the world's, without places). All
 * but mean, std and components may be missing. Same numbers as the folder's: an identity's weights
 * are the same to the bit, and so is the fingerprint.
 */
#pragma once

#include "engine/progress.h"
#include "engine/w2w/space.h"

G_BEGIN_DECLS

#define W2W_SPACE_FORMAT "w2w-space"

/*
 * `card`: the text of a world's card, or NULL. What a space lacks and can be computed (projections
 * from its dataset, directions) is computed first. V is copied in blocks, in one walk.
 */
gboolean w2w_space_save(W2wSpace *space, const char *path, const char *card,
                        const W2wProgress *progress, GError **error);

G_END_DECLS
