/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of the .pt reader: values and the document that owns them.
 *
 * All values of a file live in one document and are freed with it in one loop. So
 * neither nesting nor a cycle that a hostile pickle ties can hurt: nothing is ever
 * freed recursively, and a reference on any value is one on its document. Every
 * allocation is charged to the document, whose budget follows from the size of the
 * pickle: a small file cannot cost much memory.
 */
#pragma once

#include "engine/formats/pt.h"

G_BEGIN_DECLS

/* Kinds beyond the public types: what exists only while a pickle runs. */
enum {
    W2W_PT_TUPLE = W2W_PT_DATAFRAME + 1, /* a LIST to the public */
    W2W_PT_BIG_INTEGER,                  /* does not fit 64 bits */
    W2W_PT_SYMBOL,                       /* a global: a name and what may be done with it */
    W2W_PT_STORAGE,
    W2W_PT_TENSOR,  /* an ARRAY once its storage is there */
    W2W_PT_NDARRAY, /* a NumPy array before its state */
    W2W_PT_OBJECT_ARRAY,
    W2W_PT_DTYPE,
    W2W_PT_SLICE,
    W2W_PT_PARTIAL,
    W2W_PT_INDEX,
    W2W_PT_BLOCK,
    W2W_PT_BLOCK_MANAGER,
};

typedef struct _W2wPtDocument W2wPtDocument;
typedef struct _W2wPtMachine W2wPtMachine;
typedef struct _W2wPtSymbol W2wPtSymbol;

typedef struct {
    char *text;
    gsize length;
    gboolean has_nul;      /* raw bytes in disguise: not for C strings */
    W2wPtValue *as_latin1; /* what _codecs.encode() made of it, made once */
} W2wPtString;

typedef struct {
    GPtrArray *items;      /* a dictionary's keys and values alternate */
    GHashTable *by_string; /* DICT: text of key → W2wPtValue; NULL before the first */
} W2wPtContainer;

typedef struct {
    char *key;
    W2wDType dtype;
    gint64 count;  /* elements */
    GBytes *bytes; /* NULL until the archive or the end of the stream gave them */
} W2wPtStorage;

typedef struct {
    W2wPtValue *storage;
    guint n_dims;
    gint64 offset, shape[W2W_ARRAY_MAX_DIMS], stride[W2W_ARRAY_MAX_DIMS];
} W2wPtTensor;

typedef struct {
    W2wDType dtype;
    gboolean is_object;  /* dtype means nothing then */
    gboolean is_swapped; /* big endian */
} W2wPtDType;

typedef struct {
    guint n_dims;
    gint64 shape[2];
    W2wPtValue *list; /* of at least as many items as the shape says; C order */
} W2wPtObjectArray;

typedef struct {
    gint64 start, stop, step;
} W2wPtSlice;

typedef struct {
    W2wPtValue *labels; /* ARRAY or OBJECT_ARRAY of one dimension; NULL: the range */
    W2wPtSlice range;
    gint64 length;
} W2wPtIndex;

typedef struct {
    W2wPtValue *values;    /* ARRAY or OBJECT_ARRAY, (columns, rows) */
    W2wPtValue *placement; /* which columns: SLICE or ARRAY */
} W2wPtBlock;

typedef struct {
    W2wPtValue *blocks, *axes; /* tuples or lists */
} W2wPtBlockManager;

typedef struct {
    W2wPtValue *values;
    gint64 row; /* of `values` */
    W2wPtValue *name;
} W2wPtColumn;

typedef struct {
    W2wPtValue *manager;
    W2wPtValue *index; /* from here on: set when the document is finished */
    W2wPtColumn *columns;
    guint n_columns;
    gint64 n_rows;
} W2wPtDataFrame;

