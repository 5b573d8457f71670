/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps done, loss and time left, in words. */
#include "engine/training/training_progress.h"

#include <math.h>

W2wTrainingProgress w2w_training_progress_start(const W2wProgress *progress, const char *what,
                                                guint n_done, guint n_steps)
{
    return (W2wTrainingProgress){.progress = progress,
                                 .what = what,
                                 .n_steps = n_steps,
                                 .n_before = n_done,
                                 .start = g_get_monotonic_time()};
}

static void append_time_left(GString *text, double seconds)
{
    const guint64 whole = (guint64)ceil(seconds);

    if (whole >= 3600)
        g_string_append_printf(text, ", %" G_GUINT64_FORMAT " h %" G_GUINT64_FORMAT " min left",
                               whole / 3600, whole / 60 % 60);
    else if (whole >= 60)
        g_string_append_printf(text, ", %" G_GUINT64_FORMAT " min %" G_GUINT64_FORMAT " s left",
                               whole / 60, whole % 60);
    else
        g_string_append_printf(text, ", %" G_GUINT64_FORMAT " s left", whole);
}

gboolean w2w_training_progress_step(const W2wTrainingProgress *run, guint n_done, double loss,
                                    GError **error)
{
    const guint n_run = n_done - run->n_before;
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "%s %u of %u", run->what, n_done, run->n_steps);
    if (!isnan(loss))
        g_string_append_printf(text, ", loss %.4f", loss);
    if (n_run > 1 && n_done < run->n_steps)
        append_time_left(text, (double)(g_get_monotonic_time() - run->start) / 1e6 *
                                   (run->n_steps - n_done) / n_run);
    return w2w_progress_step(run->progress, (double)n_done / run->n_steps, text->str, error);
}
