/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zip archives made in a test, honest or with one thing wrong. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _W2wArchiveMaker W2wArchiveMaker;

W2wArchiveMaker *w2w_archive_maker_new(void);
void w2w_archive_maker_add(W2wArchiveMaker *maker, const char *name, gconstpointer data,
                           gsize length);
void w2w_archive_maker_add_deflated(W2wArchiveMaker *maker, const char *name, gconstpointer data,
                                    gsize length);

/* Frees `maker`. With `is_zip64`, all numbers stand in the ZIP64 records. Caller unrefs. */
GByteArray *w2w_archive_maker_finish(W2wArchiveMaker *maker, gboolean is_zip64);

/* A torch.save() archive "t/…" of this pickle with storages "0", "1", … of these bytes. */
GBytes *w2w_archive_of_pickle(gconstpointer pickle, gsize length, const char *const *storages,
                              const gsize *storage_lengths, guint n_storages);

/* The test fails unless `error` has this code and its message this part; then clears it. */
void w2w_assert_refused(GError **error, int code, const char *part);

G_END_DECLS
