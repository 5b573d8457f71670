/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way back from a crop (picture_crop.h): what a model made of it is brought into the picture at
 * the picture's own size.
 *
 * Only differences are pasted: picture + weight · (after − before). What did not change keeps its
 * every bit, and details that the model's size or its VAE cannot hold stay in the picture.
 *
 * The weight is the mask's value, and falls to 0 along those edges of the box that lie inside of
 * the picture, over a sixteenth of the box's side, so that no edge of a crop shows.
 */
#pragma once

#include "engine/picture_crop.h"

G_BEGIN_DECLS

/*
 * A model's pictures of one size, (height, width, 3) in −1 … 1. Where they differ much, details of
 * the picture that `before` lacks would show through as ghosts; `crop` is the box as the model was
 * shown it, which takes the place of `before` there, the more they differ: what is new replaces
 * what was, with the details that the crop is too small for. NULL: differences are differences.
 */
typedef struct {
    guint width, height;
    const float *before, *after, *crop;
} W2wChange;

typedef struct {
    W2wBox box;
    const W2wMask *mask; /* as large as the picture; NULL: all of it */

    /*
     * Colours matched at the seam: around the edge of the mask both pictures should agree, so the
     * smooth part of their difference there, continued over the inside, is taken away. It is
     * nothing where they agree, or where there is no edge.
     */
    gboolean match_colours;
} W2wPasteOptions;

/*
 * Into `picture`: pixels where nothing changes, where the mask is 0 or that are transparent stay as
 * they are, deep ones too. W2W_ERROR_MISMATCH for a mask of another size, W2W_ERROR_MEMORY (the
 * picture is unchanged then).
 */
gboolean w2w_picture_paste(W2wPicture *picture, const W2wChange *change,
                           const W2wPasteOptions *options, GError **error);

/*
 * The box as it would be after pasting with a mask that has everything, at the box's own size,
 * parts beyond the picture included: for who blends by himself, at another precision. The mask is
 * still where colours are matched. W2W_ERROR_MEMORY also for boxes that are too large.
 */
W2wPicture *w2w_picture_paste_region(const W2wPicture *picture, const W2wChange *change,
                                     const W2wPasteOptions *options, GError **error);

G_END_DECLS
