/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pickle machine: the input is data.pkl of an archive with three storages ("0" to "2": 24, 8
 * and 64 bytes), so that mutations meet opcodes and not the archive around them.
 */
#include <string.h>

#include "engine/formats/pt.h"
#include "tests/formats/archive_maker.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pt_use.h"

/* The archive maker works byte by byte; so it works once, on an empty pickle, which is the first
 * entry: what stands behind it moves by the length of the pickle. */
enum {
    NAME_BYTES = sizeof "t/data.pkl" - 1,
    PICKLE_AT = 30 + NAME_BYTES,
    END_BYTES = 22,
    N_ENTRIES = 4,
};

static void put32(guint8 *at, gsize number)
{
    for (guint i = 0; i < 4; i++)
        at[i] = (guint8)(number >> (8 * i));
}

static gsize get32(const guint8 *at)
{
    return at[0] | (gsize)at[1] << 8 | (gsize)at[2] << 16 | (gsize)at[3] << 24;
}

static GBytes *make_empty(void)
{
    static const char storage[64] = {0, 0, (char)128, 63, 0, 0, 0, 64, 1, 0, 1, 2, 3, 4, 5, 6};
    static const char *const storages[] = {storage, storage, storage};
    static const gsize lengths[] = {24, 8, 64};

    return w2w_archive_of_pickle("", 0, storages, lengths, G_N_ELEMENTS(lengths));
}

static guint8 *make_archive(const guint8 *pickle, gsize size, gsize *archive_size)
{
    static GBytes *empty;
    gsize n;
    const guint8 *template;
    guint8 *archive, *end, *central;

    if (empty == NULL)
        empty = make_empty();
    template = g_bytes_get_data(empty, &n);
    archive = g_malloc(n + size);
    memcpy(archive, template, PICKLE_AT);
    memcpy(archive + PICKLE_AT, pickle, size);
    memcpy(archive + PICKLE_AT + size, template + PICKLE_AT, n - PICKLE_AT);
    put32(archive + 18, size);
    put32(archive + 22, size);
    end = archive + n + size - END_BYTES;
    put32(end + 16, get32(end + 16) + size);
    central = archive + get32(end + 16);
    put32(central + 20, size);
    put32(central + 24, size);
    for (guint i = 0; i < N_ENTRIES; i++) {
        if (i > 0)
            put32(central + 42, get32(central + 42) + size);
        central += 46 + central[28];
    }
    *archive_size = n + size;
    return archive;
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    gsize archive_size;
    g_autofree guint8 *archive = make_archive(data, size, &archive_size);
    g_autoptr(GBytes) bytes = g_bytes_new_static(archive, archive_size);
    g_autoptr(W2wPtValue) value = w2w_pt_open_bytes(bytes, "x.pt", NULL);

    if (value != NULL)
        w2w_pt_use(value);
    return 0;
}
