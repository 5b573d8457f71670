/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Colours at the seam of what is pasted.
 *
 * Just outside of a mask's edge the picture and what is pasted show the same things, so what they
 * differ by there is a tint of the rendering. Its smooth part, continued over the inside with
 * weights that fall with the distance (Shepard 1968), is taken away from the difference: at the
 * seam both sides have the same colours, and further in no edge gives the correction away.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Corrects `difference` (height, width, n_channels) in place. `weights` (height, width): how much
 * of it will be pasted; `present` (height, width): how much of each cell is the picture's, 0 … 1.
 * Changes no bit where the difference around the edge is zero, or where there is no edge.
 * W2W_ERROR_MEMORY.
 */
gboolean w2w_seam_match(float *difference, guint width, guint height, guint n_channels,
                        const float *weights, const float *present, GError **error);

G_END_DECLS
