/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a file, or all of a folder, looks like from outside, to see whether it has changed. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A text that is equal as long as no file below `path` (a folder or a file; links are followed, 4
 * folders deep) was written to, replaced, added or removed: by name, size and time of the last
 * change. Of what does not exist, too: it changes by being made. Caller frees.
 */
char *w2w_file_stamp(const char *path);

G_END_DECLS
