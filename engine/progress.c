/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reporting and cancelling in one call, so that no step can forget one of the two. */
#include "engine/progress.h"

gboolean w2w_progress_step(const W2wProgress *progress, double fraction, const char *text,
                           GError **error)
{
    if (progress == NULL)
        return TRUE;
    if (progress->cancellable != NULL &&
        g_cancellable_set_error_if_cancelled(progress->cancellable, error))
        return FALSE;
    if (progress->func != NULL)
        progress->func(fraction, text, progress->user_data);
    return TRUE;
}
