/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libpng reports errors by longjmp(). Each direction has one function that calls
 * setjmp() and libpng; everything it works on lies in a struct of its caller, so that no
 * local variable lives across the jump and nothing is left unfreed.
 */
#include "engine/formats/png.h"

#include <png.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/atomic_file.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"

#define MAX_KEY_LENGTH    79
#define MAX_CHUNKS        1000 /* ancillary ones */
#define MAX_CHUNK_BYTES   (8 * 1024 * 1024)
#define SIGNATURE_BYTES   8
#define AROUND_CHUNK      12   /* bytes besides its data: length, type, checksum */
#define MAX_DEFLATE_RATIO 1032 /* bytes that one packed byte can become */
#define IS_ANCILLARY      0x20 /* bit of the first letter of a chunk's type */
#define MAX_FILE_BYTES    (1024 * 1024 * 1024)
#define READ_CHANNELS     4 /* everything is read as RGBA */
#define DEEP_CHANNELS     4

/* What went wrong, for whoever called setjmp(). */
typedef struct {
    char message[256];
} Failure;

static void on_error(png_structp png, png_const_charp message)
{
    Failure *failure = png_get_error_ptr(png);

    g_strlcpy(failure->message, message, sizeof failure->message);
    png_longjmp(png, 1);
}

/* A warning is about what we ignore anyway: profiles, times, unknown chunks. */
static void on_warning(png_structp png, png_const_charp message)
{
}

/* --- reading --- */

static gboolean fail_at(const char *name, gsize position, const char *what, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is not a readable PNG: at byte %" G_GSIZE_FORMAT " %s.", name, position, what);
    return FALSE;
}

/*
 * Every chunk lies inside of the file, and there is no flood of those that are no pixels. Looked at
 * first, because libpng takes memory by what a chunk says of its length.
 */
static gboolean check_chunks(const guint8 *data, gsize n_bytes, const char *name, GError **error)
{
    gsize at = SIGNATURE_BYTES;
    guint n_ancillary = 0;

    if (n_bytes < SIGNATURE_BYTES || png_sig_cmp(data, 0, SIGNATURE_BYTES) != 0)
        return fail_at(name, 0, "the signature of a PNG was expected", error);
    while (at < n_bytes) {
        guint32 length;

        if (n_bytes - at < AROUND_CHUNK)
            return fail_at(name, at, "the file ends too early", error);
        memcpy(&length, data + at, sizeof length);
        length = GUINT32_FROM_BE(length);
        if (length > n_bytes - at - AROUND_CHUNK)
            return fail_at(name, at, "a chunk claims more bytes than there are", error);
        if ((data[at + 4] & IS_ANCILLARY) != 0) {
            if (length > MAX_CHUNK_BYTES)
                return fail_at(name, at, "a chunk that is no pixels is too long", error);
            if (++n_ancillary > MAX_CHUNKS)
                return fail_at(name, at, "there are too many chunks that are no pixels", error);
        }
        if (memcmp(data + at + 4, "IEND", 4) == 0)
            break; /* what follows is not looked at */
        at += AROUND_CHUNK + length;
    }
    return TRUE;
}

typedef struct {
    Failure failure;
    png_structp png;
    png_infop info;
    const guint8 *at, *end;
    gboolean keeps_deep; /* wanted; then: there is something to keep, and 16 bits are read */
    gsize bytes_per_pixel;
    guint8 *pixels; /* (height, width, READ_CHANNELS) of 8 or 16 bits */
    png_bytep *rows;
    guint width, height;
} Reader;

/* What 8-bit RGB cannot hold. */
static gboolean has_more(const Reader *reader)
{
    return png_get_bit_depth(reader->png, reader->info) == 16 ||
           (png_get_color_type(reader->png, reader->info) & PNG_COLOR_MASK_ALPHA) != 0 ||
           png_get_valid(reader->png, reader->info, PNG_INFO_tRNS) != 0;
}

static void read_data(png_structp png, png_bytep out, size_t length)
{
    Reader *reader = png_get_io_ptr(png);

    if (length > (size_t)(reader->end - reader->at))
        png_error(png, "the file ends too early");
    memcpy(out, reader->at, length);
    reader->at += length;
}

