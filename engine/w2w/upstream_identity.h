/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identities as weights2weights saves them: w2wmodel.pt, a tensor (1, k) of coefficients, in a
 * folder that is named like a file. Which space they belong to is not written down.
 */
#pragma once

#include "engine/w2w/identity.h"

G_BEGIN_DECLS

/*
 * `path`: a pickle that holds one tensor (k) or (1, k), or a folder with a w2wmodel.pt. Of anything
 * else *is_one becomes FALSE, and NULL is returned without an error. W2W_ERROR_FORMAT for a tensor
 * of another shape or with numbers that are not finite; _FILE, _MEMORY.
 */
W2wIdentity *w2w_upstream_identity_open(const char *path, gboolean *is_one, GError **error);

/* The file as bytes, (1, k) in float32. W2W_ERROR_MEMORY. */
GBytes *w2w_upstream_identity_to_bytes(const W2wIdentity *identity, GError **error);

G_END_DECLS
