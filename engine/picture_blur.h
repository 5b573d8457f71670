/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small fields of floats, such as masks at a model's size, made smooth. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The mean of `in` (height, width) over (2 radius + 1)² values, of those that there are, into
 * `out`; `between` is room for as many, and none of the three is another.
 */
void w2w_field_blur(const float *in, guint width, guint height, guint radius, float *between,
                    float *out);

G_END_DECLS
