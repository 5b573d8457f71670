/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bytes between client and worker that are too many for a message: memory without a name, sealed so
 * that nobody changes it or its size any more. It is read, not mapped: what would be wrong with it
 * cannot hurt who reads.
 */
#pragma once

#include <gio/gunixfdlist.h>

G_BEGIN_DECLS

/* A descriptor; −1: errno says why. */
int w2w_shared_memory_new(gconstpointer data, gsize size);

/* FALSE where there are not so many bytes. */
gboolean w2w_shared_memory_read(int descriptor, gpointer data, gsize size);

/*
 * The values of a call (a{sv}, sunk) with every bytestring of W2W_SHARED_MEMORY_LEAST bytes and
 * more in a descriptor of `descriptors`, "(ht)": which, and of what size; and back. What is in no
 * descriptor stays as it is. W2W_ERROR_MEMORY; and back, W2W_ERROR_USAGE for what is not as said.
 */
#define W2W_SHARED_MEMORY_LEAST (1024 * 1024)
#define W2W_SHARED_MEMORY_MOST  (G_GUINT64_CONSTANT(1) << 30)
GVariant *w2w_shared_memory_pack(GVariant *values, GUnixFDList *descriptors, GError **error);
GVariant *w2w_shared_memory_unpack(GVariant *values, GUnixFDList *descriptors, GError **error);

G_END_DECLS
