/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a job's results go as files.
 *
 *   sample -o DIR        DIR/person-<seed>.safetensors and DIR/person-<seed>.png
 *   edit -o G            the identity as G, its picture as G with .png for .safetensors
 *   render -o OUT.png    the picture
 *
 * Whether files can be made there is found out before the work starts. A file is replaced
 * as a whole or not at all. Pictures carry name and recipe as text.
 */
#pragma once

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct _W2wOutput W2wOutput;

/* The declaration of --output for a job: one parameter; every job must have one here. */
const W2wParameter *w2w_output_get_parameter(const W2wJob *job);

/* Makes the folder where it is missing. W2W_ERROR_USAGE for a name that does not fit,
 * W2W_ERROR_FILE. */
W2wOutput *w2w_output_new(const W2wJob *job, const char *path, GError **error);
void w2w_output_free(W2wOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wOutput, w2w_output_free)

/* The paths are those of the files that were written, NULL for none; caller frees. W2W_ERROR_FILE.
 */
gboolean w2w_output_write(const W2wOutput *output, const W2wJobResult *result, char **identity_path,
                          char **picture_path, GError **error);

G_END_DECLS
