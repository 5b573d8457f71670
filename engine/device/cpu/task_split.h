/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the bandwidth-bound ops cut their rows into tasks: as few as are worth a hand-over
 * to another thread, all of about the same size, and the same whatever the number of threads.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* About two microseconds of copying or adding; less is not worth a second thread. */
#define W2W_TASK_ELEMENTS 16384
/* The same for exponentials, several times dearer. */
#define W2W_TASK_ELEMENTS_EXP 4096

typedef struct {
    gint64 n_rows, rows_per_task;
    guint n_tasks;
} W2wTaskSplit;

static inline W2wTaskSplit w2w_task_split(gint64 n_rows, gint64 row_elements, gint64 task_elements)
{
    const gint64 n_tasks = CLAMP(n_rows * row_elements / task_elements, 1, MAX(n_rows, 1));
    const gint64 rows_per_task = MAX((n_rows + n_tasks - 1) / n_tasks, 1);

    return (W2wTaskSplit){
        .n_rows = n_rows,
        .rows_per_task = rows_per_task,
        .n_tasks = (guint)((n_rows + rows_per_task - 1) / rows_per_task),
    };
}

/* Rows of a task: [begin, end). */
static inline gint64 w2w_task_begin(const W2wTaskSplit *split, guint task)
{
    return split->rows_per_task * task;
}

static inline gint64 w2w_task_end(const W2wTaskSplit *split, guint task)
{
    return MIN(split->rows_per_task * (task + (gint64)1), split->n_rows);
}

G_END_DECLS