static gboolean read_header(Reader *reader)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return FALSE;
    png_set_user_limits(reader->png, W2W_PNG_MAX_SIDE, W2W_PNG_MAX_SIDE);
    png_set_chunk_cache_max(reader->png, MAX_CHUNKS);
    png_set_chunk_malloc_max(reader->png, MAX_CHUNK_BYTES);
    /* Texts, profiles, times: they may be packed bombs, and nothing here needs them. */
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_read_fn(reader->png, reader, read_data);
    png_read_info(reader->png, reader->info);
    reader->width = png_get_image_width(reader->png, reader->info);
    reader->height = png_get_image_height(reader->png, reader->info);
    if ((guint64)reader->width * reader->height > W2W_PNG_MAX_PIXELS)
        png_error(reader->png, "it has too many pixels");
    if (png_get_rowbytes(reader->png, reader->info) * reader->height / MAX_DEFLATE_RATIO >
        (size_t)(reader->end - reader->at) + AROUND_CHUNK)
        png_error(reader->png, "it claims more pixels than its bytes can hold");
    reader->keeps_deep = reader->keeps_deep && has_more(reader);
    reader->bytes_per_pixel = READ_CHANNELS * (reader->keeps_deep ? 2 : 1);
    png_set_expand(reader->png);
    if (reader->keeps_deep) {
        png_set_expand_16(reader->png);
        if (G_BYTE_ORDER == G_LITTLE_ENDIAN)
            png_set_swap(reader->png);
    } else {
        png_set_scale_16(reader->png);
    }
    png_set_gray_to_rgb(reader->png);
    png_set_filler(reader->png, 0xffff, PNG_FILLER_AFTER);
    png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    if (png_get_rowbytes(reader->png, reader->info) != reader->width * reader->bytes_per_pixel)
        png_error(reader->png, "its pixels cannot be made RGB");
    return TRUE;
}

static gboolean read_pixels(Reader *reader)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return FALSE;
    png_read_image(reader->png, reader->rows);
    png_read_end(reader->png, NULL);
    return TRUE;
}

static gboolean allocate_pixels(Reader *reader, GError **error)
{
    const gsize row_bytes = reader->width * reader->bytes_per_pixel;

    reader->pixels = w2w_aligned_alloc(reader->height, row_bytes, "the pixels of a PNG", error);
    if (reader->pixels == NULL)
        return FALSE;
    reader->rows =
        w2w_aligned_alloc(reader->height, sizeof *reader->rows, "the rows of a PNG", error);
    if (reader->rows == NULL)
        return FALSE;
    for (guint y = 0; y < reader->height; y++)
        reader->rows[y] = reader->pixels + y * row_bytes;
    return TRUE;
}

/* RGBA over white, rounded; the deep pixels beside it. */
static W2wPicture *keep(const Reader *reader, GError **error)
{
    const gsize n_pixels = (gsize)reader->width * reader->height;
    g_autoptr(W2wPicture) picture = w2w_picture_new(reader->width, reader->height, error);

    if (picture == NULL || !w2w_picture_add_deep(picture, error))
        return NULL;
    memcpy(picture->deep, reader->pixels, n_pixels * reader->bytes_per_pixel);
    w2w_picture_flatten(picture->deep, n_pixels, picture->pixels);
    return g_steal_pointer(&picture);
}

/* RGBA over white, rounded. */
static W2wPicture *flatten(const Reader *reader, GError **error)
{
    W2wPicture *picture = w2w_picture_new(reader->width, reader->height, error);
    const gsize n_pixels = (gsize)reader->width * reader->height;

    for (gsize i = 0; picture != NULL && i < n_pixels; i++) {
        const guint8 *in = reader->pixels + i * READ_CHANNELS;
        const guint alpha = in[3];

        for (guint c = 0; c < 3; c++)
            picture->pixels[3 * i + c] =
                (guint8)((in[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
    return picture;
}

static void set_read_error(const Reader *reader, const char *name, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s is not a readable PNG: %s.", name,
                reader->failure.message);
}

static W2wPicture *read_bytes(GBytes *bytes, const char *name, gboolean keeps_deep, GError **error)
{
    Reader reader = {.keeps_deep = keeps_deep};
    W2wPicture *picture = NULL;
    gsize n_bytes;

    reader.at = g_bytes_get_data(bytes, &n_bytes);
    if (!check_chunks(reader.at, n_bytes, name, error))
        return NULL;
    reader.end = reader.at + n_bytes;
    reader.png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader.failure, on_error, on_warning);
    reader.info = reader.png != NULL ? png_create_info_struct(reader.png) : NULL;
    if (reader.info == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY, "There is not enough memory to read %s.",
                    name);
    else if (!read_header(&reader))
        set_read_error(&reader, name, error);
    else if (allocate_pixels(&reader, error)) {
        if (read_pixels(&reader))
            picture = reader.keeps_deep ? keep(&reader, error) : flatten(&reader, error);
        else
            set_read_error(&reader, name, error);
    }
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    w2w_aligned_free(reader.rows);
    w2w_aligned_free(reader.pixels);
    return picture;
}

W2wPicture *w2w_png_read_bytes(GBytes *bytes, const char *name, GError **error)
{
    return read_bytes(bytes, name, FALSE, error);
}

W2wPicture *w2w_png_read_deep_bytes(GBytes *bytes, const char *name, GError **error)
{
    return read_bytes(bytes, name, TRUE, error);
}

W2wPicture *w2w_png_read(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_read(path, MAX_FILE_BYTES, error);

    return bytes != NULL ? w2w_png_read_bytes(bytes, path, error) : NULL;
}

/* --- writing --- */

typedef struct {
    Failure failure;
    png_structp png;
    png_infop info;
    const W2wPicture *picture;
    gboolean has_alpha, is_16_bit; /* of its deep pixels */
    gsize row_bytes;
    guint8 *rows; /* (height, row_bytes), packed from the deep pixels; NULL: its pixels */
    FILE *stream;
    GArray *texts; /* png_text; their strings belong to `strings` */
    GPtrArray *strings;
} Writer;

static gboolean is_key(const char *key)
{
    for (const char *c = key; *c != 0; c++) {
        if (!g_ascii_isprint(*c))
            return FALSE;
    }
    return *key != 0 && strlen(key) <= MAX_KEY_LENGTH && *key != ' ' &&
           key[strlen(key) - 1] != ' ' && strstr(key, "  ") == NULL;
}

static gboolean add_texts(Writer *writer, const char *const *texts, GError **error)
{
    for (; texts != NULL && texts[0] != NULL; texts += 2) {
        const gboolean is_ascii = texts[1] != NULL && g_str_is_ascii(texts[1]);
        char *value;
        png_text text = {0};

        if (texts[1] == NULL || !is_key(texts[0])) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "“%s” cannot be the key of a text in a PNG.", texts[0]);
            return FALSE;
        }
        value = g_utf8_make_valid(texts[1], -1);
        g_ptr_array_add(writer->strings, value);
        text.compression = is_ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
        text.key = (png_charp)texts[0];
        text.text = value;
        text.text_length = is_ascii ? strlen(value) : 0;
        text.itxt_length = is_ascii ? 0 : strlen(value);
        g_array_append_val(writer->texts, text);
    }
    return TRUE;
}

