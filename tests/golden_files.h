/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Golden folders for tests: outputs of the original frameworks, and how near to them
 * an honest implementation stays.
 *
 * A folder holds params.json (the settings), tolerances.json (file → key → unit, rms,
 * max) and safetensors files. Nothing of them may be hard-coded in a test: another
 * folder of the same make must pass too (W2W_GOLDEN=DIR). The comparisons print
 * their numbers always, and fail the running test (which goes on) with the worst
 * element where a tolerance is exceeded. A file that should be there and is not
 * aborts the test program with a message: a missing golden file is never a pass.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/array.h"
#include "engine/formats/safetensors.h"

G_BEGIN_DECLS

typedef struct _W2wGolden W2wGolden;

/* $W2W_GOLDEN, else golden/a of the test sources. The second: the embedded world's, which
 * ship with the program for w2w selftest: $W2W_DATA_DIR/selftest. */
const char *w2w_golden_dir(void);
const char *w2w_golden_mini_dir(void);

/* A file in w2w_golden_dir(). Caller frees. */
char *w2w_golden_path(const char *name);

/* `dir` NULL means w2w_golden_dir(). Never NULL. */
W2wGolden *w2w_golden_open(const char *dir);
void w2w_golden_free(W2wGolden *golden);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wGolden, w2w_golden_free)

const char *w2w_golden_get_dir(const W2wGolden *golden);
char *w2w_golden_get_path(const W2wGolden *golden, const char *name); /* caller frees */

/* params.json and tolerances.json; owned by `golden`. */
JsonObject *w2w_golden_get_params(W2wGolden *golden);
JsonObject *w2w_golden_get_tolerances(W2wGolden *golden);

/* `file` as in tolerances.json, without ".safetensors" ("unet"); owned by `golden`. */
W2wSafetensors *w2w_golden_get_file(W2wGolden *golden, const char *file);
gboolean w2w_golden_has_file(const W2wGolden *golden, const char *file);

/* The array `key` of `file`; owned by `golden`. Aborts the test where there is none. */
W2wArray *w2w_golden_get(W2wGolden *golden, const char *file, const char *key);

/* All of its numbers. Caller frees. */
float *w2w_golden_get_f32(W2wGolden *golden, const char *file, const char *key);

/*
 * Root mean square and largest of the differences, in units of
 * tolerances[file][key].unit, against its rms and max. `expected` NULL means
 * w2w_golden_get(). `actual`: expected's n_elements, row major. TRUE where near enough.
 */
gboolean w2w_golden_compare(W2wGolden *golden, const char *file, const char *key,
                            const W2wArray *expected, const float *actual);
gboolean w2w_golden_compare_f64(W2wGolden *golden, const char *file, const char *key,
                                const W2wArray *expected, const double *actual);

/* Every integer exactly. `what` names the array in messages. */
gboolean w2w_golden_compare_i64(const char *what, const W2wArray *expected, const gint64 *actual);

/* 8-bit pictures: at most 1 off, and that in at most 0.1 % of the values. */
gboolean w2w_golden_compare_u8(const char *what, const W2wArray *expected, const guint8 *actual);

G_END_DECLS
