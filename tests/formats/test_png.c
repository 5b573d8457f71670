/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PNG: written, read back, converted from every kind, refused. */
#include <glib/gstdio.h>
#include <png.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/png.h"
#include "tests/formats/archive_maker.h"

static char *temporary_dir(void)
{
    GError *error = NULL;
    char *dir = g_dir_make_tmp("w2w-png-XXXXXX", &error);

    g_assert_no_error(error);
    return dir;
}

static W2wPicture *make_picture(guint width, guint height)
{
    W2wPicture *picture = w2w_picture_new(width, height, NULL);

    for (guint i = 0; i < 3 * width * height; i++)
        picture->pixels[i] = (guint8)(i * 37 + i / 7);
    return picture;
}

static void test_roundtrip(void)
{
    g_autofree char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "a.png", NULL);
    g_autoptr(W2wPicture) picture = make_picture(17, 5), back = NULL;
    g_autoptr(GError) error = NULL;
    const char *texts[] = {"prompt", "sks person", "title", "Gemälde 🙂", NULL};
    g_autofree char *contents = NULL;
    g_autoptr(GDir) listing = NULL;
    gsize length;

    g_assert_true(g_file_set_contents(path, "the file before", -1, NULL));
    g_assert_true(w2w_png_write(picture, path, texts, &error));
    g_assert_no_error(error);
    back = w2w_png_read(path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(back->width, ==, 17);
    g_assert_cmpuint(back->height, ==, 5);
    g_assert_cmpmem(back->pixels, 17 * 5 * 3, picture->pixels, 17 * 5 * 3);

    g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
    g_assert_nonnull(memmem(contents, length, "tEXtprompt\0sks person", 21));
    g_assert_nonnull(memmem(contents, length, "iTXttitle\0\0\0\0\0Gemälde 🙂", 14 + 13));
    g_unlink(path);
    listing = g_dir_open(dir, 0, NULL);
    g_assert_null(g_dir_read_name(listing));
    g_rmdir(dir);
}

/* In memory: every number of channels comes back, alpha over white. */
static void test_encode(void)
{
    guint8 pixels[4 * 7 * 5];
    const guint channels[] = {1, 3, 4};

    for (guint i = 0; i < sizeof pixels; i++)
        pixels[i] = (guint8)(i * 53 + i / 5);
    for (guint k = 0; k < G_N_ELEMENTS(channels); k++) {
        const guint n = channels[k];
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) bytes = w2w_png_encode(pixels, 7, 5, n, &error);
        g_autoptr(GBytes) again = w2w_png_encode(pixels, 7, 5, n, NULL);
        g_autoptr(W2wPicture) back = NULL;

        g_assert_no_error(error);
        g_assert_true(g_bytes_equal(bytes, again));
        back = w2w_png_read_bytes(bytes, "a PNG in memory", &error);
        g_assert_no_error(error);
        g_assert_cmpuint(back->width, ==, 7);
        g_assert_cmpuint(back->height, ==, 5);
        for (guint i = 0; i < 7 * 5 * 3; i++) {
            const guint8 *pixel = pixels + i / 3 * n;
            const double alpha = n == 4 ? pixel[3] / 255.0 : 1.0;
            const double expected = alpha * pixel[n == 1 ? 0 : i % 3] + (1 - alpha) * 255;

            g_assert_cmpfloat_with_epsilon(back->pixels[i], expected, 0.51);
        }
    }
}

static void test_encode_refused(void)
{
    const guint8 pixels[3] = {0};
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_png_encode(pixels, 0, 1, 3, &error));
    w2w_assert_refused(&error, W2W_ERROR_UNSUPPORTED, "0 × 1");
    g_assert_null(w2w_png_encode(pixels, W2W_PNG_MAX_SIDE + 1, 1, 3, &error));
    w2w_assert_refused(&error, W2W_ERROR_UNSUPPORTED, "65537 × 1");
}

