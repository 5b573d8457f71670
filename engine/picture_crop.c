/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Choosing and cutting crops. */
#include "engine/picture_crop.h"

#include "engine/error.h"

const char *const w2w_crop_policy_names[] = {"whole", "selection", "box", NULL};

/* The smallest box around everything that the mask has. */
static gboolean find_bounds(const W2wMask *mask, W2wBox *bounds, GError **error)
{
    gint left = (gint)mask->width, top = (gint)mask->height, right = -1, bottom = -1;

    for (gint y = 0; y < (gint)mask->height; y++) {
        const guint8 *row = mask->values + (gsize)y * mask->width;

        for (gint x = 0; x < (gint)mask->width; x++)
            if (row[x] != 0) {
                left = MIN(left, x);
                right = MAX(right, x);
                top = MIN(top, y);
                bottom = y;
            }
    }
    if (right < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The mask is empty: what counts must be white in it.");
        return FALSE;
    }
    *bounds = (W2wBox){left, top, right - left + 1, bottom - top + 1};
    return TRUE;
}

static void intersect(W2wBox *box, guint width, guint height)
{
    const gint right = MIN(box->x + box->width, (gint)width);
    const gint bottom = MIN(box->y + box->height, (gint)height);

    box->x = MAX(box->x, 0);
    box->y = MAX(box->y, 0);
    box->width = right - box->x;
    box->height = bottom - box->y;
}

static gboolean check_box(const W2wBox *box, guint width, guint height, GError **error)
{
    W2wBox inside;

    if (box->width < 1 || box->height < 1 || box->width > W2W_BOX_MAX_SIDE ||
        box->height > W2W_BOX_MAX_SIDE || ABS((gint64)box->x) > W2W_BOX_MAX_SIDE ||
        ABS((gint64)box->y) > W2W_BOX_MAX_SIDE) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A box of %d × %d pixels at (%d, %d) cannot be cut out: its sides must be 1 to "
                    "%d pixels long.",
                    box->width, box->height, box->x, box->y, W2W_BOX_MAX_SIDE);
        return FALSE;
    }
    inside = *box;
    intersect(&inside, width, height);
    if (inside.width < 1 || inside.height < 1) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The box at (%d, %d) with %d × %d pixels lies outside of the picture, which "
                    "has %u × %u.",
                    box->x, box->y, box->width, box->height, width, height);
        return FALSE;
    }
    return TRUE;
}

/* What the policy wants to be seen. */
static gboolean find_wanted(W2wCropPolicy policy, guint width, guint height, const W2wMask *mask,
                            const W2wBox *given, W2wBox *wanted, GError **error)
{
    switch (policy) {
    case W2W_CROP_WHOLE:
        *wanted = (W2wBox){0, 0, (gint)width, (gint)height};
        return TRUE;
    case W2W_CROP_SELECTION:
        if (mask == NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The crop follows the selection, and there is none: give a mask, or "
                        "choose another crop.");
            return FALSE;
        }
        if (!find_bounds(mask, wanted, error))
            return FALSE;
        return TRUE;
    case W2W_CROP_BOX:
        if (given == NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The crop is a box, and there is none: give x, y, width and height.");
            return FALSE;
        }
        *wanted = *given;
        return check_box(wanted, width, height, error);
    }
    g_assert_not_reached();
}

/* The other side of a box whose one side is `side`, rounded up so that nothing is cut off. */
static gint scale_up(gint side, guint to, guint from)
{
    return (gint)(((gint64)side * to + from - 1) / from);
}

/* Grown on both sides, then moved into 0 … n as far as it was there before, or can be. */
static void grow(gint *start, gint *length, gint new_length, guint n)
{
    const gint old_start = *start, old_end = *start + *length;

    *start -= (new_length - *length) / 2;
    *length = new_length;
    if (new_length > (gint)n || old_start < 0 || old_end > (gint)n)
        return;
    *start = CLAMP(*start, 0, (gint)n - new_length);
}

gboolean w2w_crop_choose(W2wCropPolicy policy, guint width, guint height, const W2wMask *mask,
                         const W2wBox *given, guint aspect_width, guint aspect_height, W2wBox *box,
                         GError **error)
{
    W2wBox wanted;
    gint64 new_width, new_height;

    if (!find_wanted(policy, width, height, mask, given, &wanted, error))
        return FALSE;
    if ((gint64)wanted.width * aspect_height >= (gint64)wanted.height * aspect_width) {
        new_width = wanted.width;
        new_height = scale_up(wanted.width, aspect_height, aspect_width);
    } else {
        new_width = scale_up(wanted.height, aspect_width, aspect_height);
        new_height = wanted.height;
    }
    if (new_width > W2W_BOX_MAX_SIDE || new_height > W2W_BOX_MAX_SIDE) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "%d × %d pixels are too long or too high for a picture of %u × %u: choose a "
                    "smaller crop.",
                    wanted.width, wanted.height, aspect_width, aspect_height);
        return FALSE;
    }
    grow(&wanted.x, &wanted.width, (gint)new_width, width);
    grow(&wanted.y, &wanted.height, (gint)new_height, height);
    *box = wanted;
    return TRUE;
}

W2wPicture *w2w_crop_cut(const W2wPicture *picture, const W2wBox *box, guint width, guint height,
                         GError **error)
{
    return w2w_picture_resample_part(picture, box->x, box->y, (guint)box->width, (guint)box->height,
                                     width, height, error);
}
