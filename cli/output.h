/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a job's results go as files, by the layout that output.c's table has for the job:
 *
 *   FOLDER    -o DIR        DIR/<stem>.safetensors and DIR/<stem>.png of any number of results;
 *                           the stem is the result's own, or person-<seed>
 *   IDENTITY  -o G          the identity as G, its picture as G with .png for .safetensors
 *   PICTURE   -o OUT.png    the picture
 *   EDITED    -o OUT.png    the picture, the identity as OUT.safetensors
 *   FILES     -o PATH       the result's files: PATH itself, or names in the folder PATH
 *   LORA      -o L          the files as FILES, L.png and L-identity.safetensors beside them, where
 *                           L ends in .safetensors without that
 *   NONE                    no --output: what was found is only reported
 *
 * Whether files can be made there is found out before the work starts. A file is replaced
 * as a whole or not at all. Pictures carry name and recipe as text.
 */
#pragma once

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct _W2wOutput W2wOutput;

/*
 * The declaration of --output for a job: one parameter, or NULL where it has none. Every job must
 * have a row in the table.
 */
const W2wParameter *w2w_output_get_parameter(const W2wJob *job);

/* Makes the folder where it is missing. An empty path (of an option that may be left out) is an
 * output that writes nothing. W2W_ERROR_USAGE for a name that does not fit,
 * W2W_ERROR_FILE. */
W2wOutput *w2w_output_new(const W2wJob *job, const char *path, GError **error);
void w2w_output_free(W2wOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wOutput, w2w_output_free)

/* Paths of the files that were written; NULL for none. */
typedef struct {
    char *identity, *picture;
    GPtrArray *files; /* of char *; NULL where there are none */
} W2wWritten;
void w2w_written_clear(W2wWritten *written);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(W2wWritten, w2w_written_clear)

/* `written` is cleared by the caller, also where it failed. W2W_ERROR_FILE. */
gboolean w2w_output_write(const W2wOutput *output, const W2wJobResult *result, W2wWritten *written,
                          GError **error);

G_END_DECLS
