/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "2/4: Rendering". */
#include "engine/job/part_progress.h"

static void report_part(double fraction, const char *text, gpointer user_data)
{
    const W2wProgressPart *part = user_data;
    g_autofree char *numbered = NULL;

    if (part->whole == NULL || part->whole->func == NULL)
        return;
    if (part->count > 1)
        numbered = g_strdup_printf("%u/%u: %s", part->index + 1, part->count, text);
    part->whole->func((part->index + fraction) / part->count, numbered != NULL ? numbered : text,
                      part->whole->user_data);
}

W2wProgress w2w_progress_part(W2wProgressPart *part)
{
    return (W2wProgress){report_part, part, part->whole != NULL ? part->whole->cancellable : NULL};
}

static void report_stretch(double fraction, const char *text, gpointer user_data)
{
    const W2wProgressStretch *stretch = user_data;

    if (stretch->whole != NULL && stretch->whole->func != NULL)
        stretch->whole->func(stretch->from + fraction * (stretch->to - stretch->from), text,
                             stretch->whole->user_data);
}

W2wProgress w2w_progress_stretch(W2wProgressStretch *stretch)
{
    return (W2wProgress){report_stretch, stretch,
                         stretch->whole != NULL ? stretch->whole->cancellable : NULL};
}
