/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who the rows of a dataset are: names, files and labels, as identity_df.pt (a DataFrame: index =
 * folder name, a `file` column, a column of 1 and −1 per attribute) or dog_labels.pt (a dictionary
 * or list with an entry per row) hold them.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    GPtrArray *names;      /* char *, one per person; NULL where nobody has one */
    GPtrArray *files;      /* the same, of the `file` column */
    GPtrArray *attributes; /* columns that hold 1 and −1, both and nothing else; NULL terminated */
    GPtrArray *labels;     /* gint8 (n_people) each, 1 or −1 */
} W2wPeopleTable;

/* Nobody is known. */
W2wPeopleTable *w2w_people_table_new(void);
void w2w_people_table_free(W2wPeopleTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPeopleTable, w2w_people_table_free)

/*
 * `beside` names the file whose `n_people` rows these are: W2W_ERROR_MISMATCH where the numbers
 * differ. W2W_ERROR_FORMAT where the file holds something else.
 */
W2wPeopleTable *w2w_people_table_load(const char *path, gint64 n_people, const char *beside,
                                      GError **error);

/* Adds an attribute; takes over `labels` (n_people, g_malloc) where they are labels of it: FALSE,
 * and nothing happens, where they are all 1, all −1, or hold anything else. */
gboolean w2w_people_table_add(W2wPeopleTable *table, const char *attribute, gint8 *labels,
                              gint64 n_people);

/* The row of this name, else of this file; −1 where there is none. The first of several. */
gint64 w2w_people_table_find(const W2wPeopleTable *table, const char *name);

/* NULL where it has none; owned. */
const char *w2w_people_table_get_name(const W2wPeopleTable *table, gint64 row);
const char *w2w_people_table_get_file(const W2wPeopleTable *table, gint64 row);

G_END_DECLS
