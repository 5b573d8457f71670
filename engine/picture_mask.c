/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Masks: from pictures, and averaged over the cells of a crop. */
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/picture_crop.h"

#define FULL 255

W2wMask *w2w_mask_new(guint width, guint height, GError **error)
{
    W2wMask *mask = g_new0(W2wMask, 1);

    mask->width = width;
    mask->height = height;
    mask->values = w2w_try_malloc((gsize)width * height, 1, "a mask", error);
    if (mask->values == NULL)
        g_clear_pointer(&mask, w2w_mask_free);
    return mask;
}

void w2w_mask_free(W2wMask *mask)
{
    if (mask != NULL) {
        g_free(mask->values);
        g_free(mask);
    }
}

/* ITU-R BT.601; a grey is itself. */
static guint8 luma(guint red, guint green, guint blue)
{
    return (guint8)((299 * red + 587 * green + 114 * blue + 500) / 1000);
}

static guint8 multiply(guint a, guint b)
{
    return (guint8)((a * b + FULL / 2) / FULL);
}

static guint8 alpha_of(const W2wPicture *picture, gsize i)
{
    return picture->deep != NULL ? (guint8)((picture->deep[4 * i + 3] + 128u) / 257u) : FULL;
}

W2wMask *w2w_mask_from_picture(const W2wPicture *picture, GError **error)
{
    const gsize n = (gsize)picture->width * picture->height;
    W2wMask *mask = w2w_mask_new(picture->width, picture->height, error);

    for (gsize i = 0; mask != NULL && i < n; i++) {
        if (picture->deep != NULL) { /* `pixels` is over white, which would be inside */
            const guint16 *deep = picture->deep + 4 * i;

            mask->values[i] = multiply(
                luma((deep[0] + 128u) / 257u, (deep[1] + 128u) / 257u, (deep[2] + 128u) / 257u),
                alpha_of(picture, i));
        } else {
            const guint8 *pixel = picture->pixels + 3 * i;

            mask->values[i] = luma(pixel[0], pixel[1], pixel[2]);
        }
    }
    return mask;
}

gboolean w2w_mask_of_picture(const W2wPicture *picture, const W2wMask *given, W2wMask **mask,
                             GError **error)
{
    const gsize n = (gsize)picture->width * picture->height;
    g_autoptr(W2wMask) product = NULL;
    gboolean has_all = TRUE, has_any = FALSE;

    *mask = NULL;
    if (given != NULL && (given->width != picture->width || given->height != picture->height)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The mask has %u × %u pixels and the picture %u × %u: both must have the same "
                    "size.",
                    given->width, given->height, picture->width, picture->height);
        return FALSE;
    }
    product = w2w_mask_new(picture->width, picture->height, error);
    if (product == NULL)
        return FALSE;
    for (gsize i = 0; i < n; i++) {
        const guint8 value =
            multiply(given != NULL ? given->values[i] : FULL, alpha_of(picture, i));

        product->values[i] = value;
        has_all = has_all && value == FULL;
        has_any = has_any || value != 0;
    }
    if (!has_any) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "Nothing of the picture counts: the mask is black everywhere, or the picture "
                    "transparent where it is not. White is what counts.");
        return FALSE;
    }
    if (!has_all)
        *mask = g_steal_pointer(&product);
    return TRUE;
}

/* Where the cells of one side begin and end in the picture's pixels. */
typedef struct {
    double start, step;
} Cells;

/* Which pixels (below n) cell i touches, and how much of the first and last of them. */
typedef struct {
    gint64 first, last; /* last < first: none */
    double low, high;
} Span;

static Span get_span(const Cells *cells, guint i, guint n)
{
    const double low = MAX(cells->start + i * cells->step, 0.0);
    const double high = MIN(cells->start + (i + 1) * cells->step, (double)n);
    Span span = {.first = 0, .last = -1, .low = low, .high = high};

    if (high > low) {
        span.first = (gint64)low;
        span.last = MIN((gint64)high, (gint64)n - 1);
    }
    return span;
}

static double get_share(const Span *span, gint64 pixel)
{
    const double low = MAX(span->low, (double)pixel), high = MIN(span->high, (double)(pixel + 1));

    return MAX(high - low, 0.0);
}

/* Of one cell, times its area. */
static double sum_cell(const W2wMask *mask, const Span *columns, const Span *rows)
{
    double sum = 0.0;

    if (mask == NULL)
        return FULL * MAX(columns->high - columns->low, 0.0) * MAX(rows->high - rows->low, 0.0);
    for (gint64 y = rows->first; y <= rows->last; y++) {
        const guint8 *row = mask->values + (gsize)y * mask->width;
        double line = 0.0;

        for (gint64 x = columns->first; x <= columns->last; x++)
            line += row[x] * get_share(columns, x);
        sum += line * get_share(rows, y);
    }
    return sum;
}

float *w2w_crop_mask(const W2wMask *mask, guint picture_width, guint picture_height,
                     const W2wBox *box, guint width, guint height, GError **error)
{
    const Cells columns = {box->x, (double)box->width / width};
    const Cells rows = {box->y, (double)box->height / height};
    const double area = columns.step * rows.step;
    float *out = w2w_aligned_alloc((gsize)width * height, sizeof *out, "a mask", error);

    for (guint y = 0; out != NULL && y < height; y++) {
        const Span row_span = get_span(&rows, y, picture_height);

        for (guint x = 0; x < width; x++) {
            const Span column_span = get_span(&columns, x, picture_width);

            out[(gsize)y * width + x] =
                (float)CLAMP(sum_cell(mask, &column_span, &row_span) / (FULL * area), 0.0, 1.0);
        }
    }
    return out;
}