struct _W2wPtValue {
    W2wPtDocument *document;
    W2wPtValue *next; /* in the document, in the order of creation */
    gsize position;   /* in the pickle, of the opcode that made it */
    guint8 kind;      /* W2wPtType or one of the above */
    guint8 height;    /* of the tree below it; used by w2w_pt_finish() */
    gboolean is_open; /* the same */
    guint32 n_nodes;  /* the same; 0 before the visit */
    union {
        gint64 integer; /* also BOOL */
        double real;
        gpointer payload; /* owned unless a comment says otherwise; freed by kind */
        W2wPtString *string;
        GBytes *bytes;
        W2wPtContainer *container; /* LIST, TUPLE, DICT */
        W2wArray *array;
        W2wPtStorage *storage;
        W2wPtTensor *tensor;
        W2wPtDType *dtype;
        W2wPtObjectArray *object_array;
        W2wPtSlice *slice;
        W2wPtIndex *index;
        W2wPtBlock *block;
        W2wPtBlockManager *manager;
        W2wPtDataFrame *frame;
        const W2wPtSymbol *symbol; /* static */
        W2wPtValue *target;        /* PARTIAL: the symbol; owned by the document */
    };
};

struct _W2wPtDocument {
    gatomicrefcount ref_count;
    char *name;
    W2wPtValue *first, *last;
    gsize budget;   /* bytes that may still be allocated */
    gsize reserved; /* of them, those that were to be had when last asked */
};

/* `pickle_bytes` decides the budget. */
W2wPtDocument *w2w_pt_document_new(const char *name, gsize pickle_bytes);
void w2w_pt_document_unref(W2wPtDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPtDocument, w2w_pt_document_unref)

/* "NAME cannot be read: at byte POSITION of its pickle …." Always FALSE. */
gboolean w2w_pt_fail(const W2wPtDocument *document, gsize position, GError **error,
                     const char *format, ...) G_GNUC_PRINTF(4, 5);

/* Takes `n_bytes` from the budget; fails when it is spent, or memory is (W2W_ERROR_MEMORY). */
gboolean w2w_pt_charge(W2wPtDocument *document, gsize n_bytes, gsize position, GError **error);

/*
 * Before a container of GLib's gets its item number `n_items`: it doubles at powers of two, and
 * cannot fail. W2W_ERROR_MEMORY.
 */
gboolean w2w_pt_reserve_growth(const W2wPtDocument *document, gsize n_items, gsize item_size,
                               GError **error);

/*
 * A new value, with `payload_bytes` of zeros where its kind has a struct. NULL and an
 * error when the budget is spent. Values belong to the document.
 */
W2wPtValue *w2w_pt_value_new(W2wPtDocument *document, int kind, gsize payload_bytes, gsize position,
                             GError **error);
/* Copies; `text` must be UTF-8, NUL characters allowed. */
W2wPtValue *w2w_pt_value_new_string(W2wPtDocument *document, const char *text, gsize length,
                                    gsize position, GError **error);
/* LIST, TUPLE or DICT, without items. */
W2wPtValue *w2w_pt_value_new_container(W2wPtDocument *document, int kind, gsize position,
                                       GError **error);

gboolean w2w_pt_container_append(W2wPtValue *container, W2wPtValue *item, gsize position,
                                 GError **error);
/* Refuses a second equal string key: no honest pickle has one. */
gboolean w2w_pt_dict_set(W2wPtValue *dict, W2wPtValue *key, W2wPtValue *value, gsize position,
                         GError **error);

/* "a tensor", "a pandas Index" …, of any kind. */
const char *w2w_pt_kind_describe(int kind);

gboolean w2w_pt_value_is_sequence(const W2wPtValue *value); /* LIST or TUPLE */
gboolean w2w_pt_value_is_scalar(const W2wPtValue *value);   /* NONE … BYTES */
guint w2w_pt_sequence_get_length(const W2wPtValue *sequence);
W2wPtValue *w2w_pt_sequence_get(const W2wPtValue *sequence, guint i);

/*
 * After the pickle, when the storages have their bytes: TENSORs become ARRAYs,
 * DataFrames get their columns, and what `root` leads to must be a finite tree of
 * public types, at most 64 deep, so that callers may walk it by recursion.
 */
gboolean w2w_pt_finish(W2wPtValue *root, GError **error);

/* --- the two kinds of file --- */

/* pt_archive.c: a zip archive. A new reference. */
W2wPtValue *w2w_pt_read_archive(GBytes *bytes, const char *name, GError **error);

/* pt_legacy.c: a row of pickles with the numbers behind them, as before PyTorch 1.6. */
gboolean w2w_pt_legacy_matches(GBytes *bytes);
W2wPtValue *w2w_pt_read_legacy(GBytes *bytes, const char *name, GError **error);

G_END_DECLS
