/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differences brought into a picture. */
#include "engine/picture_paste.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/picture_blur.h"
#include "engine/picture_seam.h"
#include "engine/picture_stretch.h"

#define N_COLOURS     3
#define N_DEEP        4
#define RAMP_DIVIDE   16        /* of the box's side: how wide its edges fade */
#define HALF_RANGE    127.5f    /* −1 … 1 to differences of 8-bit values */
#define DEEP_SCALE    257.0f    /* 8-bit values to 16 bits */
#define LITTLE        8.0f      /* 8-bit values: up to here before and after differ little */
#define MUCH          40.0f     /* from here on they differ much */
#define SMOOTH_DIVIDE 48        /* where that changes, smooth over this part of the side */
#define SHARE         N_COLOURS /* channels of the field: three differences, a share, the crop */
#define CROP          (SHARE + 1)
#define MAX_REGION    (256 * 1024 * 1024)

/* How much is pasted at a place between 0 and 1 of a box's side, by which of its edges fade. */
static float get_ramp(double place, gboolean low_fades, gboolean high_fades)
{
    double ramp = 1.0;

    if (low_fades)
        ramp = MIN(ramp, place * RAMP_DIVIDE);
    if (high_fades)
        ramp = MIN(ramp, (1.0 - place) * RAMP_DIVIDE);
    return (float)MAX(ramp, 0.0);
}

/* Edges at the picture's own, or beyond, have nothing to fade to. */
static float column_ramp(const W2wPicture *picture, const W2wBox *box, double place)
{
    return get_ramp(place, box->x > 0, box->x + box->width < (gint)picture->width);
}

static float row_ramp(const W2wPicture *picture, const W2wBox *box, double place)
{
    return get_ramp(place, box->y > 0, box->y + box->height < (gint)picture->height);
}

static gboolean match_colours(const W2wPicture *picture, const W2wPasteOptions *options,
                              guint width, guint height, float *difference, GError **error)
{
    const W2wBox *box = &options->box;
    W2W_AUTO_ALIGNED float *present =
        w2w_crop_mask(NULL, picture->width, picture->height, box, width, height, error);
    W2W_AUTO_ALIGNED float *weights =
        present != NULL ? w2w_crop_mask(options->mask, picture->width, picture->height, box, width,
                                        height, error)
                        : NULL;

    if (weights == NULL)
        return FALSE;
    for (guint y = 0; y < height; y++)
        for (guint x = 0; x < width; x++)
            weights[(gsize)y * width + x] *= column_ramp(picture, box, (x + 0.5) / width) *
                                             row_ramp(picture, box, (y + 0.5) / height);
    return w2w_seam_match(difference, width, height, N_COLOURS, weights, present, error);
}

static guint get_n_channels(const W2wChange *change)
{
    return change->crop != NULL ? CROP + N_COLOURS : N_COLOURS;
}

/* How much of the crop, instead of `before`, what is new is held against: (height, width). */
static float *make_shares(const W2wChange *change, GError **error)
{
    const gsize n = (gsize)change->width * change->height;
    const guint radius = MAX(MAX(change->width, change->height) / SMOOTH_DIVIDE, 1);
    W2W_AUTO_ALIGNED float *room = w2w_aligned_alloc(n, 2 * sizeof *room, "what is pasted", error);
    float *shares =
        room != NULL ? w2w_aligned_alloc(n, sizeof *shares, "what is pasted", error) : NULL;

    if (shares == NULL)
        return NULL;
    for (gsize i = 0; i < n; i++) {
        float most = 0.0f;

        for (gsize c = 0; c < N_COLOURS; c++)
            most = MAX(most, HALF_RANGE * fabsf(change->after[i * N_COLOURS + c] -
                                                change->before[i * N_COLOURS + c]));
        room[i] = most;
    }
    w2w_field_blur(room, change->width, change->height, radius, room + n, shares);
    for (gsize i = 0; i < n; i++) {
        const float share = CLAMP((shares[i] - LITTLE) / (MUCH - LITTLE), 0.0f, 1.0f);

        shares[i] = share * share * (3.0f - 2.0f * share);
    }
    return shares;
}

