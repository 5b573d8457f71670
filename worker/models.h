/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pipelines that stay loaded, one per world, the last used ones. One thread at a time. */
#pragma once

#include "engine/job/job.h"

G_BEGIN_DECLS

typedef struct _W2wModels W2wModels;

W2wModels *w2w_models_new(void);
void w2w_models_free(W2wModels *models);

/*
 * The pipeline over a world's folder, loaded where it is not there yet; but not before the job has
 * found its values right. One whose files were written to since is loaded anew. Borrowed, until the
 * next call.
 */
W2wPipeline *w2w_models_get(W2wModels *models, const char *world_directory, const W2wJob *job,
                            const W2wValues *values, gboolean *loaded, GError **error);

G_END_DECLS
