/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The weights of one model (text encoder, UNet or VAE) by their names, checked as they
 * are asked for.
 *
 * Models ask for every weight while they record their graph. The first one that is missing
 * or has another shape than the config says is remembered, a zero array of the right shape
 * stands in, and w2w_weights_check() reports it: model code stays free of error handling.
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

typedef struct _W2wWeights W2wWeights;

/*
 * Opens the weights of a folder such as unet/: diffusion_pytorch_model.safetensors or
 * model.safetensors. W2W_ERROR_FILE names what was looked for.
 */
W2wWeights *w2w_weights_open(const char *directory, GError **error);
void w2w_weights_free(W2wWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wWeights, w2w_weights_free)

/* The file that is read, for messages. */
const char *w2w_weights_get_path(const W2wWeights *weights);

/* Names of all arrays; NULL terminated, owned by the weights. */
const char *const *w2w_weights_get_names(const W2wWeights *weights);

/*
 * The float array `name`, which must have this shape (-1 at the end of the numbers:
 * w2w_weights_get (w, "conv_in.weight", 320, 4, 3, 3, -1)). Borrowed. Never NULL.
 */
W2wArray *w2w_weights_get(W2wWeights *weights, const char *name, ...);

/* Is there such an array at all? */
gboolean w2w_weights_has(const W2wWeights *weights, const char *name);

/* FALSE and W2W_ERROR_FORMAT for the first weight that was missing or misshapen so far. */
gboolean w2w_weights_check(const W2wWeights *weights, GError **error);

/*
 * SHA-256 over names, dtypes, shapes and bytes of all arrays: what an identity file
 * names as the model it belongs to. Hex, owned; computed on the first call (it reads all).
 */
const char *w2w_weights_get_fingerprint(W2wWeights *weights);

G_END_DECLS