/*
 * What is pasted, stretched to the box: after − before in 8-bit values, colours matched; and of a
 * change with a crop, how much the crop is replaced, and with that share the crop.
 */
static W2wStretch *make_field(const W2wPicture *picture, const W2wChange *change,
                              const W2wPasteOptions *options, guint first, guint count,
                              GError **error)
{
    const guint n_channels = get_n_channels(change);
    const gsize n = (gsize)change->width * change->height;
    W2W_AUTO_ALIGNED float *difference =
        w2w_aligned_alloc(n, N_COLOURS * sizeof *difference, "what is pasted", error);
    W2W_AUTO_ALIGNED float *shares = NULL;
    W2W_AUTO_ALIGNED float *field = NULL;

    if (difference == NULL)
        return NULL;
    for (gsize i = 0; i < n * N_COLOURS; i++)
        difference[i] = HALF_RANGE * (change->after[i] - change->before[i]);
    if (change->crop != NULL) {
        shares = make_shares(change, error);
        if (shares == NULL)
            return NULL;
        for (gsize i = 0; i < n * N_COLOURS; i++)
            difference[i] +=
                HALF_RANGE * shares[i / N_COLOURS] * (change->before[i] - change->crop[i]);
    }
    if (options->match_colours &&
        !match_colours(picture, options, change->width, change->height, difference, error))
        return NULL;
    field = w2w_aligned_alloc(n, n_channels * sizeof *field, "what is pasted", error);
    if (field == NULL)
        return NULL;
    for (gsize i = 0; i < n; i++) {
        float *out = field + i * n_channels;

        for (gsize c = 0; c < N_COLOURS; c++)
            out[c] = difference[i * N_COLOURS + c];
        if (shares != NULL) {
            out[SHARE] = shares[i];
            for (gsize c = 0; c < N_COLOURS; c++)
                out[CROP + c] = HALF_RANGE * (change->crop[i * N_COLOURS + c] + 1.0f);
        }
    }
    return w2w_stretch_new(field, change->width, change->height, n_channels,
                           (guint)options->box.width, (guint)options->box.height, first, count,
                           error);
}

/*
 * What a pixel of the picture changes by, in place of the field's first colours. Details that the
 * crop is too small for stand beside it in the picture: they go with what is replaced.
 */
static void take_details(float *values, guint n_channels, const guint8 *pixel)
{
    const float share = n_channels > N_COLOURS ? CLAMP(values[SHARE], 0.0f, 1.0f) : 0.0f;

    for (guint c = 0; share > 0.0f && c < N_COLOURS; c++)
        values[c] += share * (values[CROP + c] - (float)pixel[c]);
}

static guint8 change_u8(guint8 value, float difference)
{
    return (guint8)CLAMP(lrintf((float)value + difference), 0, G_MAXUINT8);
}

/* One pixel; `differences` in 8-bit values. */
static void change_pixel(W2wPicture *picture, gsize i, const float *differences, float weight)
{
    guint8 *pixel = picture->pixels + i * N_COLOURS;
    guint16 *deep = picture->deep != NULL ? picture->deep + i * N_DEEP : NULL;
    gboolean changed = FALSE;

    if (deep == NULL) {
        for (guint c = 0; c < N_COLOURS; c++)
            pixel[c] = change_u8(pixel[c], weight * differences[c]);
        return;
    }
    if (deep[3] == 0)
        return;
    for (guint c = 0; c < N_COLOURS; c++) {
        const guint16 before = deep[c];

        deep[c] = (guint16)CLAMP(lrintf((float)before + DEEP_SCALE * weight * differences[c]), 0,
                                 G_MAXUINT16);
        changed = changed || deep[c] != before;
    }
    if (changed)
        w2w_picture_flatten(deep, 1, pixel);
}

