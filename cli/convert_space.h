/* SPDX-License-Identifier: GPL-3.0-or-later */
/* convert, of a space: a folder of upstream's files as one file of our own (space_file.h). */
#pragma once

#include "engine/progress.h"

G_BEGIN_DECLS

/* Has `path` the files of a space, or is it one in our own form? */
gboolean w2w_convert_is_space(const char *path);

/* With the card of the world that the space is in, and what it lacks computed. */
gboolean w2w_convert_space(const char *path, const char *output, const W2wProgress *progress,
                           GError **error);

G_END_DECLS
