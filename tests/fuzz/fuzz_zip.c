/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A .pt file as it is: zip archives and the legacy form, with every entry read. The checksums of
 * stored entries are set right first, or nothing that a mutation touches would get past them.
 */
#include <string.h>

#include "engine/formats/pt.h"
#include "engine/formats/zip.h"
#include "tests/fuzz/archive_fix.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/pt_use.h"

#define MAX_ENTRY (1 << 20)

static void read_entries(GBytes *bytes)
{
    g_autoptr(W2wZip) zip = w2w_zip_open(bytes, "x.zip", NULL);

    for (guint i = 0; zip != NULL && i < w2w_zip_get_n_entries(zip); i++) {
        const char *name = w2w_zip_get_entry_name(zip, i);
        g_autoptr(GBytes) entry = NULL;

        g_assert_true(w2w_zip_has_entry(zip, name));
        entry = w2w_zip_read(zip, name, MAX_ENTRY, NULL);
        if (entry != NULL)
            (void)g_bytes_hash(entry);
    }
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autofree guint8 *copy = g_memdup2(data, size);
    g_autoptr(GBytes) bytes = g_bytes_new_static(copy, size);
    g_autoptr(W2wPtValue) value = NULL;

    w2w_archive_fix_checksums(copy, size);
    read_entries(bytes);
    value = w2w_pt_open_bytes(bytes, "x.pt", NULL);
    if (value != NULL)
        w2w_pt_use(value);
    return 0;
}
