/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside of the .pt reader: what the symbols of pt_symbol.c do, by the library whose
 * functions they stand for. A call's `arguments` is a tuple whose length the table
 * has checked, and nothing else about it is known.
 */
#pragma once

#include "engine/formats/pickle.h"

G_BEGIN_DECLS

#define W2W_PT_HANDLER(function)                                                                   \
    W2wPtValue *function(W2wPtMachine *machine, const W2wPtSymbol *symbol,                         \
                         const W2wPtValue *arguments, GError **error)

/* pt_symbol.c: argument `i` if it is of `kind`; else NULL and an error that names the symbol. */
W2wPtValue *w2w_pt_argument(W2wPtMachine *machine, const W2wPtSymbol *symbol,
                            const W2wPtValue *arguments, guint i, int kind, GError **error);

/* pt_python.c: builtins, collections, codecs, functools, copyreg */
W2W_PT_HANDLER(w2w_pt_call_dict);          /* OrderedDict() */
W2W_PT_HANDLER(w2w_pt_call_set);           /* set(list): a LIST */
W2W_PT_HANDLER(w2w_pt_call_bytes);         /* bytes(): none */
W2W_PT_HANDLER(w2w_pt_call_encode);        /* _codecs.encode(text, "latin1") */
W2W_PT_HANDLER(w2w_pt_call_slice);         /* slice(start, stop, step) */
W2W_PT_HANDLER(w2w_pt_call_partial);       /* functools.partial(new_block) */
W2W_PT_HANDLER(w2w_pt_call_reconstructor); /* copyreg._reconstructor(class, object, None) */

/* pt_tensor.c */
W2W_PT_HANDLER(w2w_pt_call_rebuild_tensor);
W2W_PT_HANDLER(w2w_pt_call_rebuild_parameter);
W2W_PT_HANDLER(w2w_pt_call_size); /* torch.Size(tuple) */
/* A TENSOR becomes an ARRAY: its storage has bytes now. */
gboolean w2w_pt_finish_tensor(W2wPtValue *tensor, GError **error);

/* pt_numpy.c */
W2W_PT_HANDLER(w2w_pt_call_dtype);
W2W_PT_HANDLER(w2w_pt_call_reconstruct);
W2W_PT_HANDLER(w2w_pt_call_frombuffer);
W2W_PT_HANDLER(w2w_pt_call_scalar);
gboolean w2w_pt_build_dtype(W2wPtMachine *machine, W2wPtValue *dtype, const W2wPtValue *state,
                            GError **error);
gboolean w2w_pt_build_ndarray(W2wPtMachine *machine, W2wPtValue *array, const W2wPtValue *state,
                              GError **error);

/* pt_pandas.c */
W2W_PT_HANDLER(w2w_pt_call_index);         /* _new_Index(class, dict) */
W2W_PT_HANDLER(w2w_pt_call_block);         /* _unpickle_block(values, placement, ndim) */
W2W_PT_HANDLER(w2w_pt_call_block_manager); /* BlockManager() or BlockManager(blocks, axes) */
W2W_PT_HANDLER(w2w_pt_call_data_frame);    /* DataFrame() */
gboolean w2w_pt_build_block_manager(W2wPtMachine *machine, W2wPtValue *manager,
                                    const W2wPtValue *state, GError **error);
gboolean w2w_pt_build_data_frame(W2wPtMachine *machine, W2wPtValue *frame, const W2wPtValue *state,
                                 GError **error);

/* pt_dataframe.c: the columns of a DataFrame, from the blocks of its manager. */
gboolean w2w_pt_finish_data_frame(W2wPtValue *frame, GError **error);

G_END_DECLS
