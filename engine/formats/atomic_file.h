/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file that is seen whole or not at all: written under a temporary name beside its
 * place, then renamed over it. Freed without a commit, nothing is left behind.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

G_BEGIN_DECLS

typedef struct _W2wAtomicFile W2wAtomicFile;

/* W2W_ERROR_FILE where the folder does not exist or may not be written. */
W2wAtomicFile *w2w_atomic_file_new(const char *path, GError **error);

/* For writing; owned by the file. Write errors may be ignored: the commit reports them. */
FILE *w2w_atomic_file_get_stream(W2wAtomicFile *file);

/* Puts the file in its place; W2W_ERROR_FILE where not all of it could be written. */
gboolean w2w_atomic_file_commit(W2wAtomicFile *file, GError **error);

void w2w_atomic_file_free(W2wAtomicFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wAtomicFile, w2w_atomic_file_free)

G_END_DECLS
