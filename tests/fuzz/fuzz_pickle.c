/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pickle machine: the input is data.pkl of an archive with three storages ("0" to "2": 24, 8
 * and 64 bytes), so that mutations meet opcodes and not the archive around them.
 */
#include <string.h>

#include "engine/formats/pt.h"
#include "tests/formats/archive_maker.h"
#include "tests/fuzz/archive_fix.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pt_use.h"

static const char storage[64] = {0, 0, 128, 63, 0, 0, 0, 64, 1, 0, 1, 2, 3, 4, 5, 6};

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    static const char *const storages[] = {storage, storage, storage};
    static const gsize lengths[] = {24, 8, 64};
    g_autoptr(GBytes) bytes = w2w_archive_of_pickle(data, size, storages, lengths, 3);
    g_autoptr(W2wPtValue) value = w2w_pt_open_bytes(bytes, "x.pt", NULL);

    if (value != NULL)
        w2w_pt_use(value);
    return 0;
}
