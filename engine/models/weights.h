/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The weights of one model (text encoder, UNet or VAE) by their names, checked as they
 * are asked for.
 *
 * Models ask for every weight while they record their graph. The first one that is missing
 * or has another shape than the config says is remembered, zeros of the right shape (which
 * take no memory) stand in, and w2w_weights_check() reports it: model code stays free of
 * error handling.
 */
#pragma once

#include "engine/array.h"
#include "engine/models/config.h"

G_BEGIN_DECLS

typedef struct _W2wWeights W2wWeights;

/* Keeps a reference on `arrays` (weight_table.h, part_files.h); `path`: where they were read, for
 * messages. */
W2wWeights *w2w_weights_new(GHashTable *arrays, const char *path);
void w2w_weights_free(W2wWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wWeights, w2w_weights_free)

/* The file that is read, for messages. */
const char *w2w_weights_get_path(const W2wWeights *weights);

/*
 * The float array `name`, which must have this shape (-1 at the end of the numbers:
 * w2w_weights_get (w, "conv_in.weight", 320, 4, 3, 3, -1)). Borrowed. Never NULL.
 */
W2wArray *w2w_weights_get(W2wWeights *weights, const char *name, ...);

/*
 * Adds `delta` (row-major, as many numbers as the array has) to the array `name`, which a model
 * asked for: from now on w2w_weights_get() and w2w_weights_peek() give the sum, in float32.
 * Deltas add up. Graphs that were recorded before keep what they were given. W2W_ERROR_MISMATCH
 * where there is no such array, W2W_ERROR_MEMORY.
 */
gboolean w2w_weights_add_delta(W2wWeights *weights, const char *name, const float *delta,
                               GError **error);

/* Back to what the file holds. */
void w2w_weights_clear_deltas(W2wWeights *weights);

/* The array as it stands, deltas included; NULL where there is none that a model asked for.
 * Borrowed: until the next delta. */
const W2wArray *w2w_weights_peek(const W2wWeights *weights, const char *name);

/*
 * To be called once everything was asked for. FALSE and W2W_ERROR_FORMAT for the first weight
 * that was missing or misshapen, else for the first array, by name, that nobody asked for: a
 * file that holds more than its config says is a model that the config does not describe, and
 * would give other pictures. The message names the fields of `config` that decide about weights,
 * `fields`, with their values.
 */
gboolean w2w_weights_check(const W2wWeights *weights, const W2wConfig *config,
                           const char *const *fields, GError **error);

/*
 * SHA-256 over names, dtypes, shapes and bytes of all arrays, without deltas: what an identity
 * file names as the model it belongs to. The same for every form of the same weights, as their
 * names and shapes are the same by now; of another dtype they are other weights. Hex, owned;
 * computed on the first call (it reads all).
 */
const char *w2w_weights_get_fingerprint(W2wWeights *weights);

G_END_DECLS
