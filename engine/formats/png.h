/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PNG, with libpng: written as sRGB with text chunks, atomically; read from any PNG. */
#pragma once

#include "engine/picture.h"

G_BEGIN_DECLS

/* Larger pictures are refused before anything is allocated. */
#define W2W_PNG_MAX_SIDE   65536
#define W2W_PNG_MAX_PIXELS (256 * 1024 * 1024)

/*
 * Writes 8-bit RGB; of a picture with deep pixels those, with alpha and 16 bits where that loses
 * something otherwise. Writes beside `path` and renames. `texts`: key, value, key, value, NULL (the
 * recipe of the picture); may be NULL. Keys are 1 to 79 printable ASCII characters (else
 * W2W_ERROR_USAGE); values are UTF-8: tEXt where ASCII will do, else iTXt.
 * W2W_ERROR_FILE.
 */
gboolean w2w_png_write(const W2wPicture *picture, const char *path, const char *const *texts,
                       GError **error);

/*
 * In memory, from (height, width, n_channels) bytes: 1 grey, 3 sRGB, 4 sRGB with straight alpha;
 * the same bytes for the same pixels. W2W_ERROR_UNSUPPORTED for a size that no PNG here has,
 * W2W_ERROR_MEMORY.
 */
GBytes *w2w_png_encode(const guint8 *pixels, guint width, guint height, guint n_channels,
                       GError **error);

/*
 * 8-bit RGB from any PNG: palette and grey expanded, 16 bits rounded, alpha over white.
 * Gamma and profiles are ignored, as sRGB. W2W_ERROR_FILE, W2W_ERROR_FORMAT,
 * W2W_ERROR_MEMORY; `name` stands for the file in messages.
 */
W2wPicture *w2w_png_read(const char *path, GError **error);
W2wPicture *w2w_png_read_bytes(GBytes *bytes, const char *name, GError **error);

/* The same with deep pixels where the file has alpha or 16 bits: what is written from it again is
 * the same to the bit. */
W2wPicture *w2w_png_read_deep_bytes(GBytes *bytes, const char *name, GError **error);

G_END_DECLS
