/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Layers and what they carry: a job's result becomes a layer with its identity as a parasite, and
 * a layer gives its identity back.
 */
#pragma once

#include <libgimp/gimp.h>

#include "engine/job/job.h"
#include "w2w-source.h"

G_BEGIN_DECLS

/* The bytes of an identity file: saved in the XCF, and part of GIMP's undo. */
#define W2W_IDENTITY_PARASITE "w2w-identity"

/* What made the picture, as JSON. */
#define W2W_RECIPE_PARASITE   "w2w-recipe"

/*
 * A new layer of `image` with the result's picture, above `above` (NULL: at the top), placed at `above`'s
 * corner; it replaces nothing. Where the picture shows a part of `original` (or NULL), which the
 * report's "box" names in that layer's pixels, it is centred on that part. NULL and an error where
 * GIMP refuses.
 */
GimpLayer * w2w_layer_new_from_result (GimpImage          *image,
                                       GimpLayer          *above,
                                       GimpLayer          *original,
                                       const W2wJobResult *result,
                                       GError            **error);

/*
 * A copy of `original`, above it, in its own precision, with the result's picture in the region that
 * the result's report names (W2W_JOB_REGION_ONLY), through the selection: w2w-composite.h. An error where
 * `original` is gone or has another size than when `source` was read: images are not locked.
 */
GimpLayer * w2w_layer_new_from_region (GimpImage          *image,
                                       GimpLayer          *original,
                                       const W2wSource    *source,
                                       const W2wJobResult *result,
                                       GError            **error);

/* A copy of the identity that the layer carries, or NULL. */
GBytes    * w2w_layer_get_identity    (GimpItem           *layer);

G_END_DECLS
