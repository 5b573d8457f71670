/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PNG, written with libpng: 8-bit RGB with text chunks, atomically. */
#pragma once

#include "engine/picture.h"

G_BEGIN_DECLS

/*
 * Writes beside `path` and renames. `texts`: key, value, key, value, NULL
 * (tEXt/iTXt, the recipe of the picture); may be NULL. W2W_ERROR_FILE.
 */
gboolean w2w_png_write(const W2wPicture *picture, const char *path, const char *const *texts,
                       GError **error);

/* An 8-bit RGB picture from any PNG (palette, grey, 16 bit, alpha over white). W2W_ERROR_FORMAT. */
W2wPicture *w2w_png_read(const char *path, GError **error);

G_END_DECLS
