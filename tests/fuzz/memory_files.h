/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files in memory: stands in for engine/formats/mapped_file.c, so that loaders that take
 * paths run unchanged on what a fuzzer made up, and fast.
 */
#pragma once

#include <gio/gio.h>

/* Paths are compared as they are. The bytes are not copied and must outlive the next clear. */
void w2w_memory_files_add(const char *path, const guint8 *data, gsize size);
void w2w_memory_files_clear(void);

/*
 * Adds as files of `folder` the parts of the input, which 0xff separates (no UTF-8 text
 * has it), under these names (NULL terminated). An empty part is a file that is not there.
 * Returns what follows the last named part (may be NULL).
 */
const guint8 *w2w_memory_files_split(const char *folder, const char *const *names,
                                     const guint8 *data, gsize size, gsize *rest_size);
