/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Allocation that fails with an error instead of aborting. */
#include "engine/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

static _Atomic(guint64) n_calls, failing_call;

guint64 w2w_memory_fail_call(guint64 n)
{
    atomic_store(&failing_call, n);
    return atomic_exchange(&n_calls, 0);
}

/* Counts a call; FALSE where a test wants it to fail. */
static gboolean may_succeed(void)
{
    return atomic_fetch_add_explicit(&n_calls, 1, memory_order_relaxed) + 1 !=
           atomic_load_explicit(&failing_call, memory_order_relaxed);
}

static void set_error(gsize n_items, gsize item_size, const char *what, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                "There is not enough memory for %s: %.1f MiB were wanted.", what,
                (double)n_items * (double)item_size / (1024.0 * 1024.0));
}

gpointer w2w_aligned_alloc(gsize n_items, gsize item_size, const char *what, GError **error)
{
    gsize n_bytes;
    gpointer buffer = NULL;

    if (may_succeed() && g_size_checked_mul(&n_bytes, n_items, item_size) &&
        n_bytes <= G_MAXSSIZE - W2W_ALIGNMENT) {
        /* aligned_alloc() wants a multiple of the alignment, and never 0 bytes. */
        n_bytes = MAX((n_bytes + W2W_ALIGNMENT - 1) / W2W_ALIGNMENT, 1) * W2W_ALIGNMENT;
        buffer = aligned_alloc(W2W_ALIGNMENT, n_bytes);
    }
    if (buffer == NULL)
        set_error(n_items, item_size, what, error);
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

gpointer w2w_try_malloc(gsize n_items, gsize item_size, const char *what, GError **error)
{
    gpointer buffer = may_succeed() && n_items <= G_MAXSSIZE / MAX(item_size, 1)
                          ? g_try_malloc(MAX(n_items * item_size, 1))
                          : NULL;

    if (buffer == NULL)
        set_error(n_items, item_size, what, error);
    return buffer;
}

gpointer w2w_try_malloc0(gsize n_items, gsize item_size, const char *what, GError **error)
{
    gpointer buffer = may_succeed() && n_items <= G_MAXSSIZE / MAX(item_size, 1)
                          ? g_try_malloc0(MAX(n_items * item_size, 1))
                          : NULL;

    if (buffer == NULL)
        set_error(n_items, item_size, what, error);
    return buffer;
}

gpointer w2w_try_realloc(gpointer buffer, gsize n_bytes, const char *what, GError **error)
{
    gpointer grown = may_succeed() ? g_try_realloc(buffer, MAX(n_bytes, 1)) : NULL;

    if (grown == NULL)
        set_error(n_bytes, 1, what, error);
    return grown;
}

/* volatile: the compiler may leave out an allocation that nobody looks at. */
gboolean w2w_memory_reserve(gsize n_bytes, const char *what, GError **error)
{
    gpointer volatile probe = may_succeed() ? g_try_malloc(MAX(n_bytes, 1)) : NULL;

    if (probe == NULL) {
        set_error(n_bytes, 1, what, error);
        return FALSE;
    }
    g_free(probe);
    return TRUE;
}
