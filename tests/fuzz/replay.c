/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzz target on the inputs of its corpus, as a test: `replay CORPUS.zip`. Each
 * input is copied to a buffer of its own size, so that AddressSanitizer sees one byte too many.
 */
#include <string.h>

#include "engine/formats/zip.h"
#include "tests/fuzz/fuzz_target.h"

#define MAX_INPUT_BYTES (1 << 20)

int main(int argc, char **argv)
{
    g_autofree char *contents = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) archive = NULL;
    g_autoptr(W2wZip) zip = NULL;
    gsize length;
    guint n;

    if (argc != 2 || !g_file_get_contents(argv[1], &contents, &length, &error)) {
        g_printerr("Usage: %s CORPUS.zip (%s)\n", argv[0], error != NULL ? error->message : "");
        return 1;
    }
    archive = g_bytes_new_static(contents, length);
    zip = w2w_zip_open(archive, argv[1], &error);
    g_assert_no_error(error);
    n = w2w_zip_get_n_entries(zip);
    g_assert_cmpuint(n, >, 0);
    for (guint i = 0; i < n; i++) {
        const char *name = w2w_zip_get_entry_name(zip, i);
        g_autoptr(GBytes) input = w2w_zip_read(zip, name, MAX_INPUT_BYTES, &error);
        gsize size;
        gconstpointer data;
        g_autofree guint8 *copy = NULL;

        g_assert_no_error(error);
        data = g_bytes_get_data(input, &size);
        copy = g_malloc(MAX(size, 1)); /* an empty input is one too */
        if (size > 0)
            memcpy(copy, data, size);
        g_print("# %s\n", name); /* so that a crash has a name */
        LLVMFuzzerTestOneInput(copy, size);
    }
    g_print("ok 1 %u inputs\n1..1\n", n);
    return 0;
}
