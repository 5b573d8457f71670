/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The restricted pickle machine.
 *
 * Source: Python's pickletools (the meaning of each opcode) and the list that
 * PyTorch's weights_only unpickler allows, with protocol 4's and 5's spellings of the
 * same. A GLOBAL names a W2wPtSymbol or is refused: no name is ever resolved to
 * anything but an entry of our table, whose handlers build inert values.
 */
#pragma once

#include "engine/formats/pt_value.h"

G_BEGIN_DECLS

/* More than any pickle around the weights of a model has, DataFrames of 200,000 people included. */
#define W2W_PICKLE_MAX_BYTES (256 * 1024 * 1024)

struct _W2wPtMachine {
    W2wPtDocument *document;
    GHashTable *storages; /* key → STORAGE value; owned by the document */
    const guint8 *start, *at, *end;
    gsize position; /* of the opcode that runs */
    GBytes *bytes;  /* start … end; byte strings are views of it */
    GPtrArray *stack;
    GArray *marks; /* heights of the stack */
    GPtrArray *memo;
    guint64 n_memoized; /* values in the memo: the number that MEMOIZE uses */
};

/* Keeps a reference on `bytes`. The values that it makes belong to `document`. */
W2wPtMachine *w2w_pickle_machine_new(W2wPtDocument *document, GBytes *bytes);
void w2w_pickle_machine_free(W2wPtMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPtMachine, w2w_pickle_machine_free)

/*
 * Runs one pickle from where the last one ended (at first: the first byte) to its
 * STOP. The value is of any kind, and may hold tensors without data: see
 * w2w_pt_finish(). NULL and W2W_ERROR_FORMAT or W2W_ERROR_MEMORY.
 */
W2wPtValue *w2w_pickle_machine_run(W2wPtMachine *machine, GError **error);

/* --- symbols: pt_symbol.c --- */

/* What REDUCE and NEWOBJ do with a symbol. `arguments` has between min and max items. */
typedef W2wPtValue *(*W2wPtCall)(W2wPtMachine *machine, const W2wPtSymbol *symbol,
                                 const W2wPtValue *arguments, GError **error);

struct _W2wPtSymbol {
    const char *module, *name;
    W2wPtCall call; /* NULL: only passed around, as a class or a storage type */
    guint min_arguments, max_arguments;
    int detail; /* the handler's own: a W2wDType of storages */
};

/* A SYMBOL value; NULL and W2W_ERROR_FORMAT with the name where it is not in the table. */
W2wPtValue *w2w_pt_symbol_lookup(W2wPtMachine *machine, const char *module, const char *name,
                                 GError **error);
gboolean w2w_pt_value_is_symbol(const W2wPtValue *value, const char *module, const char *name);

/* REDUCE and NEWOBJ; BUILD. */
W2wPtValue *w2w_pt_call(W2wPtMachine *machine, const W2wPtValue *callee,
                        const W2wPtValue *arguments, GError **error);
gboolean w2w_pt_build(W2wPtMachine *machine, W2wPtValue *object, const W2wPtValue *state,
                      GError **error);

/* BINPERSID: pt_tensor.c. */
W2wPtValue *w2w_pt_persistent_load(W2wPtMachine *machine, const W2wPtValue *id, GError **error);

/* w2w_pt_fail() at the machine's position, for handlers. Always FALSE. */
#define w2w_pt_machine_fail(machine, error, ...)                                                   \
    w2w_pt_fail((machine)->document, (machine)->position, error, __VA_ARGS__)

G_END_DECLS