static void test_write_refused(void)
{
    g_autofree char *dir = temporary_dir();
    g_autofree char *nowhere = g_build_filename(dir, "none", "a.png", NULL);
    g_autofree char *path = g_build_filename(dir, "a.png", NULL);
    g_autoptr(W2wPicture) picture = make_picture(2, 2);
    g_autoptr(GError) error = NULL;
    const char *const bad_keys[] = {"", "ä", " a", "a  b", NULL};
    g_autoptr(GDir) listing = NULL;

    g_assert_false(w2w_png_write(picture, nowhere, NULL, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, "cannot be written");
    for (guint i = 0; bad_keys[i] != NULL; i++) {
        const char *texts[] = {bad_keys[i], "x", NULL};

        g_assert_false(w2w_png_write(picture, path, texts, &error));
        w2w_assert_refused(&error, W2W_ERROR_USAGE, "cannot be the key");
    }
    picture->width = 0; /* libpng itself refuses: its jump must leave nothing behind */
    g_assert_false(w2w_png_write(picture, path, NULL, &error));
    w2w_assert_refused(&error, W2W_ERROR_FILE, "a.png cannot be written");
    picture->width = 2;
    listing = g_dir_open(dir, 0, NULL);
    g_assert_null(g_dir_read_name(listing));
    g_rmdir(dir);
}

static void append(png_structp png, png_bytep data, size_t length)
{
    g_byte_array_append(png_get_io_ptr(png), data, (guint)length);
}

/* A PNG of another kind, of one row of `width` pixels. */
static GBytes *make_png(int colour_type, int bit_depth, gboolean is_interlaced, guint width,
                        guint height, const guint8 *row)
{
    static const png_color palette[] = {{255, 0, 0}, {0, 255, 0}};
    static const png_byte alphas[] = {255, 0};
    GByteArray *bytes = g_byte_array_new();
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    g_autofree png_bytep *rows = g_new(png_bytep, height);

    for (guint y = 0; y < height; y++)
        rows[y] = (png_bytep)row;
    png_set_write_fn(png, bytes, append, NULL);
    png_set_IHDR(png, info, width, height, bit_depth, colour_type,
                 is_interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (colour_type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 2);
        png_set_tRNS(png, info, alphas, 2, NULL);
    }
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return g_byte_array_free_to_bytes(bytes);
}

static void test_kinds(void)
{
    static const struct {
        int colour_type, bit_depth;
        guint8 row[16]; /* two pixels */
        guint8 expected[6];
    } cases[] = {
        {PNG_COLOR_TYPE_GRAY, 8, {7, 200}, {7, 7, 7, 200, 200, 200}},
        {PNG_COLOR_TYPE_GRAY, 1, {0x40}, {0, 0, 0, 255, 255, 255}},
        {PNG_COLOR_TYPE_GRAY, 4, {0x1f}, {17, 17, 17, 255, 255, 255}},
        {PNG_COLOR_TYPE_GRAY, 16, {0x12, 0x34, 0xff, 0xff}, {18, 18, 18, 255, 255, 255}},
        {PNG_COLOR_TYPE_GRAY_ALPHA, 8, {10, 255, 10, 0}, {10, 10, 10, 255, 255, 255}},
        {PNG_COLOR_TYPE_RGB, 8, {1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}},
        {PNG_COLOR_TYPE_RGB_ALPHA, 8, {0, 100, 255, 128, 9, 9, 9, 255}, {127, 177, 255, 9, 9, 9}},
        {PNG_COLOR_TYPE_RGB, 16, {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0}, {1, 2, 3, 4, 5, 6}},
        {PNG_COLOR_TYPE_PALETTE, 8, {0, 1}, {255, 0, 0, 255, 255, 255}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (guint is_interlaced = 0; is_interlaced < 2; is_interlaced++) {
            g_autoptr(GBytes) bytes = make_png(cases[i].colour_type, cases[i].bit_depth,
                                               is_interlaced != 0, 2, 3, cases[i].row);
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wPicture) picture = w2w_png_read_bytes(bytes, "x.png", &error);

            g_assert_no_error(error);
            for (guint y = 0; y < 3; y++)
                g_assert_cmpmem(picture->pixels + 6 * y, 6, cases[i].expected, 6);
        }
    }
}

static GBytes *write_and_read(const W2wPicture *picture)
{
    g_autofree char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "a.png", NULL);
    g_autoptr(GError) error = NULL;
    char *contents;
    gsize length;

    w2w_png_write(picture, path, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_get_contents(path, &contents, &length, NULL));
    g_unlink(path);
    g_rmdir(dir);
    return g_bytes_new_take(contents, length);
}

/* What 8-bit RGB cannot hold is kept, in files of as many bits and channels as it needs; the
 * 8-bit pixels are the same as without. */
