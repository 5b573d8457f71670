/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pictures in other sizes, by the byte as Pillow makes them. */
#include <string.h>

#include "engine/picture.h"

/*
 * SHA-256 of Image.fromarray(picture).resize((width, height), Image.LANCZOS).tobytes() with
 * Pillow 13.0.0, where picture[y, x, c] = (37 x + 91 y + 53 c + 7 x y) mod 256, 23 × 17 pixels.
 */
static const struct {
    guint width, height;
    const char *sha256;
} cases[] = {
    {8, 8, "6f37a39398d39cafe0cb857b271f1d3abb6a0ad111272d2f1c4739bd39c8c42c"},
    {64, 40, "6f5fafacbd2a9eccfb4da0dace621b90d49b646c9e2dfbc858222b4807a1674f"},
    {23, 5, "a52e830ccabdab1f1986fbfaaa127107337a5b401225e7664d836c53aebc4da7"},
    {7, 17, "342b6180bf04e3cf53ed95dafae73074b37029484dd749f7a11f9cc20582871f"},
    {46, 34, "c568b5b048837f71a667f1847953249f1eccd330be820530323f310576c8a823"},
    {1, 1, "0e232544c50f480dd80421de5f0c7d2bf21eecc88505b77fbb722347c0e88561"},
};

static W2wPicture *make_picture(guint width, guint height)
{
    g_autoptr(GError) error = NULL;
    W2wPicture *picture = w2w_picture_new(width, height, &error);

    g_assert_no_error(error);
    for (guint y = 0; y < height; y++)
        for (guint x = 0; x < width; x++)
            for (guint c = 0; c < 3; c++)
                picture->pixels[(y * width + x) * 3 + c] =
                    (guint8)(37 * x + 91 * y + 53 * c + 7 * x * y);
    return picture;
}

static void test_as_pillow(void)
{
    g_autoptr(W2wPicture) picture = make_picture(23, 17);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) resampled =
            w2w_picture_resample(picture, cases[i].width, cases[i].height, &error);
        g_autofree char *sha256 = NULL;

        g_assert_no_error(error);
        g_assert_cmpuint(resampled->width, ==, cases[i].width);
        g_assert_cmpuint(resampled->height, ==, cases[i].height);
        sha256 = g_compute_checksum_for_data(G_CHECKSUM_SHA256, resampled->pixels,
                                             (gsize)resampled->width * resampled->height * 3);
        g_test_message("%u × %u", cases[i].width, cases[i].height);
        g_assert_cmpstr(sha256, ==, cases[i].sha256);
    }
}

static void test_same_size(void)
{
    g_autoptr(W2wPicture) picture = make_picture(5, 3);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wPicture) copy = w2w_picture_resample(picture, 5, 3, &error);

    g_assert_no_error(error);
    g_assert_true(copy->pixels != picture->pixels);
    g_assert_cmpmem(copy->pixels, 5 * 3 * 3, picture->pixels, 5 * 3 * 3);
}

/* A colour stays what it is, from one pixel and from very many. */
static void test_flat(void)
{
    static const guint sizes[][2] = {{1, 1}, {65536, 1}, {1, 4096}, {333, 77}};

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) flat = w2w_picture_new(sizes[i][0], sizes[i][1], &error);
        g_autoptr(W2wPicture) resampled = NULL;

        g_assert_no_error(error);
        memset(flat->pixels, 201, (gsize)flat->width * flat->height * 3);
        resampled = w2w_picture_resample(flat, 24, 16, &error);
        g_assert_no_error(error);
        for (guint j = 0; j < 24 * 16 * 3; j++)
            g_assert_cmpuint(resampled->pixels[j], ==, 201);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/picture/resample/as-pillow", test_as_pillow);
    g_test_add_func("/picture/resample/same-size", test_same_size);
    g_test_add_func("/picture/resample/flat", test_flat);
    return g_test_run();
}
