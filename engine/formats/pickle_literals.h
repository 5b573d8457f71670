/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of the pickle machine: what stands in its input as such. All move machine->at. */
#pragma once

#include "engine/formats/pickle.h"

G_BEGIN_DECLS

#define W2W_PICKLE_MAX_NAME 256 /* bytes of a module or a class */

/* A little-endian number of `size` ≤ 8 bytes. */
gboolean w2w_pickle_take_number(W2wPtMachine *machine, guint size, guint64 *number, GError **error);

/* A line of a GLOBAL, without its end; `line` has room for W2W_PICKLE_MAX_NAME bytes. */
gboolean w2w_pickle_take_line(W2wPtMachine *machine, char *line, GError **error);

/* BININT of 4 bytes, which has a sign, BININT1 and BININT2, which have none. */
W2wPtValue *w2w_pickle_take_integer(W2wPtMachine *machine, guint size, GError **error);
/* LONG1: little endian, two's complement, any length. */
W2wPtValue *w2w_pickle_take_long(W2wPtMachine *machine, GError **error);
W2wPtValue *w2w_pickle_take_float(W2wPtMachine *machine, GError **error);
/* Behind a length of `size` bytes. */
W2wPtValue *w2w_pickle_take_string(W2wPtMachine *machine, guint size, GError **error);
W2wPtValue *w2w_pickle_take_bytes(W2wPtMachine *machine, guint size, GError **error);

G_END_DECLS
