/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8-bit pictures. */
#include "engine/picture.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

#define N_COLOURS 3
#define N_DEEP    4

W2wPicture *w2w_picture_new(guint width, guint height, GError **error)
{
    W2wPicture *picture = g_new0(W2wPicture, 1);

    picture->width = width;
    picture->height = height;
    picture->pixels = w2w_try_malloc((gsize)width * height, N_COLOURS, "a picture", error);
    if (picture->pixels == NULL)
        g_clear_pointer(&picture, w2w_picture_free);
    return picture;
}

void w2w_picture_free(W2wPicture *picture)
{
    if (picture != NULL) {
        g_free(picture->pixels);
        g_free(picture->deep);
        g_free(picture);
    }
}

gboolean w2w_picture_add_deep(W2wPicture *picture, GError **error)
{
    g_free(picture->deep);
    picture->deep = w2w_try_malloc((gsize)picture->width * picture->height,
                                   N_DEEP * sizeof *picture->deep, "a picture", error);
    return picture->deep != NULL;
}

W2wPicture *w2w_picture_copy(const W2wPicture *picture, GError **error)
{
    const gsize n = (gsize)picture->width * picture->height;
    g_autoptr(W2wPicture) copy = w2w_picture_new(picture->width, picture->height, error);

    if (copy == NULL || (picture->deep != NULL && !w2w_picture_add_deep(copy, error)))
        return NULL;
    memcpy(copy->pixels, picture->pixels, n * N_COLOURS);
    if (picture->deep != NULL)
        memcpy(copy->deep, picture->deep, n * N_DEEP * sizeof *picture->deep);
    return g_steal_pointer(&copy);
}

/* 65535 = 255 · 257. */
static guint to_8_bits(guint16 value)
{
    return (value + 128u) / 257u;
}

void w2w_picture_flatten(const guint16 *deep, gsize n, guint8 *pixels)
{
    for (gsize i = 0; i < n; i++) {
        const guint16 *in = deep + i * N_DEEP;
        const guint alpha = to_8_bits(in[3]);

        for (guint c = 0; c < N_COLOURS; c++)
            pixels[i * N_COLOURS + c] =
                (guint8)((to_8_bits(in[c]) * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}
