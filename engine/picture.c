/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8-bit pictures. */
#include "engine/picture.h"

#include "engine/error.h"

W2wPicture *w2w_picture_new(guint width, guint height, GError **error)
{
    W2wPicture *picture = g_new0(W2wPicture, 1);
    gsize n_pixels;

    picture->width = width;
    picture->height = height;
    if (g_size_checked_mul(&n_pixels, width, height))
        picture->pixels = g_try_malloc_n(MAX(n_pixels, 1), 3);
    if (picture->pixels == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory for a picture of %u × %u pixels.", width, height);
        g_clear_pointer(&picture, w2w_picture_free);
    }
    return picture;
}

void w2w_picture_free(W2wPicture *picture)
{
    if (picture != NULL) {
        g_free(picture->pixels);
        g_free(picture);
    }
}
