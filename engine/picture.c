/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8-bit pictures. */
#include "engine/picture.h"

#include <string.h>

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

W2wPicture *w2w_picture_join(W2wPicture *const *pictures, guint n_pictures, GError **error)
{
    guint width = 0, left = 0;
    const guint height = n_pictures > 0 ? pictures[0]->height : 0;
    W2wPicture *joined;

    for (guint i = 0; i < n_pictures; i++) {
        if (pictures[i]->height != height ||
            !g_uint_checked_add(&width, width, pictures[i]->width)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "Only pictures of the same height, not too wide together, can be put side "
                        "by side.");
            return NULL;
        }
    }
    joined = w2w_picture_new(width, height, error);
    for (guint i = 0; joined != NULL && i < n_pictures; i++) {
        const gsize row = 3 * (gsize)pictures[i]->width;

        for (guint y = 0; y < height; y++)
            memcpy(joined->pixels + 3 * ((gsize)y * width + left), pictures[i]->pixels + y * row,
                   row);
        left += pictures[i]->width;
    }
    return joined;
}