static void test_deep(void)
{
    static const struct {
        int colour_type, bit_depth;
        guint8 row[16]; /* two pixels */
        guint16 expected[8];
        guint8 written_depth, written_type; /* 0: nothing to keep */
    } cases[] = {
        {PNG_COLOR_TYPE_RGB, 8, {1, 2, 3, 4, 5, 6}, {0}, 0, 0},
        {PNG_COLOR_TYPE_GRAY, 4, {0x1f}, {0}, 0, 0},
        {PNG_COLOR_TYPE_GRAY,
         16,
         {0x12, 0x34, 0xff, 0xff},
         {0x1234, 0x1234, 0x1234, 65535, 65535, 65535, 65535, 65535},
         16,
         PNG_COLOR_TYPE_RGB},
        {PNG_COLOR_TYPE_RGB,
         16,
         {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0},
         {256, 512, 768, 65535, 1024, 1280, 1536, 65535},
         16,
         PNG_COLOR_TYPE_RGB},
        {PNG_COLOR_TYPE_GRAY_ALPHA,
         8,
         {10, 255, 10, 0},
         {2570, 2570, 2570, 65535, 2570, 2570, 2570, 0},
         8,
         PNG_COLOR_TYPE_RGB_ALPHA},
        {PNG_COLOR_TYPE_RGB_ALPHA,
         16,
         {0, 1, 0, 2, 0, 3, 0x80, 1, 9, 9, 9, 9, 9, 9, 0, 0},
         {1, 2, 3, 0x8001, 0x909, 0x909, 0x909, 0},
         16,
         PNG_COLOR_TYPE_RGB_ALPHA},
        {PNG_COLOR_TYPE_PALETTE,
         8,
         {0, 1},
         {65535, 0, 0, 65535, 0, 65535, 0, 0},
         8,
         PNG_COLOR_TYPE_RGB_ALPHA},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GBytes) bytes =
            make_png(cases[i].colour_type, cases[i].bit_depth, FALSE, 2, 3, cases[i].row);
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wPicture) deep = w2w_png_read_deep_bytes(bytes, "x.png", &error);
        g_autoptr(W2wPicture) plain = w2w_png_read_bytes(bytes, "x.png", &error);
        g_autoptr(W2wPicture) back = NULL;
        g_autoptr(GBytes) written = NULL;
        const guint8 *header;

        g_assert_no_error(error);
        g_assert_null(plain->deep);
        g_assert_cmpmem(deep->pixels, 2 * 3 * 3, plain->pixels, 2 * 3 * 3);
        g_assert_true((deep->deep != NULL) == (cases[i].written_depth != 0));
        if (deep->deep == NULL)
            continue;
        for (guint y = 0; y < 3; y++)
            g_assert_cmpmem(deep->deep + 8 * y, 16, cases[i].expected, 16);
        written = write_and_read(deep);
        header = g_bytes_get_data(written, NULL);
        g_assert_cmpuint(header[24], ==, cases[i].written_depth);
        g_assert_cmpuint(header[25], ==, cases[i].written_type);
        back = w2w_png_read_deep_bytes(written, "y.png", &error);
        g_assert_no_error(error);
        g_assert_cmpmem(back->deep, 2 * 3 * 8, deep->deep, 2 * 3 * 8);
    }
}

