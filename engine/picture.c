/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8-bit pictures. */
#include "engine/picture.h"

#include "engine/error.h"
#include "engine/memory.h"

W2wPicture *w2w_picture_new(guint width, guint height, GError **error)
{
    W2wPicture *picture = g_new0(W2wPicture, 1);

    picture->width = width;
    picture->height = height;
    picture->pixels = w2w_try_malloc((gsize)width * height, 3, "a picture", error);
    if (picture->pixels == NULL)
        g_clear_pointer(&picture, w2w_picture_free);
    return picture;
}

void w2w_picture_free(W2wPicture *picture)
{
    if (picture != NULL) {
        g_free(picture->pixels);
        g_free(picture);
    }
}
