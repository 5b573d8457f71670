/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A folder of pictures as training material: which files they are, and what the VAE makes of them.
 */
#pragma once

#include "engine/pipeline/pipeline.h"
#include "engine/training/dreambooth.h"

G_BEGIN_DECLS

typedef struct {
    GPtrArray *paths; /* char *: files whose names end in .png, sorted by their bytes */
    GPtrArray
        *others; /* char *: names of other files, for a message; hidden ones are not told of */
} W2wPictureFolder;

/* W2W_ERROR_FILE where it is missing or no folder, W2W_ERROR_USAGE where it has no picture. */
gboolean w2w_picture_folder_open(W2wPictureFolder *folder, const char *path, GError **error);
void w2w_picture_folder_clear(W2wPictureFolder *folder);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wPictureFolder, w2w_picture_folder_clear)

/*
 * The picture in `path` at width × height: the largest part of these proportions around its
 * centre, resampled. `sha256` (hex, caller frees; may be NULL) is of the file. Errors name it.
 */
W2wPicture *w2w_picture_folder_read(const char *path, gint width, gint height, char **sha256,
                                    GError **error);

/* Posteriors of pictures of one size, as a training takes them. */
typedef struct {
    gint width, height; /* of the pictures */
    guint n, n_expected;
    gsize n_each; /* numbers of one */
    float *mean, *std;
} W2wEncodedPictures;

/* Room for `n`; W2W_ERROR_MEMORY. */
gboolean w2w_encoded_pictures_init(W2wEncodedPictures *encoded, const W2wPipeline *pipeline,
                                   gint width, gint height, guint n, GError **error);
void w2w_encoded_pictures_clear(W2wEncodedPictures *encoded);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wEncodedPictures, w2w_encoded_pictures_clear)

/* One more, of the size. */
gboolean w2w_encoded_pictures_add(W2wEncodedPictures *encoded, W2wPipeline *pipeline,
                                  const W2wPicture *picture, GError **error);

/* Borrowed: they must outlive what uses them. */
W2wPosteriors w2w_encoded_pictures_get(const W2wEncodedPictures *encoded);

G_END_DECLS
