/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Zip archives as torch.save() writes them: entries stored, data on multiples of 64 bytes, so
 * that a reader can map them. No ZIP64: up to 4 GB.
 */
#pragma once

#include <stdio.h>

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wZipWriter W2wZipWriter;

/* Writes to `stream`, whose errors are the caller's to look for; NULL: to memory. */
W2wZipWriter *w2w_zip_writer_new(FILE *stream);
void w2w_zip_writer_free(W2wZipWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wZipWriter, w2w_zip_writer_free)

/* `entry_name` is ASCII and new. W2W_ERROR_UNSUPPORTED: more than 4 GB; W2W_ERROR_MEMORY. */
gboolean w2w_zip_writer_add(W2wZipWriter *writer, const char *entry_name, const void *data,
                            gsize length, GError **error);

/* The directory, after the last entry. */
gboolean w2w_zip_writer_finish(W2wZipWriter *writer, GError **error);

/* What a writer to memory wrote. */
GBytes *w2w_zip_writer_steal_bytes(W2wZipWriter *writer);

G_END_DECLS
