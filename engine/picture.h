/* SPDX-License-Identifier: GPL-3.0-or-later */
/* W2wPicture: an 8-bit sRGB picture, what the engine hands to people. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    guint width, height; /* pixels */
    guint8 *pixels;      /* (height, width, 3), sRGB, no padding; owned */

    /*
     * Of a picture that is changed and given back, what 8 bits without alpha cannot hold:
     * (height, width, 4), RGBA of 16 bits each, not premultiplied; owned. `pixels` is the same over
     * white. NULL: pixels is all there is, as in every picture that the engine makes by itself.
     */
    guint16 *deep;
} W2wPicture;

/* Pixels not initialised, no deep ones; W2W_ERROR_MEMORY. */
W2wPicture *w2w_picture_new(guint width, guint height, GError **error);
void w2w_picture_free(W2wPicture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPicture, w2w_picture_free)

/* With its deep pixels. W2W_ERROR_MEMORY. */
W2wPicture *w2w_picture_copy(const W2wPicture *picture, GError **error);

/* Adds deep pixels, not initialised. W2W_ERROR_MEMORY. */
gboolean w2w_picture_add_deep(W2wPicture *picture, GError **error);

/* From the deep pixels of `n` pixels (n, 4) their 8 bits over white (n, 3), rounded. */
void w2w_picture_flatten(const guint16 *deep, gsize n, guint8 *pixels);

/*
 * The picture in another size (not 0 × 0), by the byte as Pillow's resize() with LANCZOS (columns,
 * then rows): that is how diffusers fits a picture before it encodes it. Proportions are the
 * caller's affair; deep pixels do not come along. W2W_ERROR_MEMORY.
 */
W2wPicture *w2w_picture_resample(const W2wPicture *picture, guint width, guint height,
                                 GError **error);

/*
 * The same of a part, whose corner is (x, y) and which may reach beyond the picture: its outermost
 * pixels are repeated there, to the byte as if they were copied first, in memory for the new
 * picture and a part of the old one. W2W_ERROR_MEMORY.
 */
W2wPicture *w2w_picture_resample_part(const W2wPicture *picture, gint x, gint y, guint part_width,
                                      guint part_height, guint width, guint height, GError **error);

G_END_DECLS
