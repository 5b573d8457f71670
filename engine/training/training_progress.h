/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a training says of itself while it runs: "Step 12 of 800, loss 0.0312, 1 min 20 s left". */
#pragma once

#include "engine/progress.h"

G_BEGIN_DECLS

typedef struct {
    const W2wProgress *progress; /* may be NULL */
    const char *what;            /* "Step" */
    guint n_steps;
    /*< private >*/
    guint n_before; /* steps that were done before this run */
    gint64 start;   /* µs */
} W2wTrainingProgress;

/* The clock starts; `what` (not copied) is counted, `n_done` of n_steps are done already. */
W2wTrainingProgress w2w_training_progress_start(const W2wProgress *progress, const char *what,
                                                guint n_done, guint n_steps);

/*
 * After `n_done` steps, with a loss worth showing (NaN: none yet). The time left is told from the
 * second step of this run on. FALSE and G_IO_ERROR_CANCELLED.
 */
gboolean w2w_training_progress_step(const W2wTrainingProgress *run, guint n_done, double loss,
                                    GError **error);

G_END_DECLS
