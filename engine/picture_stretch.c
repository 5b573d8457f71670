/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Columns at once, rows when they are asked for. */
#include "engine/picture_stretch.h"

#include <math.h>
#include <string.h>

#include "engine/memory.h"

#define SUPPORT 2.0 /* of the cubic, in samples */

struct _W2wStretch {
    guint height, new_height;
    gsize row_length; /* count · n_channels */
    float *columns;   /* (height, count, n_channels) */
};

static double cubic(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return (1.5 * x - 2.5) * x * x + 1.0;
    return x < SUPPORT ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

/* Which samples make a new one: from `first` on (perhaps beyond the edges), `n` of them. */
typedef struct {
    gint64 first;
    guint n;
    double center, stretch, sum;
} Taps;

static double get_weight(const Taps *taps, guint i)
{
    return cubic(((double)(taps->first + i) + 0.5 - taps->center) / taps->stretch);
}

static Taps get_taps(guint n, guint new_n, guint i)
{
    const double scale = (double)n / new_n;
    Taps taps = {.center = (i + 0.5) * scale, .stretch = MAX(scale, 1.0)};

    taps.first = (gint64)floor(taps.center - SUPPORT * taps.stretch);
    taps.n = (guint)(ceil(taps.center + SUPPORT * taps.stretch) - (double)taps.first);
    for (guint t = 0; t < taps.n; t++)
        taps.sum += get_weight(&taps, t);
    return taps;
}

W2wStretch *w2w_stretch_new(const float *values, guint width, guint height, guint n_channels,
                            guint new_width, guint new_height, guint first, guint count,
                            GError **error)
{
    g_autoptr(W2wStretch) stretch = g_new0(W2wStretch, 1);

    stretch->height = height;
    stretch->new_height = new_height;
    stretch->row_length = (gsize)count * n_channels;
    stretch->columns = w2w_aligned_alloc0(height, stretch->row_length * sizeof(float),
                                          "a picture of another size", error);
    if (stretch->columns == NULL)
        return NULL;
    for (guint x = 0; x < count; x++) {
        const Taps taps = get_taps(width, new_width, first + x);

        for (guint t = 0; t < taps.n; t++) {
            const gsize from = (gsize)CLAMP(taps.first + t, 0, (gint64)width - 1);
            const float weight = (float)(get_weight(&taps, t) / taps.sum);

            for (gsize y = 0; y < height; y++)
                for (gsize c = 0; c < n_channels; c++)
                    stretch->columns[y * stretch->row_length + x * n_channels + c] +=
                        weight * values[(y * width + from) * n_channels + c];
        }
    }
    return g_steal_pointer(&stretch);
}

void w2w_stretch_free(W2wStretch *stretch)
{
    if (stretch != NULL) {
        w2w_aligned_free(stretch->columns);
        g_free(stretch);
    }
}

void w2w_stretch_get_row(const W2wStretch *stretch, guint y, float *row)
{
    const Taps taps = get_taps(stretch->height, stretch->new_height, y);

    memset(row, 0, stretch->row_length * sizeof *row);
    for (guint t = 0; t < taps.n; t++) {
        const gsize from = (gsize)CLAMP(taps.first + t, 0, (gint64)stretch->height - 1);
        const float weight = (float)(get_weight(&taps, t) / taps.sum);
        const float *in = stretch->columns + from * stretch->row_length;

        for (gsize x = 0; x < stretch->row_length; x++)
            row[x] += weight * in[x];
    }
}
