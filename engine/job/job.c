/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of jobs: what stands here is a sub-command and a procedure in GIMP. */
#include "engine/job/job.h"

#include <string.h>

const W2wJob *const w2w_jobs[] = {&w2w_sample_job,
                                  &w2w_edit_job,
                                  &w2w_edit_picture_job,
                                  &w2w_render_job,
                                  &w2w_project_job,
                                  &w2w_export_job,
                                  &w2w_mix_job,
                                  &w2w_strip_job,
                                  &w2w_direction_job,
                                  &w2w_pick_job,
                                  &w2w_invert_job,
                                  &w2w_dreambooth_job,
                                  NULL};

const W2wJob *w2w_job_lookup(const char *name)
{
    for (guint i = 0; w2w_jobs[i] != NULL; i++)
        if (strcmp(w2w_jobs[i]->name, name) == 0)
            return w2w_jobs[i];
    return NULL;
}

gboolean w2w_job_shows_parameter(const W2wJob *job, const W2wParameter *parameter)
{
    if (parameter->flags & W2W_PARAMETER_FILES_ONLY)
        return FALSE;
    switch (parameter->type) {
    case W2W_PARAMETER_IDENTITY:
        for (const W2wParameter *before = job->parameters; before < parameter; before++)
            if (before->type == W2W_PARAMETER_IDENTITY)
                return FALSE;
        return g_strcmp0(parameter->name, job->resumes_from) != 0;
    case W2W_PARAMETER_PICTURE:
        return strcmp(parameter->name, W2W_JOB_IMAGE) == 0 ||
               strcmp(parameter->name, W2W_JOB_MASK) == 0;
    case W2W_PARAMETER_PATH:
    case W2W_PARAMETER_IDENTITIES:
    case W2W_PARAMETER_LORAS:
    case W2W_PARAMETER_PICTURES:
        return FALSE;
    case W2W_PARAMETER_INT:
    case W2W_PARAMETER_DOUBLE:
    case W2W_PARAMETER_STRING:
    case W2W_PARAMETER_CHOICE:
    case W2W_PARAMETER_SEED:
    case W2W_PARAMETER_EDITS:
    case W2W_PARAMETER_SWITCH:
        return TRUE;
    }
    g_assert_not_reached();
}

gboolean w2w_job_takes_from_layer(const W2wJob *job, const W2wParameter *parameter)
{
    return (parameter->type == W2W_PARAMETER_IDENTITY ||
            parameter->type == W2W_PARAMETER_PICTURE) &&
           w2w_job_shows_parameter(job, parameter);
}

gboolean w2w_job_is_shown(const W2wJob *job)
{
    for (guint i = 0; i < job->n_parameters; i++)
        if ((job->parameters[i].flags & W2W_PARAMETER_REQUIRED) &&
            !w2w_job_shows_parameter(job, &job->parameters[i]))
            return FALSE;
    return !job->no_picture;
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
    g_free(result->report);
    g_clear_pointer(&result->files, g_ptr_array_unref);
    g_free(result->stem);
    g_free(result);
}

W2wJobFile *w2w_job_file_new(const char *name, GBytes *bytes)
{
    W2wJobFile *file = g_new(W2wJobFile, 1);

    file->name = g_strdup(name);
    file->bytes = bytes;
    return file;
}

void w2w_job_file_free(W2wJobFile *file)
{
    g_bytes_unref(file->bytes);
    g_free(file->name);
    g_free(file);
}
