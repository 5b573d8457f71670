/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A safetensors file; every tensor lies inside of it, and what was read can be written again. */
#include "engine/formats/safetensors.h"
#include "tests/fuzz/array_use.h"
#include "tests/fuzz/fuzz_target.h"

static void write_again(W2wSafetensors *file)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(W2wSafetensors) again = NULL;
    GHashTableIter iterator;
    gpointer key, value;

    g_hash_table_iter_init(&iterator, w2w_safetensors_get_all_metadata(file));
    while (g_hash_table_iter_next(&iterator, &key, &value))
        w2w_safetensors_writer_set_metadata(writer, key, value);
    for (const char *const *name = w2w_safetensors_get_keys(file); *name != NULL; name++)
        w2w_safetensors_writer_add(writer, *name, w2w_safetensors_peek(file, *name));
    bytes = w2w_safetensors_writer_to_bytes(writer, NULL);
    g_assert_nonnull(bytes);
    again = w2w_safetensors_open_bytes(bytes, "again", NULL);
    g_assert_nonnull(again);
}

int LLVMFuzzerTestOneInput(const guint8 *data, gsize size)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static(data, size);
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open_bytes(bytes, "x.safetensors", NULL);

    if (file == NULL)
        return 0;
    for (const char *const *key = w2w_safetensors_get_keys(file); *key != NULL; key++)
        w2w_array_use(w2w_safetensors_peek(file, *key));
    write_again(file);
    return 0;
}
