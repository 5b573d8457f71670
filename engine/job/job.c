/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of jobs: what stands here is a sub-command and a procedure in GIMP. */
#include "engine/job/job.h"

#include <string.h>

const W2wJob *const w2w_jobs[] = {&w2w_sample_job, &w2w_edit_job, &w2w_render_job, NULL};

const W2wJob *w2w_job_lookup(const char *name)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++)
        if (strcmp(w2w_jobs[i]->name, name) == 0)
            return w2w_jobs[i];
    return NULL;
}

void w2w_job_result_free(W2wJobResult *result)
{
    if (result == NULL)
        return;
    g_clear_pointer(&result->picture, w2w_picture_free);
    g_clear_pointer(&result->identity, g_bytes_unref);
    g_free(result->name);
    g_free(result->recipe);
    g_free(result->message);
    g_free(result);
}
