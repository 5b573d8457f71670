/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole file as bytes: mapped, so that opening costs nothing whatever its size, or
 * read into memory, for text that is parsed.
 *
 * A mapping shows the file as it is, not as it was: who cuts it takes pages away (the
 * kernel's answer to a read is SIGBUS, the end of the program), who writes into it changes
 * the numbers of a picture that is being made. So reads beyond the end of a mapped file
 * give zeros (a handler for SIGBUS, installed with the first mapping; faults elsewhere go
 * on to the handler before it), and w2w_mapped_files_check() tells afterwards.
 * A file that is replaced, as by a rename over it, goes on as it was: the mapping keeps
 * the old one.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * W2W_ERROR_FILE where `path` cannot be opened or is no regular file (a pipe would
 * block, a device has no end). The bytes keep the mapping alive, and so do views of
 * them (g_bytes_new_from_bytes()).
 */
GBytes *w2w_mapped_file_open(const char *path, GError **error);

/*
 * The same, in memory of its own, that nobody can change: what is parsed is read once. Files of
 * more than `max_bytes` are W2W_ERROR_FORMAT, before anything is allocated; W2W_ERROR_MEMORY.
 */
GBytes *w2w_mapped_file_read(const char *path, gsize max_bytes, GError **error);

/* Is there anything at `path`? For files that may be missing. */
gboolean w2w_mapped_file_exists(const char *path);

/*
 * Is every mapped file still what it was when it was opened (by size and time of its last
 * change), and did every read find its data? FALSE and W2W_ERROR_FILE with the file's name
 * where not, also for a file whose mapping is gone by now; that one is told of once.
 * Called before anything that was made from files is handed out. Any thread.
 */
gboolean w2w_mapped_files_check(GError **error);

G_END_DECLS
