/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Crops, masks and the way back: the choice of boxes, what is cut against a picture that was padded
 * first, area averages against sums over tiny squares, and pasting to the bit.
 */
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/picture_paste.h"
#include "engine/picture_seam.h"

/* Smooth, of no symmetry, each colour another. */
static W2wPicture *make_picture(guint width, guint height)
{
    g_autoptr(GError) error = NULL;
    W2wPicture *picture = w2w_picture_new(width, height, &error);

    g_assert_no_error(error);
    for (guint y = 0; y < height; y++)
        for (guint x = 0; x < width; x++)
            for (guint c = 0; c < 3; c++)
                picture->pixels[(y * width + x) * 3 + c] =
                    (guint8)(127.5 + 90.0 * sin(0.11 * x + 0.07 * y * (c + 1) + c) +
                             0.1 * (x + 2 * y) * c / 3.0);
    return picture;
}

static W2wMask *make_mask(guint width, guint height)
{
    g_autoptr(GError) error = NULL;
    W2wMask *mask = w2w_mask_new(width, height, &error);

    g_assert_no_error(error);
    memset(mask->values, 0, (gsize)width * height);
    return mask;
}

/* An ellipse with soft edges, off the centre. */
static W2wMask *make_soft_mask(guint width, guint height)
{
    W2wMask *mask = make_mask(width, height);

    for (guint y = 0; y < height; y++)
        for (guint x = 0; x < width; x++) {
            const double dx = (x + 0.5 - 0.4 * width) / (0.3 * width);
            const double dy = (y + 0.5 - 0.55 * height) / (0.25 * height);

            mask->values[y * width + x] =
                (guint8)CLAMP(255.0 * 4.0 * (1.0 - sqrt(dx * dx + dy * dy)), 0.0, 255.0);
        }
    return mask;
}

static W2wBox choose(W2wCropPolicy policy, guint width, guint height, const W2wMask *mask,
                     const W2wBox *given, guint aspect_width, guint aspect_height)
{
    g_autoptr(GError) error = NULL;
    W2wBox box;

    g_assert_true(w2w_crop_choose(policy, width, height, mask, given, aspect_width, aspect_height,
                                  &box, &error));
    g_assert_no_error(error);
    return box;
}

static void assert_box(W2wBox box, gint x, gint y, gint width, gint height)
{
    g_test_message("%d,%d,%d,%d", box.x, box.y, box.width, box.height);
    g_assert_cmpint(box.x, ==, x);
    g_assert_cmpint(box.y, ==, y);
    g_assert_cmpint(box.width, ==, width);
    g_assert_cmpint(box.height, ==, height);
}

static void test_choose(void)
{
    g_autoptr(W2wMask) mask = make_mask(100, 60);
    const W2wBox square = {10, 10, 20, 20}, beyond = {-5, -5, 10, 10};

    assert_box(choose(W2W_CROP_WHOLE, 128, 128, NULL, NULL, 128, 128), 0, 0, 128, 128);
    assert_box(choose(W2W_CROP_WHOLE, 100, 60, NULL, NULL, 512, 512), 0, -20, 100, 100);
    assert_box(choose(W2W_CROP_WHOLE, 60, 100, NULL, NULL, 2, 1), -70, 0, 200, 100);
    assert_box(choose(W2W_CROP_BOX, 100, 60, NULL, &square, 128, 128), 10, 10, 20, 20);
    assert_box(choose(W2W_CROP_BOX, 100, 60, NULL, &square, 2, 1), 0, 10, 40, 20);
    assert_box(choose(W2W_CROP_BOX, 100, 60, NULL, &beyond, 1, 1), -5, -5, 10, 10);

    for (guint y = 20; y < 30; y++) /* 40 × 10 at (50, 20) */
        memset(mask->values + y * 100 + 50, 1, 40);
    assert_box(choose(W2W_CROP_SELECTION, 100, 60, mask, NULL, 1, 1), 50, 5, 40, 40);
    assert_box(choose(W2W_CROP_SELECTION, 100, 60, mask, NULL, 5, 2), 50, 17, 40, 16);
    memset(mask->values + 20 * 100, 1, 10); /* to the left edge: from 0 to 90 */
    assert_box(choose(W2W_CROP_SELECTION, 100, 60, mask, NULL, 90, 10), 0, 20, 90, 10);
}

