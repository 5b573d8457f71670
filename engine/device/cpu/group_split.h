/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a group norm and its gradient cut their work, by size alone:
 *  - small feature maps by slabs of whole groups: a task finds the sums of its channels and
 *    then uses them while the numbers are in the cache, and needs nobody else;
 *  - large ones by rows: first the sums of every chunk of rows, then, when all of them are
 *    added up, what is done with every chunk. Memory is read in its order.
 */
#pragma once

#include "engine/device/cpu/channel_moments.h"
#include "engine/device/cpu/task_split.h"
#include "engine/device/op.h"

G_BEGIN_DECLS

#define W2W_SLAB_GRANULARITY  16 /* floats: a cache line, so that no two tasks write to one */
#define W2W_SLAB_MAX_BYTES    (128 * 1024) /* stays in a second-level cache between the passes */
#define W2W_SLAB_MIN_ELEMENTS W2W_TASK_ELEMENTS_EXP
#define W2W_MAX_CHUNKS        64 /* per image */

typedef struct {
    gint64 n_images, n_rows, n_channels; /* n_rows: of an image */
    gint64 n_groups, group_channels;
    gboolean by_rows;
    gint64 slab_channels, n_slabs;   /* by slabs */
    gint64 rows_per_chunk, n_chunks; /* by rows: whole blocks */
} W2wGroupSplit;

static inline gint64 w2w_round_up(gint64 value, gint64 step)
{
    return (value + step - 1) / step * step;
}

/* The narrowest slabs that are whole groups, whole cache lines and worth a task. */
static inline gint64 w2w_slab_channels(const W2wGroupSplit *split)
{
    gint64 unit = split->group_channels, wanted;

    while (unit % W2W_SLAB_GRANULARITY != 0)
        unit += split->group_channels;
    wanted = (W2W_SLAB_MIN_ELEMENTS + split->n_rows - 1) / split->n_rows;
    return MIN(w2w_round_up(wanted, unit), split->n_channels);
}

/* pixel_bytes: of a row's channel, in all of the arrays that the passes go through. */
static inline W2wGroupSplit w2w_group_split(W2wShape shape, gint n_groups, gsize pixel_bytes)
{
    W2wGroupSplit split = {
        .n_images = shape.n,
        .n_rows = (gint64)shape.h * shape.w,
        .n_channels = shape.c,
        .n_groups = n_groups,
        .group_channels = shape.c / n_groups,
    };
    const gint64 n_elements = split.n_rows * split.n_channels;
    gint64 n_chunks, slab_bytes;

    split.slab_channels = w2w_slab_channels(&split);
    split.n_slabs = (split.n_channels + split.slab_channels - 1) / split.slab_channels;
    slab_bytes = split.n_rows * split.slab_channels * (gint64)pixel_bytes;
    split.by_rows = n_elements > W2W_SLAB_MIN_ELEMENTS &&
                    (slab_bytes > W2W_SLAB_MAX_BYTES ||
                     (split.n_slabs == 1 && split.n_rows > W2W_BLOCK_ROWS && split.n_images == 1));
    n_chunks = CLAMP(n_elements / W2W_TASK_ELEMENTS_EXP, 1, W2W_MAX_CHUNKS);
    split.rows_per_chunk = w2w_round_up((split.n_rows + n_chunks - 1) / n_chunks, W2W_BLOCK_ROWS);
    split.n_chunks = (split.n_rows + split.rows_per_chunk - 1) / split.rows_per_chunk;
    return split;
}

/* Tasks of one pass. */
static inline guint w2w_group_n_tasks(const W2wGroupSplit *split)
{
    return (guint)(split->n_images * (split->by_rows ? split->n_chunks : split->n_slabs));
}

/* By slabs: a task's channels [begin, end) of an image. */
static inline gint64 w2w_group_slab(const W2wGroupSplit *split, guint task, gint64 *begin,
                                    gint64 *end)
{
    *begin = task % split->n_slabs * split->slab_channels;
    *end = MIN(*begin + split->slab_channels, split->n_channels);
    return task / split->n_slabs;
}

/* By rows: a task's rows, the first one counted from the first image's, of an image. */
static inline gint64 w2w_group_chunk(const W2wGroupSplit *split, guint task, gint64 *first_row,
                                     gint64 *n_rows)
{
    const gint64 image = task / split->n_chunks,
                 begin = task % split->n_chunks * split->rows_per_chunk;

    *first_row = image * split->n_rows + begin;
    *n_rows = MIN(split->rows_per_chunk, split->n_rows - begin);
    return image;
}

/* Of the channels of one group. */
static inline double w2w_group_sum(const double *values, gint64 group_channels)
{
    double sum = 0.0;

    for (gint64 i = 0; i < group_channels; i++)
        sum += values[i];
    return sum;
}

G_END_DECLS
