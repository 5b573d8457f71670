/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edits as text; what was read is written as text and must read back as the same. */
#include "engine/w2w/edit.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(W2wEdits) edits = w2w_edits_parse(text, NULL);

    if (edits != NULL) {
        g_autofree char *first = w2w_edits_to_string(edits);
        g_autoptr(W2wEdits) again = w2w_edits_parse(first, NULL);
        g_autofree char *second = again != NULL ? w2w_edits_to_string(again) : NULL;

        g_assert_cmpstr(first, ==, second);
    }
    return 0;
}
