/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pictures of another size, as Pillow's Image.resize(size, LANCZOS) gives them to the byte: that is
 * what diffusers does to a picture before it is encoded, so one picture has the same latents in
 * both.
 *
 * A windowed sinc of three lobes, stretched where the picture gets smaller; columns, then rows,
 * rounded to 8 bits in between; weights in fixed point, as there. (Pillow 13 takes the rows first
 * for some proportions, where pictures that get less high are cheaper so; versions before it never
 * do.)
 */
#include <math.h>
#include <string.h>

#include "engine/memory.h"
#include "engine/picture.h"

#define LOBES     3.0
#define FRACTION  22 /* bits */
#define N_COLOURS 3

/* Which samples of a line make one of the new ones. */
typedef struct {
    guint first, n;
    gint32 *weights; /* (n), into the taps' block */
} Tap;

typedef struct {
    Tap *taps;     /* (n_out) */
    gint32 *block; /* (n_out, most) */
} Taps;

static void clear_taps(Taps *taps)
{
    w2w_aligned_free(taps->taps);
    w2w_aligned_free(taps->block);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Taps, clear_taps)

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(G_PI * x) / (G_PI * x);
}

static double lanczos(double x)
{
    return fabs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0.0;
}

static void fill_tap(Tap *tap, guint n_in, double center, double stretch, double *exact)
{
    const double support = LOBES * stretch;
    const double low = center - support + 0.5, high = center + support + 0.5;
    double sum = 0.0;

    tap->first = low > 0.0 ? (guint)low : 0;
    tap->n = MIN((guint)high, n_in) - tap->first;
    for (guint i = 0; i < tap->n; i++) {
        exact[i] = lanczos((tap->first + i - center + 0.5) / stretch);
        sum += exact[i];
    }
    for (guint i = 0; i < tap->n; i++)
        tap->weights[i] = (gint32)round(exact[i] / sum * (1 << FRACTION));
}

static gboolean make_taps(Taps *taps, guint n_in, guint n_out, GError **error)
{
    const double scale = (double)n_in / n_out;
    const double stretch = MAX(scale, 1.0);
    const gsize most = (gsize)ceil(LOBES * stretch) * 2 + 1;
    static const char what[] = "a picture of another size";
    W2W_AUTO_ALIGNED double *exact = w2w_aligned_alloc(most, sizeof *exact, what, error);

    if (exact == NULL)
        return FALSE;
    taps->taps = w2w_aligned_alloc0(n_out, sizeof *taps->taps, what, error);
    if (taps->taps == NULL)
        return FALSE;
    taps->block = w2w_aligned_alloc(n_out, most * sizeof *taps->block, what, error);
    if (taps->block == NULL)
        return FALSE;
    for (guint i = 0; i < n_out; i++) {
        taps->taps[i].weights = taps->block + i * most;
        fill_tap(&taps->taps[i], n_in, (i + 0.5) * scale, stretch, exact);
    }
    return TRUE;
}

static guint8 to_u8(gint64 sum)
{
    return (guint8)CLAMP((sum + (1 << (FRACTION - 1))) >> FRACTION, 0, 255);
}

/* One colour of one new sample; its neighbours stand `stride` bytes apart. */
static guint8 weigh(const Tap *tap, const guint8 *line, gsize stride)
{
    const guint8 *sample = line + tap->first * stride;
    gint64 sum = 0;

    for (guint i = 0; i < tap->n; i++)
        sum += (gint64)tap->weights[i] * sample[i * stride];
    return to_u8(sum);
}

static W2wPicture *resample_columns(const W2wPicture *picture, guint width, GError **error)
{
    g_auto(Taps) taps = {0};
    g_autoptr(W2wPicture) out = w2w_picture_new(width, picture->height, error);

    if (out == NULL || !make_taps(&taps, picture->width, width, error))
        return NULL;
    for (gsize y = 0; y < picture->height; y++)
        for (gsize x = 0; x < width; x++)
            for (gsize c = 0; c < N_COLOURS; c++)
                out->pixels[(y * width + x) * N_COLOURS + c] = weigh(
                    &taps.taps[x], picture->pixels + y * picture->width * N_COLOURS + c, N_COLOURS);
    return g_steal_pointer(&out);
}

static W2wPicture *resample_rows(const W2wPicture *picture, guint height, GError **error)
{
    const gsize row = (gsize)picture->width * N_COLOURS;
    g_auto(Taps) taps = {0};
    g_autoptr(W2wPicture) out = w2w_picture_new(picture->width, height, error);

    if (out == NULL || !make_taps(&taps, picture->height, height, error))
        return NULL;
    for (gsize y = 0; y < height; y++)
        for (gsize x = 0; x < row; x++)
            out->pixels[y * row + x] = weigh(&taps.taps[y], picture->pixels + x, row);
    return g_steal_pointer(&out);
}

static W2wPicture *copy(const W2wPicture *picture, GError **error)
{
    W2wPicture *out = w2w_picture_new(picture->width, picture->height, error);

    if (out != NULL)
        memcpy(out->pixels, picture->pixels, (gsize)out->width * out->height * N_COLOURS);
    return out;
}

W2wPicture *w2w_picture_resample(const W2wPicture *picture, guint width, guint height,
                                 GError **error)
{
    g_autoptr(W2wPicture) narrowed = NULL;

    g_return_val_if_fail(width > 0 && height > 0 && picture->width > 0 && picture->height > 0,
                         NULL);
    if (height == picture->height)
        return width == picture->width ? copy(picture, error)
                                       : resample_columns(picture, width, error);
    if (width == picture->width)
        return resample_rows(picture, height, error);
    narrowed = resample_columns(picture, width, error);
    return narrowed != NULL ? resample_rows(narrowed, height, error) : NULL;
}
