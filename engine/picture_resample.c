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
#define STRIP     64u /* columns of the new picture at once */

/* `length` samples from `start` on, of a line that has 0 … n − 1 and repeats its ends beyond them.
 */
typedef struct {
    gint start;
    guint length, n;
} Line;

/* Which samples of a line make one of the new ones. */
typedef struct {
    guint first, n;  /* of those that the line has */
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

static guint clamp_to_line(const Line *line, guint i)
{
    return (guint)CLAMP((gint64)line->start + i, 0, (gint64)line->n - 1);
}

/* Each weight is rounded on its own, as if the repeated samples were there; then those of one
 * sample are one. */
static void fill_tap(Tap *tap, const Line *line, double center, double stretch, double *exact)
{
    const double support = LOBES * stretch;
    const double low = center - support + 0.5, high = center + support + 0.5;
    const guint first = low > 0.0 ? (guint)low : 0;
    const guint n = MIN((guint)high, line->length) - first;
    double sum = 0.0;

    for (guint i = 0; i < n; i++) {
        exact[i] = lanczos((first + i - center + 0.5) / stretch);
        sum += exact[i];
    }
    tap->first = clamp_to_line(line, first);
    tap->n = clamp_to_line(line, first + n - 1) - tap->first + 1;
    memset(tap->weights, 0, tap->n * sizeof *tap->weights);
    for (guint i = 0; i < n; i++)
        tap->weights[clamp_to_line(line, first + i) - tap->first] +=
            (gint32)round(exact[i] / sum * (1 << FRACTION));
    /* At the same size all but one are 0. */
    while (tap->n > 1 && tap->weights[tap->n - 1] == 0)
        tap->n--;
    for (; tap->n > 1 && tap->weights[0] == 0; tap->n--) {
        tap->weights++;
        tap->first++;
    }
}

static gboolean make_taps(Taps *taps, const Line *line, guint n_out, GError **error)
{
    const double scale = (double)line->length / n_out;
    const double stretch = MAX(scale, 1.0);
    const gsize most = (gsize)ceil(LOBES * stretch) * 2 + 1;
    const gsize most_real = MIN(most, line->n);
    static const char what[] = "a picture of another size";
    W2W_AUTO_ALIGNED double *exact = w2w_aligned_alloc(most, sizeof *exact, what, error);

    if (exact == NULL)
        return FALSE;
    taps->taps = w2w_aligned_alloc0(n_out, sizeof *taps->taps, what, error);
    if (taps->taps == NULL)
        return FALSE;
    taps->block = w2w_aligned_alloc(n_out, most_real * sizeof *taps->block, what, error);
    if (taps->block == NULL)
        return FALSE;
    for (guint i = 0; i < n_out; i++) {
        taps->taps[i].weights = taps->block + i * most_real;
        fill_tap(&taps->taps[i], line, (i + 0.5) * scale, stretch, exact);
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

/* `n_columns` of the new picture, one per tap, at the old one's rows from `top` on. */
static void resample_columns(const W2wPicture *picture, guint top, guint n_rows, const Tap *taps,
                             guint n_columns, guint8 *narrow /* (n_rows, n_columns, 3) */)
{
    for (gsize y = 0; y < n_rows; y++) {
        const guint8 *line = picture->pixels + (top + y) * picture->width * N_COLOURS;
        guint8 *out = narrow + y * n_columns * N_COLOURS;

        for (gsize x = 0; x < n_columns; x++)
            for (gsize c = 0; c < N_COLOURS; c++)
                out[x * N_COLOURS + c] = weigh(&taps[x], line + c, N_COLOURS);
    }
}

static void resample_rows(const guint8 *narrow, guint n_columns, const Tap *taps, W2wPicture *out,
                          guint left)
{
    const gsize row = (gsize)n_columns * N_COLOURS;

    for (gsize y = 0; y < out->height; y++) {
        guint8 *line = out->pixels + (y * out->width + left) * N_COLOURS;

        for (gsize x = 0; x < row; x++)
            line[x] = weigh(&taps[y], narrow + x, row);
    }
}

/* In strips of columns, so that many rows that become few take little memory on the way. */
W2wPicture *w2w_picture_resample_part(const W2wPicture *picture, gint x, gint y, guint part_width,
                                      guint part_height, guint width, guint height, GError **error)
{
    const gint last_row = (gint)picture->height - 1;
    const guint top = (guint)CLAMP(y, 0, last_row);
    const guint n_rows = (guint)CLAMP((gint64)y + part_height - 1, 0, last_row) - top + 1;
    const Line columns = {x, part_width, picture->width};
    const Line rows = {y - (gint)top, part_height, n_rows};
    g_auto(Taps) column_taps = {0};
    g_auto(Taps) row_taps = {0};
    W2W_AUTO_ALIGNED guint8 *narrow = NULL;
    g_autoptr(W2wPicture) out = NULL;

    g_return_val_if_fail(width > 0 && height > 0 && part_width > 0 && part_height > 0 &&
                             picture->width > 0 && picture->height > 0,
                         NULL);
    out = w2w_picture_new(width, height, error);
    if (out == NULL || !make_taps(&column_taps, &columns, width, error) ||
        !make_taps(&row_taps, &rows, height, error))
        return NULL;
    narrow = w2w_aligned_alloc(n_rows, MIN(width, STRIP) * N_COLOURS, "a picture of another size",
                               error);
    if (narrow == NULL)
        return NULL;
    for (guint left = 0; left < width; left += STRIP) {
        const guint n_columns = MIN(STRIP, width - left);

        resample_columns(picture, top, n_rows, column_taps.taps + left, n_columns, narrow);
        resample_rows(narrow, n_columns, row_taps.taps, out, left);
    }
    return g_steal_pointer(&out);
}

W2wPicture *w2w_picture_resample(const W2wPicture *picture, guint width, guint height,
                                 GError **error)
{
    return w2w_picture_resample_part(picture, 0, 0, picture->width, picture->height, width, height,
                                     error);
}