/* Whatever the size: all that is wanted is in the box, whose proportions are right to a pixel. */
static void test_choose_holds(void)
{
    static const guint aspects[][2] = {{1, 1}, {128, 96}, {512, 768}, {2048, 8}};

    for (guint width = 1; width < 400; width += 57)
        for (guint height = 1; height < 400; height += 83)
            for (guint a = 0; a < G_N_ELEMENTS(aspects); a++) {
                const W2wBox box =
                    choose(W2W_CROP_WHOLE, width, height, NULL, NULL, aspects[a][0], aspects[a][1]);

                g_assert_cmpint(box.x, <=, 0);
                g_assert_cmpint(box.y, <=, 0);
                g_assert_cmpint(box.x + box.width, >=, width);
                g_assert_cmpint(box.y + box.height, >=, height);
                g_assert_true(box.width == (gint)width || box.height == (gint)height);
                g_assert_true(
                    fabs((double)box.width * aspects[a][1] / aspects[a][0] - box.height) < 1.0 ||
                    fabs((double)box.height * aspects[a][0] / aspects[a][1] - box.width) < 1.0);
            }
}

static void assert_not_chosen(W2wCropPolicy policy, const W2wMask *mask, const W2wBox *given,
                              const char *word)
{
    g_autoptr(GError) error = NULL;
    W2wBox box;

    g_assert_false(w2w_crop_choose(policy, 100, 60, mask, given, 1, 1, &box, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
}

static void test_choose_refused(void)
{
    g_autoptr(W2wMask) empty = make_mask(100, 60);
    const W2wBox outside = {100, 0, 10, 10}, flat = {0, 0, 10, 0},
                 huge = {0, 0, G_MAXINT, G_MAXINT}, far = {G_MININT, 0, 10, 10};

    assert_not_chosen(W2W_CROP_SELECTION, NULL, NULL, "there is none");
    assert_not_chosen(W2W_CROP_SELECTION, empty, NULL, "empty");
    assert_not_chosen(W2W_CROP_BOX, NULL, NULL, "there is none");
    assert_not_chosen(W2W_CROP_BOX, NULL, &outside, "outside");
    assert_not_chosen(W2W_CROP_BOX, NULL, &flat, "cannot be cut out");
    assert_not_chosen(W2W_CROP_BOX, NULL, &huge, "cannot be cut out");
    assert_not_chosen(W2W_CROP_BOX, NULL, &far, "cannot be cut out");
}

/* The box pixel by pixel, then resampled as a whole. */
static void test_cut(void)
{
    static const W2wBox boxes[] = {{0, 0, 53, 37},   {3, 5, 20, 11},  {-9, -4, 70, 60},
                                   {40, 30, 40, 40}, {-30, 5, 31, 9}, {7, 9, 1, 1}};
    static const guint sizes[][2] = {{16, 24}, {64, 64}, {128, 40}};
    g_autoptr(W2wPicture) picture = make_picture(53, 37);

    for (guint b = 0; b < G_N_ELEMENTS(boxes); b++) {
        const W2wBox *box = &boxes[b];
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) padded =
            w2w_picture_new((guint)box->width, (guint)box->height, &error);

        for (gint y = 0; y < box->height; y++)
            for (gint x = 0; x < box->width; x++)
                memcpy(padded->pixels + (y * box->width + x) * 3,
                       picture->pixels +
                           (CLAMP(box->y + y, 0, 36) * 53 + CLAMP(box->x + x, 0, 52)) * 3,
                       3);
        for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
            g_autoptr(W2wPicture) expected =
                w2w_picture_resample(padded, sizes[s][0], sizes[s][1], &error);
            g_autoptr(W2wPicture) cut =
                w2w_crop_cut(picture, box, sizes[s][0], sizes[s][1], &error);
            const gsize n = (gsize)sizes[s][0] * sizes[s][1] * 3;

            g_assert_no_error(error);
            g_assert_cmpmem(cut->pixels, n, expected->pixels, n);
        }
    }
}

