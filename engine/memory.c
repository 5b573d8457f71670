/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Aligned allocation that fails with an error instead of aborting. */
#include "engine/memory.h"

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

gpointer w2w_aligned_alloc(gsize n_items, gsize item_size, const char *what, GError **error)
{
    gsize n_bytes;
    gpointer buffer = NULL;

    if (g_size_checked_mul(&n_bytes, n_items, item_size) && n_bytes <= G_MAXSSIZE - W2W_ALIGNMENT) {
        /* aligned_alloc() wants a multiple of the alignment, and never 0 bytes. */
        n_bytes = MAX((n_bytes + W2W_ALIGNMENT - 1) / W2W_ALIGNMENT, 1) * W2W_ALIGNMENT;
        buffer = aligned_alloc(W2W_ALIGNMENT, n_bytes);
    }
    if (buffer == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory for %s: %.1f MiB were wanted.", what,
                    (double)n_items * (double)item_size / (1024.0 * 1024.0));
    return buffer;
}

gpointer w2w_aligned_alloc0(gsize n_items, gsize item_size, const char *what, GError **error)
{
    gpointer buffer = w2w_aligned_alloc(n_items, item_size, what, error);

    if (buffer != NULL)
        memset(buffer, 0, n_items * item_size);
    return buffer;
}

void w2w_aligned_free(gpointer buffer)
{
    free(buffer);
}

void w2w_aligned_free_indirect(void *pointer_to_buffer)
{
    free(*(void **)pointer_to_buffer);
}
