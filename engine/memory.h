/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Allocation of big buffers: those whose size a file or the user decides.
 *
 * GLib's g_malloc() aborts the program when memory is short; these return NULL
 * and an error that says how much was wanted and what for. Small, bounded
 * allocations may use GLib as usual.
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

G_END_DECLS