/* The most memory that this program had at once. */
static glong get_peak_kib(void)
{
    struct rusage usage;

    g_assert_cmpint(getrusage(RUSAGE_SELF, &usage), ==, 0);
    return usage.ru_maxrss;
}

static void assert_cut_is_small(guint width, guint height, const W2wBox *box)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPicture) picture = make_picture(width, height);
    g_autoptr(W2wPicture) cut = NULL;
    const glong before = get_peak_kib();

    cut = w2w_crop_cut(picture, box, 64, 64, &error);
    g_assert_no_error(error);
    g_assert_nonnull(cut);
    g_assert_cmpint(get_peak_kib() - before, <, 100 * 1024);
}

/* A box as large as a thin picture is long takes no memory of its own: 1.2 GB, it would be. */
static void test_cut_of_thin(void)
{
    const W2wBox box = {-9999, 0, 20000, 20000}, across = {0, -9999, 20000, 20000};

    assert_cut_is_small(1, 20000, &box);
    assert_cut_is_small(20000, 1, &across);
}

/* The mean over one cell, from 64 × 64 points in it; pixels do not divide evenly into cells. */
static double brute_average(const W2wMask *mask, const W2wBox *box, guint width, guint height,
                            guint x, guint y)
{
    const int n = 64;
    double sum = 0.0;

    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) {
            const double px = box->x + (x + (i + 0.5) / n) * box->width / width;
            const double py = box->y + (y + (j + 0.5) / n) * box->height / height;

            if (px >= 0 && py >= 0 && px < mask->width && py < mask->height)
                sum += mask->values[(guint)py * mask->width + (guint)px] / 255.0;
        }
    return sum / (n * n);
}

static void test_mask_averages(void)
{
    static const W2wBox boxes[] = {
        {0, 0, 131, 77}, {-13, -40, 157, 157}, {17, 11, 61, 61}, {100, 50, 5, 3}};
    static const guint sizes[][2] = {{16, 16}, {24, 7}, {5, 64}};
    g_autoptr(W2wMask) mask = make_soft_mask(131, 77);

    for (guint b = 0; b < G_N_ELEMENTS(boxes); b++)
        for (guint s = 0; s < G_N_ELEMENTS(sizes); s++) {
            const guint width = sizes[s][0], height = sizes[s][1];
            g_autoptr(GError) error = NULL;
            W2W_AUTO_ALIGNED float *out =
                w2w_crop_mask(mask, 131, 77, &boxes[b], width, height, &error);

            g_assert_no_error(error);
            /* the points' grid may put 1/64 of a cell's width on the wrong side of a pixel's
             * edge, on each of the few edges in a cell, where values differ by a quarter */
            for (guint y = 0; y < height; y++)
                for (guint x = 0; x < width; x++)
                    g_assert_cmpfloat_with_epsilon(
                        out[y * width + x], brute_average(mask, &boxes[b], width, height, x, y),
                        0.01);
        }
}

/*
 * Mask and crop show the same place: a picture that is as bright as its mask, cut out, averaged
 * over the cells of the latents, is the mask's average there. Half a pixel off is 0.02 here.
 */
static void test_mask_is_aligned(void)
{
    static const W2wBox boxes[] = {
        {0, -27, 131, 131}, {-13, -40, 157, 157}, {0, 0, 131, 77}, {21, 9, 67, 67}};

    for (guint b = 0; b < G_N_ELEMENTS(boxes); b++) {
        const guint size = 128, cells = 16, side = size / cells;
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) picture = make_picture(131, 77);
        g_autoptr(W2wMask) mask = make_mask(131, 77);
        g_autoptr(W2wPicture) cut = NULL;
        W2W_AUTO_ALIGNED float *averages = NULL;
        W2W_AUTO_ALIGNED float *present = NULL;

        for (guint y = 0; y < 77; y++)
            for (guint x = 0; x < 131; x++) {
                const guint8 value = (guint8)(x + y); /* a ramp: 0 … 206 */

                mask->values[y * 131 + x] = value;
                memset(picture->pixels + (y * 131 + x) * 3, value, 3);
            }
        cut = w2w_crop_cut(picture, &boxes[b], size, size, &error);
        averages = w2w_crop_mask(mask, 131, 77, &boxes[b], cells, cells, &error);
        present = w2w_crop_mask(NULL, 131, 77, &boxes[b], cells, cells, &error);
        g_assert_no_error(error);
        for (guint y = 0; y < cells; y++)
            for (guint x = 0; x < cells; x++) {
                double sum = 0.0;

                if (present[y * cells + x] < 1.0f)
                    continue; /* edges are repeated in one, and nothing in the other */
                for (guint j = 0; j < side; j++)
                    for (guint i = 0; i < side; i++)
                        sum += cut->pixels[((y * side + j) * size + x * side + i) * 3];
                /* 8-bit rounding, and the kernel's reach over the picture's edges */
                g_assert_cmpfloat_with_epsilon(averages[y * cells + x], sum / (side * side * 255.0),
                                               0.004);
            }
    }
}