static void set_size(GBytes *bytes, guint32 width, guint32 height)
{
    guint8 *data = (guint8 *)g_bytes_get_data(bytes, NULL);
    guint32 crc = G_MAXUINT32;

    width = GUINT32_TO_BE(width);
    height = GUINT32_TO_BE(height);
    memcpy(data + 16, &width, 4);
    memcpy(data + 20, &height, 4);
    for (guint i = 12; i < 29; i++) { /* the CRC of IHDR */
        crc ^= data[i];
        for (guint bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    crc = GUINT32_TO_BE(~crc);
    memcpy(data + 29, &crc, 4);
}

/* A few bytes that claim gigapixels: refused before anything is allocated for them. */
static void test_size_limits(void)
{
    static const struct {
        guint32 width, height;
        const char *part;
    } cases[] = {
        {W2W_PNG_MAX_SIDE, W2W_PNG_MAX_SIDE, "too many pixels"},
        {W2W_PNG_MAX_SIDE + 1, 1, "x.png is not a readable PNG"},
        {1, 0x7fffffff, "x.png is not a readable PNG"},
        {0, 1, "x.png is not a readable PNG"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const guint8 row[] = {1, 2, 3};
        g_autoptr(GBytes) bytes = make_png(PNG_COLOR_TYPE_RGB, 8, FALSE, 1, 1, row);
        g_autoptr(GError) error = NULL;

        set_size(bytes, cases[i].width, cases[i].height);
        g_assert_null(w2w_png_read_bytes(bytes, "x.png", &error));
        w2w_assert_refused(&error, W2W_ERROR_FORMAT, cases[i].part);
    }
}

/* `n_chunks` chunks of this type and length, of which `there` bytes are there, behind IHDR. */
static GBytes *with_chunks(const char *type, guint32 length, gsize there, guint n_chunks)
{
    const guint8 row[] = {1, 2, 3};
    g_autoptr(GBytes) bytes = make_png(PNG_COLOR_TYPE_RGB, 8, FALSE, 1, 1, row);
    gsize n_bytes;
    const guint8 *data = g_bytes_get_data(bytes, &n_bytes);
    const gsize header = 8 + 25; /* signature, IHDR */
    GByteArray *array = g_byte_array_new();
    g_autofree guint8 *zeros = g_malloc0(there + 4);

    length = GUINT32_TO_BE(length);
    g_byte_array_append(array, data, header);
    for (guint i = 0; i < n_chunks; i++) {
        g_byte_array_append(array, (const guint8 *)&length, 4);
        g_byte_array_append(array, (const guint8 *)type, 4);
        g_byte_array_append(array, zeros, (guint)there + 4);
    }
    g_byte_array_append(array, data + header, (guint)(n_bytes - header));
    return g_byte_array_free_to_bytes(array);
}

/* libpng takes memory by what a chunk claims: 2 GB for a file of 250 bytes, as fuzzing found. */
static void test_hostile_chunks(void)
{
    static const struct {
        guint32 length;
        gsize there;
        guint n_chunks;
        const char *part;
    } cases[] = {
        {0x789c2b12, 0, 1, "at byte 33 a chunk claims more bytes than there are"},
        {0xffffffff, 0, 1, "at byte 33 a chunk claims more bytes than there are"},
        {9 << 20, 9 << 20, 1, "at byte 33 a chunk that is no pixels is too long"},
        {0, 0, 1001, "there are too many chunks"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GBytes) bytes =
            with_chunks("zTXt", cases[i].length, cases[i].there, cases[i].n_chunks);
        g_autoptr(GError) error = NULL;

        g_assert_null(w2w_png_read_bytes(bytes, "x.png", &error));
        w2w_assert_refused(&error, W2W_ERROR_FORMAT, cases[i].part);
    }
}

/* 60,000 × 4,000 pixels in 70 bytes: less than deflate can make of them. */
static void test_more_pixels_than_bytes(void)
{
    const guint8 row[] = {1, 2, 3};
    g_autoptr(GBytes) bytes = make_png(PNG_COLOR_TYPE_RGB, 8, FALSE, 1, 1, row);
    g_autoptr(GError) error = NULL;

    set_size(bytes, 60000, 4000);
    g_assert_null(w2w_png_read_bytes(bytes, "x.png", &error));
    w2w_assert_refused(&error, W2W_ERROR_FORMAT, "more pixels than its bytes can hold");
}

static void test_damage(void)
{
    const guint8 row[] = {1, 2, 3, 4, 5, 6};
    g_autoptr(GBytes) whole = make_png(PNG_COLOR_TYPE_RGB, 8, FALSE, 2, 2, row);
    gsize n_bytes;
    const guint8 *data = g_bytes_get_data(whole, &n_bytes);

    for (gsize i = 0; i < n_bytes; i++) {
        for (guint bit = 0; bit < 9; bit++) { /* the ninth time it is cut */
            guint8 *copy = g_memdup2(data, n_bytes);
            g_autoptr(GBytes) bytes = g_bytes_new_take(copy, bit == 8 ? i : n_bytes);
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wPicture) picture = NULL;

            copy[i] ^= (guint8)(1 << bit);
            picture = w2w_png_read_bytes(bytes, "x.png", &error);
            g_assert_true((picture == NULL) == (error != NULL));
            g_assert_true(bit < 8 || picture == NULL);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/png/write-and-read-back", test_roundtrip);
    g_test_add_func("/png/encode-in-memory", test_encode);
    g_test_add_func("/png/encode-refused", test_encode_refused);
    g_test_add_func("/png/write-refused", test_write_refused);
    g_test_add_func("/png/every-kind-becomes-rgb", test_kinds);
    g_test_add_func("/png/alpha-and-16-bits-are-kept", test_deep);
    g_test_add_func("/png/size-is-limited", test_size_limits);
    g_test_add_func("/png/hostile-chunks", test_hostile_chunks);
    g_test_add_func("/png/more-pixels-than-bytes", test_more_pixels_than_bytes);
    g_test_add_func("/png/damage-is-no-crash", test_damage);
    return g_test_run();
}
