/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole file as bytes, mapped: opening costs nothing, whatever its size. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * W2W_ERROR_FILE where `path` cannot be opened or is no regular file (a pipe would
 * block, a device has no end). The bytes keep the mapping alive, and so do views of
 * them (g_bytes_new_from_bytes()).
 */
GBytes *w2w_mapped_file_open(const char *path, GError **error);

/* Is there anything at `path`? For files that may be missing. */
gboolean w2w_mapped_file_exists(const char *path);

G_END_DECLS
