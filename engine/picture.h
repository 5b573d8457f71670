/* SPDX-License-Identifier: GPL-3.0-or-later */
/* W2wPicture: an 8-bit sRGB picture, what the engine hands to people. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    guint width, height; /* pixels */
    guint8 *pixels;      /* (height, width, 3), sRGB, no padding; owned */
} W2wPicture;

/* Pixels not initialised; W2W_ERROR_MEMORY. */
W2wPicture *w2w_picture_new(guint width, guint height, GError **error);
void w2w_picture_free(W2wPicture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPicture, w2w_picture_free)

/*
 * The picture in another size (not 0 × 0), by the byte as Pillow's resize() with LANCZOS (columns,
 * then rows): that is how diffusers fits a picture before it encodes it. Proportions are the
 * caller's affair. W2W_ERROR_MEMORY.
 */
W2wPicture *w2w_picture_resample(const W2wPicture *picture, guint width, guint height,
                                 GError **error);

G_END_DECLS
