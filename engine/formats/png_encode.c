/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A PNG in memory, for a receiver that reads it once: packed quickly rather than well. */
#include <png.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/png.h"

#define COMPRESSION_LEVEL 1

/* Everything lives in the caller's struct: nothing of setjmp()'s own function across the jump. */
typedef struct {
    png_structp png;
    png_infop info;
    GByteArray *bytes;
    char message[256];
} Encoder;

static void on_error(png_structp png, png_const_charp message)
{
    Encoder *encoder = png_get_error_ptr(png);

    g_strlcpy(encoder->message, message, sizeof encoder->message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
}

/* GByteArray aborts where memory ends; more than a raw picture and its rows cannot come. */
static void append(png_structp png, png_bytep data, size_t length)
{
    Encoder *encoder = png_get_io_ptr(png);

    if (length > G_MAXUINT / 2 - encoder->bytes->len)
        png_error(png, "it has too many bytes");
    g_byte_array_append(encoder->bytes, data, (guint)length);
}

static void flush(png_structp png)
{
}

static int color_type(guint n_channels)
{
    return n_channels == 1   ? PNG_COLOR_TYPE_GRAY
           : n_channels == 3 ? PNG_COLOR_TYPE_RGB
                             : PNG_COLOR_TYPE_RGB_ALPHA;
}

static gboolean encode(Encoder *encoder, const guint8 *pixels, guint width, guint height,
                       guint n_channels)
{
    if (setjmp(png_jmpbuf(encoder->png)))
        return FALSE;
    png_set_user_limits(encoder->png, W2W_PNG_MAX_SIDE, W2W_PNG_MAX_SIDE);
    png_set_write_fn(encoder->png, encoder, append, flush);
    png_set_compression_level(encoder->png, COMPRESSION_LEVEL);
    png_set_IHDR(encoder->png, encoder->info, width, height, 8, color_type(n_channels),
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (n_channels > 1)
        png_set_sRGB(encoder->png, encoder->info, PNG_sRGB_INTENT_PERCEPTUAL);
    png_write_info(encoder->png, encoder->info);
    for (guint y = 0; y < height; y++)
        png_write_row(encoder->png, pixels + (gsize)n_channels * width * y);
    png_write_end(encoder->png, NULL);
    return TRUE;
}

GBytes *w2w_png_encode(const guint8 *pixels, guint width, guint height, guint n_channels,
                       GError **error)
{
    Encoder encoder = {.bytes = g_byte_array_new()};
    gboolean ok;

    g_assert(n_channels == 1 || n_channels == 3 || n_channels == 4);
    encoder.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &encoder, on_error, on_warning);
    encoder.info = encoder.png != NULL ? png_create_info_struct(encoder.png) : NULL;
    ok = encoder.info != NULL && encode(&encoder, pixels, width, height, n_channels);
    if (encoder.info == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory to write a PNG of %u × %u pixels.", width, height);
    else if (!ok)
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "A picture of %u × %u pixels cannot be written as a PNG: %s.", width, height,
                    encoder.message);
    png_destroy_write_struct(&encoder.png, &encoder.info);
    if (ok)
        return g_byte_array_free_to_bytes(encoder.bytes);
    g_byte_array_unref(encoder.bytes);
    return NULL;
}
