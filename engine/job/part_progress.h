/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One picture's progress as its part of a job of several; a stretch of a job of unlike parts. */
#pragma once

#include "engine/progress.h"

G_BEGIN_DECLS

typedef struct {
    const W2wProgress *whole; /* may be NULL */
    guint index, count;       /* which part of how many; the job counts index up */
} W2wProgressPart;

/* To be handed to the part's work; `part` must outlive it. */
W2wProgress w2w_progress_part(W2wProgressPart *part);

/* What one piece of work is of the whole: from … to, parts of 1. Its texts stay as they are. */
typedef struct {
    const W2wProgress *whole; /* may be NULL */
    double from, to;
} W2wProgressStretch;

/* To be handed to the work; `stretch` must outlive it. */
W2wProgress w2w_progress_stretch(W2wProgressStretch *stretch);

G_END_DECLS
