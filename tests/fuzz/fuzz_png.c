/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A PNG whose chunks get right checksums first; large pictures are left to the tests. */
#include <string.h>
#include <zlib.h>

#include "engine/formats/png.h"
#include "tests/fuzz/fuzz_target.h"

enum {
    SIGNATURE_BYTES = 8,
    AROUND = 12, /* bytes of a chunk besides its data: length, type, checksum */
    MAX_PIXELS = 1 << 16,
};

static guint32 get32(const guint8 *at)
{
    return (guint32)at[0] << 24 | (guint32)at[1] << 16 | (guint32)at[2] << 8 | at[3];
}

static void put32(guint8 *at, guint32 number)
{
    for (guint i = 0; i < 4; i++)
        at[i] = (guint8)(number >> (24 - 8 * i));
}

static void fix_checksums(guint8 *data, gsize size)
{
    gsize at = SIGNATURE_BYTES;

    while (at <= size && size - at >= AROUND && get32(data + at) <= size - at - AROUND) {
        const guint32 length = get32(data + at);

        put32(data + at + 8 + length, (guint32)crc32(0, data + at + 4, length + 4));
        at += AROUND + length;
    }
}

/* Width and height of a first chunk IHDR: a flat picture of 60 million pixels says nothing new. */
static gboolean is_large(const guint8 *data, gsize size)
{
    return size >= 24 && memcmp(data + 12, "IHDR", 4) == 0 &&
           (guint64)get32(data + 16) * get32(data + 20) > MAX_PIXELS &&
           (guint64)get32(data + 16) * get32(data + 20) <= W2W_PNG_MAX_PIXELS;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = NULL;
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(W2wPicture) picture = NULL;

    if (is_large(data, size))
        return 0;
    copy = g_memdup2(data, size);
    fix_checksums(copy, size);
    bytes = g_bytes_new_static(copy, size);
    picture = w2w_png_read_bytes(bytes, "x.png", NULL);
    if (picture != NULL)
        (void)*(volatile guint8 *)(picture->pixels + 3 * picture->width * picture->height - 1);
    return 0;
}
