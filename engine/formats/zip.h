/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Zip archives as torch.save() writes them, read only.
 *
 * Source: PKWARE's APPNOTE 6.3.10, with ZIP64. The central directory rules: entries
 * that overlap, leave the file, contradict their local header or share a name are
 * refused, and so are encryption, several disks, and methods besides stored and
 * deflated. A stored entry is a view into the archive. Checksums are checked where the whole entry
 * is looked at anyway (unpacked, copied) or where it is small; not of large stored entries: that
 * would read 4 GB where one row is wanted. A checksum of 0 is one that was not written:
 * torch.save() leaves them out on request.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _W2wZip W2wZip;

/* What a deflated entry may grow to: torch never deflates, so what does is small or a bomb. */
#define W2W_ZIP_MAX_INFLATED (1024 * 1024 * 1024)

/* Stored entries up to this size are held against their checksum. */
#define W2W_ZIP_MAX_CHECKED (64 * 1024)

/* Does it begin like a zip archive? */
gboolean w2w_zip_matches(GBytes *bytes);

/* Keeps a reference on `bytes`; `name` stands for the file in messages. W2W_ERROR_FORMAT. */
W2wZip *w2w_zip_open(GBytes *bytes, const char *name, GError **error);
void w2w_zip_free(W2wZip *zip);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wZip, w2w_zip_free)

/* Entries in the order of the directory; names are UTF-8 and owned by `zip`. */
guint w2w_zip_get_n_entries(const W2wZip *zip);
const char *w2w_zip_get_entry_name(const W2wZip *zip, guint entry);
gboolean w2w_zip_has_entry(const W2wZip *zip, const char *entry_name);

/*
 * The entry's bytes, unpacked; refused before anything is allocated where it has more
 * than `max_bytes`. W2W_ERROR_FORMAT where it is missing or damaged, W2W_ERROR_MEMORY.
 */
GBytes *w2w_zip_read(const W2wZip *zip, const char *entry_name, gsize max_bytes, GError **error);

/* The same in memory of its own, its checksum always checked: for what is parsed. */
GBytes *w2w_zip_copy(const W2wZip *zip, const char *entry_name, gsize max_bytes, GError **error);

G_END_DECLS