static void test_mask_sums(void)
{
    const W2wBox box = {-3, 4, 50, 31};
    g_autoptr(W2wMask) mask = make_soft_mask(40, 60);
    g_autoptr(GError) error = NULL;
    W2W_AUTO_ALIGNED float *averages = w2w_crop_mask(mask, 40, 60, &box, 9, 13, &error);
    double sum = 0.0, expected = 0.0;

    g_assert_no_error(error);
    for (guint i = 0; i < 9 * 13; i++)
        sum += averages[i];
    for (guint y = 4; y < 35; y++)
        for (guint x = 0; x < 40; x++)
            expected += mask->values[y * 40 + x] / 255.0;
    /* nothing is counted twice or lost */
    g_assert_cmpfloat_with_epsilon(sum * 50 * 31 / (9 * 13), expected, 1e-4 * expected);
}

static void test_mask_from_picture(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPicture) picture = make_picture(2, 1);
    g_autoptr(W2wMask) grey = NULL;
    g_autoptr(W2wMask) faded = NULL;
    g_autoptr(W2wMask) product = NULL;
    g_autoptr(W2wMask) other = make_mask(1, 2);
    static const guint16 deep[8] = {65535, 65535, 65535, 0, 257 * 100, 257 * 100, 257 * 100, 32896};

    memset(picture->pixels, 77, 6);
    grey = w2w_mask_from_picture(picture, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(grey->values[0], ==, 77);
    g_assert_true(w2w_mask_of_picture(picture, NULL, &product, &error));
    g_assert_null(product);
    g_assert_true(w2w_picture_add_deep(picture, &error));
    memcpy(picture->deep, deep, sizeof deep);
    faded = w2w_mask_from_picture(picture, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(faded->values[0], ==, 0); /* white, but not there */
    g_assert_cmpuint(faded->values[1], ==, 50);
    g_assert_true(w2w_mask_of_picture(picture, grey, &product, &error));
    g_assert_cmpuint(product->values[0], ==, 0);
    g_assert_cmpuint(product->values[1], ==, 39); /* 77 · 128 / 255 */
    g_clear_pointer(&product, w2w_mask_free);
    g_assert_false(w2w_mask_of_picture(picture, other, &product, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MISMATCH);
    g_clear_error(&error);
    memset(grey->values, 0, 2);
    g_assert_false(w2w_mask_of_picture(picture, grey, &product, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

/* (n) numbers in −1 … 1, all the same or like noise. */
static float *make_image(guint size, gboolean is_noise, float offset)
{
    float *image = g_new(float, size *size * 3);
    g_autoptr(GRand) random = g_rand_new_with_seed(3);

    for (guint i = 0; i < size * size * 3; i++)
        image[i] = is_noise ? (float)g_rand_double_range(random, -1.0, 1.0) : offset;
    return image;
}

static void paste(W2wPicture *picture, const W2wChange *change, W2wBox box, const W2wMask *mask,
                  gboolean match_colours)
{
    const W2wPasteOptions options = {box, mask, match_colours};
    g_autoptr(GError) error = NULL;

    g_assert_true(w2w_picture_paste(picture, change, &options, &error));
    g_assert_no_error(error);
}

/* With alpha, and numbers that need all 16 bits. */
static void make_deep(W2wPicture *picture)
{
    const gsize n = (gsize)picture->width * picture->height;
    g_autoptr(GError) error = NULL;

    g_assert_true(w2w_picture_add_deep(picture, &error));
    for (gsize i = 0; i < n * 4; i++)
        picture->deep[i] = (guint16)(i * 7919);
    for (gsize i = 0; i < n; i += 3)
        picture->deep[i * 4 + 3] = 0;
    w2w_picture_flatten(picture->deep, n, picture->pixels);
}

static void assert_same(const W2wPicture *a, const W2wPicture *b)
{
    const gsize n = (gsize)a->width * a->height;

    g_assert_cmpmem(a->pixels, n * 3, b->pixels, n * 3);
    if (a->deep != NULL)
        g_assert_cmpmem(a->deep, n * 8, b->deep, n * 8);
}

/* What did not change, is not pasted: whatever box, mask, depth and crop. */
static void test_paste_nothing(void)
{
    static const W2wBox boxes[] = {
        {0, 0, 53, 37}, {5, 6, 20, 20}, {-9, -30, 90, 90}, {50, 1, 9, 9}};
    g_autofree float *image = make_image(16, TRUE, 0.0f);
    g_autofree float *crop = make_image(16, FALSE, 0.3f);
    g_autoptr(W2wMask) mask = make_soft_mask(53, 37);

    for (guint i = 0; i < G_N_ELEMENTS(boxes) * 8; i++) {
        const W2wChange change = {16, 16, image, image, (i & 4) != 0 ? crop : NULL};
        const W2wBox box = boxes[i / 8];
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) picture = make_picture(53, 37);
        g_autoptr(W2wPicture) copy = NULL;
        g_autoptr(W2wPicture) cut = NULL;
        g_autoptr(W2wPicture) region = NULL;
        const W2wPasteOptions options = {box, mask, TRUE};

        if ((i & 1) != 0)
            make_deep(picture);
        copy = w2w_picture_copy(picture, &error);
        g_assert_no_error(error);
        paste(picture, &change, box, (i & 2) != 0 ? mask : NULL, TRUE);
        assert_same(picture, copy);
        cut = w2w_crop_cut(picture, &box, (guint)box.width, (guint)box.height, &error);
        region = w2w_picture_paste_region(picture, &change, &options, &error);
        g_assert_no_error(error);
        g_assert_null(region->deep);
        assert_same(region, cut);
    }
}

/* Outside of mask and box, and what is transparent: to the bit. Inside it does change. */
static void test_paste_outside(void)
{
    const W2wBox box = {4, 3, 40, 40};
    g_autofree float *before = make_image(32, FALSE, -0.5f);
    g_autofree float *after = make_image(32, TRUE, 0.0f);
    g_autoptr(W2wMask) mask = make_soft_mask(53, 37);
    const W2wChange change = {32, 32, before, after, NULL};

    for (guint is_deep = 0; is_deep < 2; is_deep++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) picture = make_picture(53, 37);
        g_autoptr(W2wPicture) copy = NULL;
        guint n_changed = 0;

        if (is_deep)
            make_deep(picture);
        copy = w2w_picture_copy(picture, &error);
        g_assert_no_error(error);
        paste(picture, &change, box, mask, TRUE);
        for (gint y = 0; y < 37; y++)
            for (gint x = 0; x < 53; x++) {
                const gsize i = (gsize)(y * 53 + x);
                const gboolean same =
                    memcmp(picture->pixels + i * 3, copy->pixels + i * 3, 3) == 0 &&
                    (!is_deep || memcmp(picture->deep + i * 4, copy->deep + i * 4, 8) == 0);

                if (is_deep)
                    g_assert_cmpuint(picture->deep[i * 4 + 3], ==, copy->deep[i * 4 + 3]);
                if (mask->values[i] == 0 || x < box.x || y < box.y || x >= box.x + box.width ||
                    y >= box.y + box.height || (is_deep && copy->deep[i * 4 + 3] == 0))
                    g_assert_true(same);
                n_changed += !same;
            }
        g_assert_cmpuint(n_changed, >, 100);
    }
}

/* A flat difference under a soft mask is that times the mask, rounded once. */
static void test_paste_is_soft(void)
{
    const W2wBox box = {0, -8, 53, 53};
    g_autofree float *before = make_image(16, FALSE, 0.0f);
    g_autofree float *after = make_image(16, FALSE, -0.25f);
    g_autoptr(W2wMask) mask = make_soft_mask(53, 37);
    g_autoptr(W2wPicture) picture = make_picture(53, 37);
    g_autoptr(W2wPicture) copy = w2w_picture_copy(picture, NULL);
    const W2wChange change = {16, 16, before, after, NULL};

    paste(picture, &change, box, mask, FALSE);
    for (guint i = 0; i < 53 * 37 * 3; i++) {
        const double expected =
            CLAMP(copy->pixels[i] - 127.5 * 0.25 * mask->values[i / 3] / 255.0, 0.0, 255.0);

        g_assert_cmpfloat_with_epsilon(picture->pixels[i], expected, 0.5001);
    }
}

/* 16 bits follow in steps of their own. */
static void test_paste_deep(void)
{
    const W2wBox box = {0, 0, 4, 4};
    g_autofree float *before = make_image(4, FALSE, 0.0f);
    g_autofree float *after = make_image(4, FALSE, 0.001f);
    g_autoptr(W2wPicture) picture = make_picture(4, 4);
    const W2wChange change = {4, 4, before, after, NULL};

    g_assert_true(w2w_picture_add_deep(picture, NULL));
    for (guint i = 0; i < 4 * 4 * 4; i++)
        picture->deep[i] = i % 4 == 3 ? G_MAXUINT16 : 1000;
    paste(picture, &change, box, NULL, FALSE);
    for (guint i = 0; i < 4 * 4 * 4; i++)
        g_assert_cmpuint(picture->deep[i], ==, i % 4 == 3 ? G_MAXUINT16 : 1033); /* 32.8 */
    g_assert_cmpuint(picture->pixels[0], ==, 4);
}

/* Edges of a crop in the middle of a picture do not show; those at the picture's edges are full. */
static void test_paste_fades(void)
{
    const W2wBox box = {32, 0, 64, 64};
    g_autofree float *before = make_image(16, FALSE, 0.0f);
    g_autofree float *after = make_image(16, FALSE, 0.5f);
    g_autoptr(W2wPicture) picture = make_picture(128, 64);
    const W2wChange change = {16, 16, before, after, NULL};

    memset(picture->pixels, 100, 128 * 64 * 3);
    paste(picture, &change, box, NULL, FALSE);
    for (guint x = 0; x < 128; x++) {
        const guint8 top = picture->pixels[x * 3], middle = picture->pixels[(32 * 128 + x) * 3];

        g_assert_cmpuint(top, ==, middle);
        if (x < 32 || x >= 96)
            g_assert_cmpuint(middle, ==, 100);
        else if (x >= 36 && x < 92)
            g_assert_cmpuint(middle, ==, 164);
        else
            g_assert_cmpuint(middle, <, 164);
    }
    g_assert_cmpuint(picture->pixels[(32 * 128 + 32) * 3], <, 110);
}

/* Where little differs, the difference; where much does, what is new in place of what was. */
static void test_paste_replaces(void)
{
    const W2wBox box = {0, 0, 64, 64};
    g_autofree float *before = make_image(64, FALSE, 0.0f);
    g_autofree float *after = make_image(64, FALSE, 0.0f);
    g_autofree float *crop = make_image(64, FALSE, 0.2f); /* the VAE lost 0.2 */
    g_autoptr(W2wPicture) picture = make_picture(64, 64);
    const W2wChange change = {64, 64, before, after, crop};

    memset(picture->pixels, 153, 64 * 64 * 3); /* 0.2 */
    for (guint y = 0; y < 64; y++)
        for (guint x = 0; x < 64; x++)
            for (guint c = 0; c < 3; c++)
                after[(y * 64 + x) * 3 + c] = x < 32 ? 0.02f : -0.804f;
    paste(picture, &change, box, NULL, FALSE);
    g_assert_cmpuint(picture->pixels[(32 * 64 + 8) * 3], ==, 156); /* 0.2 + 0.02 */
    g_assert_cmpuint(picture->pixels[(32 * 64 + 56) * 3], ==, 25); /* -0.804 */
}

/* Details that the model's size cannot hold stay where little changes, and go with what is
 * replaced. */
static void test_paste_details(void)
{
    const W2wBox box = {0, 0, 128, 128};
    g_autofree float *before = make_image(32, FALSE, 0.0f);
    g_autofree float *after = make_image(32, FALSE, 0.0f);
    g_autofree float *crop = NULL;
    g_autoptr(W2wPicture) picture = make_picture(128, 128);
    const W2wPasteOptions options = {box, NULL, FALSE};
    W2wChange change = {32, 32, before, after, NULL};
    g_autoptr(W2wPicture) region = NULL;

    for (guint i = 0; i < 128 * 128 * 3; i++) /* a chequerboard, which is grey at a quarter */
        picture->pixels[i] = (i / 3 + i / 3 / 128) % 2 == 0 ? 60 : 196;
    change.crop = crop = make_image(32, FALSE, 1.0f / 255.0f); /* 128 */
    for (guint y = 0; y < 32; y++)
        for (guint x = 0; x < 32; x++)
            for (guint c = 0; c < 3; c++)
                after[(y * 32 + x) * 3 + c] = x < 16 ? 0.02f : -0.804f;
    region = w2w_picture_paste_region(picture, &change, &options, NULL);
    paste(picture, &change, box, NULL, FALSE);
    assert_same(region, picture);
    for (guint y = 0; y < 128; y++)
        for (guint x = 0; x < 128; x++) {
            const guint8 value = picture->pixels[(y * 128 + x) * 3];

            if (x < 50)
                g_assert_cmpuint(value, ==, (x + y) % 2 == 0 ? 63 : 199);
            if (x > 78)
                g_assert_cmpuint(value, ==, 25);
        }
}

/* A tint of the whole rendering is gone: nothing is left of it, inside or at the seam. */
static void test_seam_tint(void)
{
    const W2wBox box = {0, 0, 96, 96};
    g_autofree float *before = make_image(32, FALSE, 0.0f);
    g_autofree float *after = make_image(32, FALSE, 0.2f);
    g_autoptr(W2wMask) mask = make_soft_mask(96, 96);
    g_autoptr(W2wPicture) picture = make_picture(96, 96);
    g_autoptr(W2wPicture) copy = w2w_picture_copy(picture, NULL);
    const W2wChange change = {32, 32, before, after, NULL};

    paste(picture, &change, box, mask, TRUE);
    assert_same(picture, copy);
    paste(picture, &change, box, mask, FALSE);
    g_assert_true(memcmp(picture->pixels, copy->pixels, 96 * 96 * 3) != 0);
}

/* A tint that varies: at the seam it is gone to 1/10; what the edit did in the middle stays. */
static void test_seam_gradient(void)
{
    enum { SIZE = 64 };
    float difference[SIZE * SIZE * 3], weights[SIZE * SIZE], present[SIZE * SIZE];
    g_autoptr(GError) error = NULL;

    for (guint y = 0; y < SIZE; y++)
        for (guint x = 0; x < SIZE; x++) {
            const double r = hypot(x - 31.5, y - 31.5);

            weights[y * SIZE + x] = r < 20 ? 1.0f : 0.0f;
            present[y * SIZE + x] = 1.0f;
            for (guint c = 0; c < 3; c++)
                difference[(y * SIZE + x) * 3 + c] =
                    (float)(10.0 + 0.4 * x - 0.2 * y * c + (r < 8 ? 100.0 : 0.0));
        }
    g_assert_true(w2w_seam_match(difference, SIZE, SIZE, 3, weights, present, &error));
    g_assert_no_error(error);
    for (guint y = 0; y < SIZE; y++)
        for (guint x = 0; x < SIZE; x++) {
            const double r = hypot(x - 31.5, y - 31.5);

            for (guint c = 0; c < 3; c++) {
                const float left = difference[(y * SIZE + x) * 3 + c];

                if (r > 18 && r < 20)
                    g_assert_cmpfloat_with_epsilon(left, 0.0, 3.6); /* was up to 36 */
                if (r < 6)
                    g_assert_cmpfloat_with_epsilon(left, 100.0, 4.0);
            }
        }
}

/* Where both agree around the edge, nothing is corrected, to the bit; nor where there is no edge.
 */
static void test_seam_agrees(void)
{
    enum { SIZE = 40 };
    float difference[SIZE * SIZE * 3], expected[SIZE * SIZE * 3], weights[SIZE * SIZE],
        present[SIZE * SIZE];
    g_autoptr(GError) error = NULL;

    for (guint has_edge = 0; has_edge < 2; has_edge++) {
        for (guint i = 0; i < SIZE * SIZE; i++) {
            const double r = hypot(i % SIZE - 19.5, i / SIZE - 19.5);

            weights[i] = !has_edge || r < 12 ? 1.0f : 0.0f;
            present[i] = 1.0f;
            for (guint c = 0; c < 3; c++)
                difference[i * 3 + c] = !has_edge || r < 8 ? (float)i / 7.0f : 0.0f;
        }
        memcpy(expected, difference, sizeof difference);
        g_assert_true(w2w_seam_match(difference, SIZE, SIZE, 3, weights, present, &error));
        g_assert_no_error(error);
        g_assert_cmpmem(difference, sizeof difference, expected, sizeof expected);
    }
}

/* Every allocation may fail: an error, and the picture as it was. */
static void test_failing_memory(void)
{
    const W2wBox box = {3, 3, 30, 30};
    g_autofree float *before = make_image(16, FALSE, 0.0f);
    g_autofree float *after = make_image(16, TRUE, 0.0f);
    g_autoptr(W2wMask) mask = make_soft_mask(53, 37);
    const W2wChange change = {16, 16, before, after, before};
    const W2wPasteOptions options = {box, mask, TRUE};
    g_autoptr(W2wPicture) picture = make_picture(53, 37);
    g_autoptr(W2wPicture) copy = w2w_picture_copy(picture, NULL);
    guint64 n_calls;

    w2w_memory_fail_call(0);
    g_clear_pointer(&copy, w2w_picture_free);
    copy = w2w_picture_copy(picture, NULL);
    w2w_memory_fail_call(0);
    {
        g_autoptr(W2wPicture) region = w2w_picture_paste_region(picture, &change, &options, NULL);

        g_assert_nonnull(region);
        n_calls = w2w_memory_fail_call(0);
    }
    g_assert_cmpuint(n_calls, >, 5);
    for (guint64 i = 1; i <= n_calls; i++) {
        g_autoptr(GError) error = NULL;

        w2w_memory_fail_call(i);
        g_assert_null(w2w_picture_paste_region(picture, &change, &options, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    }
    for (guint64 i = 1;; i++) {
        g_autoptr(GError) error = NULL;

        w2w_memory_fail_call(i);
        if (w2w_picture_paste(picture, &change, &options, &error))
            break;
        g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
        assert_same(picture, copy);
    }
    w2w_memory_fail_call(0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/picture/crop/choose", test_choose);
    g_test_add_func("/picture/crop/choose-holds-what-is-wanted", test_choose_holds);
    g_test_add_func("/picture/crop/choose-refused", test_choose_refused);
    g_test_add_func("/picture/crop/cut", test_cut);
    g_test_add_func("/picture/crop/cut-of-a-thin-picture", test_cut_of_thin);
    g_test_add_func("/picture/mask/averages", test_mask_averages);
    g_test_add_func("/picture/mask/aligned-with-the-crop", test_mask_is_aligned);
    g_test_add_func("/picture/mask/sums", test_mask_sums);
    g_test_add_func("/picture/mask/from-picture", test_mask_from_picture);
    g_test_add_func("/picture/paste/nothing-changes-nothing", test_paste_nothing);
    g_test_add_func("/picture/paste/outside-stays", test_paste_outside);
    g_test_add_func("/picture/paste/soft", test_paste_is_soft);
    g_test_add_func("/picture/paste/16-bits", test_paste_deep);
    g_test_add_func("/picture/paste/edges-of-the-crop-fade", test_paste_fades);
    g_test_add_func("/picture/paste/replaces-what-changes-much", test_paste_replaces);
    g_test_add_func("/picture/paste/details", test_paste_details);
    g_test_add_func("/picture/seam/tint", test_seam_tint);
    g_test_add_func("/picture/seam/gradient", test_seam_gradient);
    g_test_add_func("/picture/seam/agrees", test_seam_agrees);
    g_test_add_func("/picture/failing-memory", test_failing_memory);
    return g_test_run();
}