static gboolean check_mask(const W2wPicture *picture, const W2wMask *mask, GError **error)
{
    if (mask == NULL || (mask->width == picture->width && mask->height == picture->height))
        return TRUE;
    g_set_error(
        error, W2W_ERROR, W2W_ERROR_MISMATCH,
        "The mask has %u × %u pixels and the picture %u × %u: both must have the same size.",
        mask->width, mask->height, picture->width, picture->height);
    return FALSE;
}

gboolean w2w_picture_paste(W2wPicture *picture, const W2wChange *change,
                           const W2wPasteOptions *options, GError **error)
{
    const W2wBox *box = &options->box;
    const gint left = MAX(box->x, 0), right = MIN(box->x + box->width, (gint)picture->width);
    const gint top = MAX(box->y, 0), bottom = MIN(box->y + box->height, (gint)picture->height);
    const guint n_channels = get_n_channels(change);
    W2W_AUTO_ALIGNED float *row = NULL;
    g_autoptr(W2wStretch) stretch = NULL;

    if (!check_mask(picture, options->mask, error))
        return FALSE;
    if (left >= right || top >= bottom)
        return TRUE;
    stretch =
        make_field(picture, change, options, (guint)(left - box->x), (guint)(right - left), error);
    row = stretch != NULL ? w2w_aligned_alloc((gsize)(right - left), n_channels * sizeof *row,
                                              "what is pasted", error)
                          : NULL;
    if (row == NULL)
        return FALSE;
    for (gint y = top; y < bottom; y++) {
        const float vertical = row_ramp(picture, box, (y - box->y + 0.5) / box->height);

        w2w_stretch_get_row(stretch, (guint)(y - box->y), row);
        for (gint x = left; x < right; x++) {
            const gsize i = (gsize)y * picture->width + (gsize)x;
            const guint8 inside = options->mask != NULL ? options->mask->values[i] : G_MAXUINT8;
            float *values = row + (gsize)(x - left) * n_channels;

            if (inside == 0)
                continue;
            take_details(values, n_channels, picture->pixels + i * N_COLOURS);
            change_pixel(picture, i, values,
                         inside / 255.0f * vertical *
                             column_ramp(picture, box, (x - box->x + 0.5) / box->width));
        }
    }
    return TRUE;
}

W2wPicture *w2w_picture_paste_region(const W2wPicture *picture, const W2wChange *change,
                                     const W2wPasteOptions *options, GError **error)
{
    const W2wBox *box = &options->box;
    const guint width = (guint)box->width, height = (guint)box->height;
    const guint n_channels = get_n_channels(change);
    W2W_AUTO_ALIGNED float *row = NULL;
    g_autoptr(W2wStretch) stretch = NULL;
    g_autoptr(W2wPicture) region = NULL;

    if (!check_mask(picture, options->mask, error))
        return NULL;
    if ((guint64)width * height > MAX_REGION) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "A region of %u × %u pixels is too large: choose a smaller crop.", width,
                    height);
        return NULL;
    }
    region = w2w_crop_cut(picture, box, width, height, error);
    if (region == NULL)
        return NULL;
    stretch = make_field(picture, change, options, 0, width, error);
    row = stretch != NULL
              ? w2w_aligned_alloc(width, n_channels * sizeof *row, "what is pasted", error)
              : NULL;
    if (row == NULL)
        return NULL;
    for (guint y = 0; y < height; y++) {
        const float vertical = row_ramp(picture, box, (y + 0.5) / height);

        w2w_stretch_get_row(stretch, y, row);
        for (guint x = 0; x < width; x++) {
            const gsize i = (gsize)y * width + x;
            float *values = row + (gsize)x * n_channels;

            take_details(values, n_channels, region->pixels + i * N_COLOURS);
            change_pixel(region, i, values,
                         vertical * column_ramp(picture, box, (x + 0.5) / width));
        }
    }
    return g_steal_pointer(&region);
}