/* Which of the deep pixels' channels and bits say something; packed so, most significant byte first
 * (which of 8 bits is all). */
static gboolean pack_deep(Writer *writer, GError **error)
{
    const W2wPicture *picture = writer->picture;
    const gsize n = (gsize)picture->width * picture->height;
    gsize n_channels, n_bytes;
    guint8 *out;

    for (gsize i = 0; i < n * DEEP_CHANNELS; i++) {
        writer->has_alpha =
            writer->has_alpha || (i % DEEP_CHANNELS == 3 && picture->deep[i] != G_MAXUINT16);
        writer->is_16_bit = writer->is_16_bit || picture->deep[i] % 257 != 0;
    }
    n_channels = writer->has_alpha ? DEEP_CHANNELS : 3;
    n_bytes = writer->is_16_bit ? 2 : 1;
    writer->row_bytes = picture->width * n_channels * n_bytes;
    writer->rows =
        w2w_aligned_alloc(picture->height, writer->row_bytes, "the pixels of a PNG", error);
    out = writer->rows;
    if (out == NULL)
        return FALSE;
    for (gsize i = 0; i < n; i++)
        for (gsize c = 0; c < n_channels; c++) {
            const guint16 value = picture->deep[i * DEEP_CHANNELS + c];

            *out++ = (guint8)(value >> 8);
            if (writer->is_16_bit)
                *out++ = (guint8)(value & 0xff);
        }
    return TRUE;
}

static gboolean write_picture(Writer *writer)
{
    const W2wPicture *picture = writer->picture;

    if (setjmp(png_jmpbuf(writer->png)))
        return FALSE;
    png_set_user_limits(writer->png, W2W_PNG_MAX_SIDE, W2W_PNG_MAX_SIDE);
    png_init_io(writer->png, writer->stream);
    png_set_IHDR(writer->png, writer->info, picture->width, picture->height,
                 writer->is_16_bit ? 16 : 8,
                 writer->has_alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(writer->png, writer->info, PNG_sRGB_INTENT_PERCEPTUAL);
    if (writer->texts->len > 0)
        png_set_text(writer->png, writer->info, (png_const_textp)(gpointer)writer->texts->data,
                     (int)writer->texts->len);
    png_write_info(writer->png, writer->info);
    for (gsize y = 0; y < picture->height; y++)
        png_write_row(writer->png, writer->rows != NULL ? writer->rows + y * writer->row_bytes
                                                        : picture->pixels + 3 * picture->width * y);
    png_write_end(writer->png, NULL);
    return TRUE;
}

gboolean w2w_png_write(const W2wPicture *picture, const char *path, const char *const *texts,
                       GError **error)
{
    Writer writer = {.picture = picture};
    g_autoptr(GArray) text_array = g_array_new(FALSE, FALSE, sizeof(png_text));
    g_autoptr(GPtrArray) strings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(W2wAtomicFile) file = NULL;
    gboolean ok = FALSE;

    writer.texts = text_array;
    writer.strings = strings;
    if (!add_texts(&writer, texts, error))
        return FALSE;
    file = w2w_atomic_file_new(path, error);
    if (file == NULL || (picture->deep != NULL && !pack_deep(&writer, error)))
        return FALSE;
    writer.stream = w2w_atomic_file_get_stream(file);
    writer.png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer.failure, on_error, on_warning);
    writer.info = writer.png != NULL ? png_create_info_struct(writer.png) : NULL;
    if (writer.info == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY, "There is not enough memory to write %s.",
                    path);
    else if (!write_picture(&writer))
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be written: %s.", path,
                    writer.failure.message);
    else
        ok = w2w_atomic_file_commit(file, error);
    png_destroy_write_struct(&writer.png, &writer.info);
    w2w_aligned_free(writer.rows);
    return ok;
}
