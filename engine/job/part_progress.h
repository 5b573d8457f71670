/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One picture's progress as its part of a job of several. */
#pragma once

#include "engine/progress.h"

G_BEGIN_DECLS

typedef struct {
    const W2wProgress *whole; /* may be NULL */
    guint index, count;       /* which part of how many; the job counts index up */
} W2wProgressPart;

/* To be handed to the part's work; `part` must outlive it. */
W2wProgress w2w_progress_part(W2wProgressPart *part);

G_END_DECLS
