/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One identity: coefficients in a space, and where they came from.
 *
 * As a file (and as a layer's parasite) it is a safetensors with "coefficients" (k) in float32
 * and as metadata: format "w2w-identity", version, the fingerprints of space and model,
 * and the recipe (JSON: what made it, with every number needed to do so again).
 */
#pragma once

#include "engine/w2w/space.h"

G_BEGIN_DECLS

typedef struct {
    guint n_coefficients;
    float *coefficients;
    char *space_fingerprint; /* hex; NULL if not known */
    char *model_fingerprint;
    char *recipe; /* JSON object, may be NULL */
} W2wIdentity;

/* Zeros; W2W_ERROR_MEMORY. */
W2wIdentity *w2w_identity_new(guint n_coefficients, GError **error);
W2wIdentity *w2w_identity_copy(const W2wIdentity *identity, GError **error);
void w2w_identity_free(W2wIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wIdentity, w2w_identity_free)

/* W2W_ERROR_FORMAT for what is not an identity, more than W2W_IDENTITY_MAX_COEFFICIENTS, or not
 * finite. */
#define W2W_IDENTITY_MAX_COEFFICIENTS 1000000
W2wIdentity *w2w_identity_load(const char *path, GError **error);
W2wIdentity *w2w_identity_from_bytes(GBytes *bytes, const char *name, GError **error);
gboolean w2w_identity_save(const W2wIdentity *identity, const char *path, GError **error);
GBytes *w2w_identity_to_bytes(const W2wIdentity *identity, GError **error);

/* W2W_ERROR_MISMATCH, with a sentence for the user, where the identity is of another space or too
 * long. */
gboolean w2w_identity_check(const W2wIdentity *identity, W2wSpace *space, const char *name,
                            GError **error);

G_END_DECLS
