/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pickles as string literals (which may hold NUL), run inside of an archive "x.pt". */
#pragma once

#include "engine/formats/pt.h"

G_BEGIN_DECLS

/* Storage "0" of the archive: 0 … 5 as float32. */
W2wPtValue *w2w_run_pickle(const char *pickle, gsize length, GError **error);

/* Fails the test on an error. */
W2wPtValue *w2w_run_pickle_ok(const char *pickle, gsize length);
#define RUN_OK(literal) w2w_run_pickle_ok(literal, sizeof(literal) - 1)

/* Must be refused, with a message that names file and byte and has this part. */
void w2w_assert_pickle_refused(const char *pickle, gsize length, const char *part);
#define REFUSED(literal, part) w2w_assert_pickle_refused(literal, sizeof(literal) - 1, part)

/* A storage by its torch type, its key and its number of elements (one byte each); a tensor of it.
 */
#define PERSISTENT(type, key, count)                                                               \
    "(U\x07storagectorch\n" type "\nU\x01" key "U\x03"                                             \
    "cpuK" count "tQ"
#define TENSOR(storage, offset, sizes, strides)                                                    \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage "K" offset sizes strides "\x89"                 \
    "ccollections\nOrderedDict\n)RtR"

G_END_DECLS
