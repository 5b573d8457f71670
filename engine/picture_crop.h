/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which part of a picture a model sees, and what of it counts.
 *
 * A crop is a box in the picture's own pixels that is shown to the model at the model's size. Box
 * and mask go through one map, x → (x − box.x) · width / box.width, so that they stay aligned to a
 * fraction of a pixel at any size and aspect. picture_paste.h is the way back.
 */
#pragma once

#include "engine/picture.h"

G_BEGIN_DECLS

/* No side of a box is longer, and no corner further from the picture's. */
#define W2W_BOX_MAX_SIDE (1 << 17)

/* May reach beyond the picture, whose outermost pixels are repeated there. */
typedef struct {
    gint x, y, width, height; /* pixels of the picture */
} W2wBox;

/* What of a picture counts: 255 inside, 0 outside, softly in between. As large as the picture. */
typedef struct {
    guint width, height;
    guint8 *values; /* (height, width); owned */
} W2wMask;

/* Values not initialised; W2W_ERROR_MEMORY. */
W2wMask *w2w_mask_new(guint width, guint height, GError **error);
void w2w_mask_free(W2wMask *mask);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wMask, w2w_mask_free)

/* From a picture of a mask: how light it is, times its alpha. A grey value is the mask's value. */
W2wMask *w2w_mask_from_picture(const W2wPicture *picture, GError **error);

/*
 * What of `picture` counts where `given` (may be NULL: all of it) is inside: transparent pixels do
 * not. TRUE and NULL where all of it counts. W2W_ERROR_MISMATCH for a mask of another size,
 * W2W_ERROR_USAGE where nothing is left.
 */
gboolean w2w_mask_of_picture(const W2wPicture *picture, const W2wMask *given, W2wMask **mask,
                             GError **error);

typedef enum {
    W2W_CROP_WHOLE,     /* the whole picture */
    W2W_CROP_SELECTION, /* what the mask has: what is around it is as far away as the selection
                           says, and a person who is cut closer or wider than the model knows is
                           lost */
    W2W_CROP_BOX,       /* the box that was given */
} W2wCropPolicy;

/* "whole", "selection", "box"; NULL terminated, by policy. */
extern const char *const w2w_crop_policy_names[];

/*
 * The smallest box of the proportions aspect_width : aspect_height (to a pixel) that holds what the
 * policy says: nothing that is wanted is cut off or stretched. It has the same centre, but is moved
 * into the picture as far as it fits there, since real pixels are better than repeated ones.
 * `mask` and `given` may be NULL where the policy does not ask for them. W2W_ERROR_USAGE for a
 * missing or empty mask, a missing box, or one that does not touch the picture.
 */
gboolean w2w_crop_choose(W2wCropPolicy policy, guint width, guint height, const W2wMask *mask,
                         const W2wBox *given, guint aspect_width, guint aspect_height, W2wBox *box,
                         GError **error);

/*
 * The box's pixels at width × height, as w2w_picture_resample() makes them of a box that was cut
 * out first: with antialiasing both where it gets smaller and where it gets larger.
 */
W2wPicture *w2w_crop_cut(const W2wPicture *picture, const W2wBox *box, guint width, guint height,
                         GError **error);

/*
 * The mask of a picture of picture_width × picture_height in the box, at (height, width): exact
 * averages over the area that each value covers, 0 … 1. Beyond the picture there is nothing. `mask`
 * may be NULL: all of the picture. Caller frees with w2w_aligned_free(); W2W_ERROR_MEMORY.
 */
float *w2w_crop_mask(const W2wMask *mask, guint picture_width, guint picture_height,
                     const W2wBox *box, guint width, guint height, GError **error);

G_END_DECLS
