/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Allocation of big buffers: those whose size a file or the user decides.
 *
 * GLib's g_malloc() aborts the program when memory is short; these return NULL
 * and an error that says how much was wanted and what for. Small, bounded
 * allocations may use GLib as usual. Where a library's own containers grow with a file
 * (hash tables, JSON trees), w2w_memory_reserve() asks first whether so much is to be had.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* All big buffers start on a boundary that suits vector loads and cache lines. */
#define W2W_ALIGNMENT 64

/*
 * n_items * item_size bytes, aligned to W2W_ALIGNMENT, not initialised; NULL and
 * W2W_ERROR_MEMORY when that overflows or is not to be had. `what` names the
 * buffer in the error message ("the weights of the UNet"). n_items may be 0.
 * Free with w2w_aligned_free().
 */
gpointer w2w_aligned_alloc(gsize n_items, gsize item_size, const char *what, GError **error);

/* The same, filled with zeros. */
gpointer w2w_aligned_alloc0(gsize n_items, gsize item_size, const char *what, GError **error);

/* NULL is fine. */
void w2w_aligned_free(gpointer buffer);

/* For `g_autofree`-like use: W2W_AUTO_ALIGNED float *x = w2w_aligned_alloc (…). */
void w2w_aligned_free_indirect(void *pointer_to_buffer);
#define W2W_AUTO_ALIGNED __attribute__((cleanup(w2w_aligned_free_indirect)))

/* The same without the alignment, for what GLib will own: free with g_free(). */
gpointer w2w_try_malloc(gsize n_items, gsize item_size, const char *what, GError **error);
gpointer w2w_try_malloc0(gsize n_items, gsize item_size, const char *what, GError **error);

/* `buffer` (of w2w_try_malloc(), or NULL) grown to `n_bytes`; on failure it is left as it was. */
gpointer w2w_try_realloc(gpointer buffer, gsize n_bytes, const char *what, GError **error);

/*
 * Are `n_bytes` to be had now? They are taken and given back at once, so that what takes
 * them next in pieces that cannot fail gets them. FALSE and W2W_ERROR_MEMORY.
 */
gboolean w2w_memory_reserve(gsize n_bytes, const char *what, GError **error);

/*
 * For tests: the n-th call of the functions above from now on, counted from 1, fails as if
 * memory were short, once; 0 only counts. Returns the calls since the last time that this
 * was called. For all threads.
 */
guint64 w2w_memory_fail_call(guint64 n);

G_END_DECLS
