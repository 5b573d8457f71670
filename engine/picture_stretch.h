/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fields of floats at another size, row by row: what is pasted need not be rounded to 8 bits, nor
 * exist at its new size as a whole.
 *
 * Cubic convolution (Keys 1981, a = −1/2), stretched where the field gets smaller; the outermost
 * values go on beyond the edges. A field of zeros stays one, exactly.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _W2wStretch W2wStretch;

/*
 * Of `values` (height, width, n_channels), stretched to new_height × new_width, the columns first …
 * first + count − 1. `values` is not needed afterwards. W2W_ERROR_MEMORY.
 */
W2wStretch *w2w_stretch_new(const float *values, guint width, guint height, guint n_channels,
                            guint new_width, guint new_height, guint first, guint count,
                            GError **error);
void w2w_stretch_free(W2wStretch *stretch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wStretch, w2w_stretch_free)

/* Row y (below new_height) as (count, n_channels). */
void w2w_stretch_get_row(const W2wStretch *stretch, guint y, float *row);

G_END_DECLS
