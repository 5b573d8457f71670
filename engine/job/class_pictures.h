/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pictures of anybody, for prior preservation: what the base model makes of the class prompt.
 *
 * They depend on nothing but model, prompt and settings, and making them takes longer than the
 * training that they are for. So they are kept in the user's cache, one file each, in a folder
 * whose name is a hash of everything that they depend on: another model, size, device or version
 * has another folder. Picture i is that of seed i, so more of them go on where fewer ended, and an
 * interrupted run is not lost.
 */
#pragma once

#include "engine/job/rendering.h"

G_BEGIN_DECLS

typedef struct _W2wClassPictures W2wClassPictures;

/* With the world's own settings. */
W2wClassPictures *w2w_class_pictures_new(W2wPipeline *pipeline, GError **error);
void w2w_class_pictures_free(W2wClassPictures *pictures);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wClassPictures, w2w_class_pictures_free)

/* Is picture `i` in the cache? */
gboolean w2w_class_pictures_has(const W2wClassPictures *pictures, guint i);

/*
 * Picture `i`, from the cache or made now and put there. A cache that cannot be read or written is
 * no error: then it is made again each time. `progress` may be NULL; G_IO_ERROR_CANCELLED.
 */
W2wPicture *w2w_class_pictures_get(W2wClassPictures *pictures, guint i, const W2wProgress *progress,
                                   GError **error);

/* Where they are kept; owned. */
const char *w2w_class_pictures_get_folder(const W2wClassPictures *pictures);

G_END_DECLS
