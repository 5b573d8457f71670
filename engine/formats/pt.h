/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PyTorch's .pt/.bin files, read without ever executing anything.
 *
 * A .pt file is a zip archive (or, before 2020, a bare stream) around a pickle.
 * The pickle is run by a restricted machine of our own: a fixed list of opcodes,
 * and globals that are inert symbols with a fixed handler each (tensors, storages,
 * OrderedDict, torch.Size, NumPy arrays, pandas DataFrames and their parts).
 * Everything else is refused with the name of the symbol and the byte position.
 * There is no fallback. Storages are mapped, not copied (a deflated entry excepted).
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

typedef enum {
    W2W_PT_NONE,
    W2W_PT_BOOL,
    W2W_PT_INT,
    W2W_PT_FLOAT,
    W2W_PT_STRING, /* UTF-8 */
    W2W_PT_BYTES,
    W2W_PT_LIST,      /* also tuples, torch.Size and sets */
    W2W_PT_DICT,      /* also OrderedDict; order kept */
    W2W_PT_ARRAY,     /* torch tensor, Parameter or numeric NumPy array */
    W2W_PT_DATAFRAME, /* pandas DataFrame */
} W2wPtType;

typedef struct _W2wPtValue W2wPtValue;

/* Opens and interprets the whole pickle. W2W_ERROR_FILE, W2W_ERROR_FORMAT, W2W_ERROR_MEMORY. */
W2wPtValue *w2w_pt_open(const char *path, GError **error);
W2wPtValue *w2w_pt_open_bytes(GBytes *bytes, const char *name, GError **error);

W2wPtValue *w2w_pt_value_ref(W2wPtValue *value);
void w2w_pt_value_unref(W2wPtValue *value);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPtValue, w2w_pt_value_unref)

/* What follows borrows from the value and may be called only on the type that it names. */
W2wPtType w2w_pt_value_get_type(const W2wPtValue *value);
gboolean w2w_pt_value_get_bool(const W2wPtValue *value);
gint64 w2w_pt_value_get_int(const W2wPtValue *value);
double w2w_pt_value_get_float(const W2wPtValue *value); /* also of an INT */
const char *w2w_pt_value_get_string(const W2wPtValue *value);
GBytes *w2w_pt_value_get_bytes(const W2wPtValue *value);   /* borrowed */
W2wArray *w2w_pt_value_get_array(const W2wPtValue *value); /* borrowed */

/*
 * What a finished value holds is a tree: at most 64 deep, at most 16 million nodes, no
 * cycles. So it may be walked by recursion.
 */

/* LIST: number of items, item i. DICT: number of entries, key i and value i. */
guint w2w_pt_value_get_length(const W2wPtValue *value);
W2wPtValue *w2w_pt_value_get_item(const W2wPtValue *value, guint i);
W2wPtValue *w2w_pt_value_get_key(const W2wPtValue *value, guint i);
/* DICT: the value of a string key, NULL where there is none. */
W2wPtValue *w2w_pt_value_lookup(const W2wPtValue *value, const char *key);

/* DATAFRAME: columns by number; names and index labels are any scalar value. */
guint w2w_pt_value_get_n_columns(const W2wPtValue *value);
gint64 w2w_pt_value_get_n_rows(const W2wPtValue *value);
W2wPtValue *w2w_pt_value_get_column_name(const W2wPtValue *value, guint column);
W2wPtValue *w2w_pt_value_get_index(const W2wPtValue *value, gint64 row); /* new reference */
W2wPtValue *w2w_pt_value_get_cell(const W2wPtValue *value, guint column,
                                  gint64 row); /* new reference */
/* A numeric column as an array of n_rows; NULL where the column holds objects. New reference. */
W2wArray *w2w_pt_value_get_column(const W2wPtValue *value, guint column);

/* "a dictionary", "a DataFrame"… for messages. */
const char *w2w_pt_type_describe(W2wPtType type);

/*
 * The file's one tensor: opens `path`, insists on an array.
 * (upstream's mean.pt, V.pt …)
 */
W2wArray *w2w_pt_open_array(const char *path, GError **error);

G_END_DECLS
