/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See archive_fix.h. Not the reader under test: this one looks for signatures and trusts them. */
#include "tests/fuzz/archive_fix.h"

#include <string.h>
#include <zlib.h>

enum {
    END_BYTES = 22,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
};

static guint32 get(const guint8 *at, guint size)
{
    guint32 number = 0;

    for (guint i = 0; i < size; i++)
        number |= (guint32)at[i] << (8 * i);
    return number;
}

static void put32(guint8 *at, guint32 number)
{
    for (guint i = 0; i < 4; i++)
        at[i] = (guint8)(number >> (8 * i));
}

static void fix_entry(guint8 *data, gsize size, guint8 *central)
{
    const gsize local = get(central + 42, 4), length = get(central + 20, 4);
    gsize begin;
    guint32 checksum;

    if (get(central + 10, 2) != 0 || size < LOCAL_BYTES || local > size - LOCAL_BYTES)
        return;
    begin = local + LOCAL_BYTES + get(data + local + 26, 2) + get(data + local + 28, 2);
    if (begin > size || length > size - begin)
        return;
    checksum = (guint32)crc32(0, data + begin, (uInt)length);
    put32(central + 16, checksum);
    put32(data + local + 14, checksum);
}

void w2w_archive_fix_checksums(guint8 *data, gsize size)
{
    gsize at;

    if (size < END_BYTES)
        return;
    at = get(data + size - END_BYTES + 16, 4);
    while (size >= CENTRAL_BYTES && at <= size - CENTRAL_BYTES && get(data + at, 4) == 0x02014b50) {
        fix_entry(data, size, data + at);
        at += CENTRAL_BYTES + get(data + at + 28, 2) + get(data + at + 30, 2) +
              get(data + at + 32, 2);
    }
}
