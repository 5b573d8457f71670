/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tint around a mask's edge, found on a coarse grid: it is smooth by what it is. */
#include "engine/picture_seam.h"

#include <math.h>

#include "engine/memory.h"
#include "engine/picture_blur.h"
#include "engine/picture_stretch.h"

#define MAX_CELLS     32 /* of the grid, on each side */
#define BAND_DIVIDE   16 /* the band outside of the edge: this part of the longer side */
#define MAX_CHANNELS  4
#define DISTANCE_RISE 1.5 /* weights fall with this power of the squared distance */

/* What the band has in one cell of the grid. */
typedef struct {
    double weight, sums[MAX_CHANNELS];
} Cell;

/* Near to what is pasted, and the less of it the more; nothing beyond the picture. */
static float *make_band(const float *weights, const float *present, guint width, guint height,
                        GError **error)
{
    const gsize n = (gsize)width * height;
    const guint radius = MAX(MAX(width, height) / BAND_DIVIDE, 1);
    W2W_AUTO_ALIGNED float *between = w2w_aligned_alloc(n, sizeof *between, "a seam", error);
    float *band;

    if (between == NULL)
        return NULL;
    band = w2w_aligned_alloc(n, sizeof *band, "a seam", error);
    if (band == NULL)
        return NULL;
    w2w_field_blur(weights, width, height, radius, between, band);
    for (gsize i = 0; i < n; i++)
        band[i] *= MAX(present[i] - weights[i], 0.0f);
    return band;
}

/* One value of the grid: the cells' means by their distance. */
static void interpolate(const Cell *cells, guint columns, guint rows, guint x, guint y,
                        guint n_channels, float *out)
{
    double total = 0.0, sums[MAX_CHANNELS] = {0.0};

    for (guint j = 0; j < rows; j++)
        for (guint i = 0; i < columns; i++) {
            const Cell *cell = &cells[j * columns + i];
            const double dx = (double)i - x, dy = (double)j - y;
            const double fall = 1.0 / pow(dx * dx + dy * dy + 1.0, DISTANCE_RISE);

            if (cell->weight == 0.0)
                continue;
            total += fall * cell->weight;
            for (guint c = 0; c < n_channels; c++)
                sums[c] += fall * cell->sums[c];
        }
    for (guint c = 0; c < n_channels; c++)
        out[c] = total > 0.0 ? (float)(sums[c] / total) : 0.0f;
}

gboolean w2w_seam_match(float *difference, guint width, guint height, guint n_channels,
                        const float *weights, const float *present, GError **error)
{
    const guint columns = MIN(width, MAX_CELLS), rows = MIN(height, MAX_CELLS);
    const gsize row_length = (gsize)width * n_channels;
    g_autofree Cell *cells = g_new0(Cell, columns * rows);
    g_autofree float *grid = g_new(float, columns *rows *n_channels);
    W2W_AUTO_ALIGNED float *band = make_band(weights, present, width, height, error);
    W2W_AUTO_ALIGNED float *row = NULL;
    g_autoptr(W2wStretch) tint = NULL;

    g_return_val_if_fail(n_channels <= MAX_CHANNELS, FALSE);
    if (band == NULL)
        return FALSE;
    for (gsize y = 0; y < height; y++)
        for (gsize x = 0; x < width; x++) {
            const gsize i = y * width + x;
            Cell *cell = &cells[y * rows / height * columns + x * columns / width];

            cell->weight += band[i];
            for (guint c = 0; c < n_channels; c++)
                cell->sums[c] += (double)band[i] * difference[i * n_channels + c];
        }
    for (guint y = 0; y < rows; y++)
        for (guint x = 0; x < columns; x++)
            interpolate(cells, columns, rows, x, y, n_channels,
                        grid + (y * columns + x) * n_channels);
    tint = w2w_stretch_new(grid, columns, rows, n_channels, width, height, 0, width, error);
    row = tint != NULL ? w2w_aligned_alloc(row_length, sizeof *row, "a seam", error) : NULL;
    if (row == NULL)
        return FALSE;
    for (guint y = 0; y < height; y++) {
        w2w_stretch_get_row(tint, y, row);
        for (gsize i = 0; i < row_length; i++)
            difference[y * row_length + i] -= row[i];
    }
    return TRUE;
}
