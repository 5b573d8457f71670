/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows, then columns; radii are small. */
#include "engine/picture_blur.h"

void w2w_field_blur(const float *in, guint width, guint height, guint radius, float *between,
                    float *out)
{
    for (gint64 y = 0; y < height; y++)
        for (gint64 x = 0; x < width; x++) {
            const gint64 low = MAX(x - radius, 0), high = MIN(x + radius, (gint64)width - 1);
            double sum = 0.0;

            for (gint64 i = low; i <= high; i++)
                sum += in[y * width + i];
            between[y * width + x] = (float)(sum / (double)(high - low + 1));
        }
    for (gint64 y = 0; y < height; y++)
        for (gint64 x = 0; x < width; x++) {
            const gint64 low = MAX(y - radius, 0), high = MIN(y + radius, (gint64)height - 1);
            double sum = 0.0;

            for (gint64 i = low; i <= high; i++)
                sum += between[i * width + x];
            out[y * width + x] = (float)(sum / (double)(high - low + 1));
        }
}
