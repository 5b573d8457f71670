/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a job takes from a layer: its pixels as the picture that jobs work on, the selection in its
 * extent as their mask.
 */
#pragma once

#include <libgimp/gimp.h>

#include "engine/picture.h"

G_BEGIN_DECLS

typedef struct
{
  GBytes     *image;      /* PNG: 8-bit sRGB with straight alpha */
  W2wPicture *picture;    /* the same as a job reads it, over white */
  GBytes     *mask;       /* grey PNG of the layer's size, white: selected; NULL: nothing is */
  gfloat     *selection;  /* (height,width), 0 … 1, as fine as GIMP has it; NULL with mask */
  gchar      *subject;    /* a name of exactly these pixels and this selection */
} W2wSource;

/*
 * Of a layer of any mode and precision; a selection that does not touch it is an error, as is
 * anything but a layer (W2W_ERROR_USAGE). GIMP's pixels stay as they are.
 *
 * The name is made of the layer's own bytes: GEGL chooses its conversions anew in each process, by
 * their speed, so the last bit of a converted pixel is not the same in each.
 */
W2wSource * w2w_source_new  (GimpDrawable *drawable,
                             GError      **error);
void        w2w_source_free (W2wSource    *source);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (W2wSource, w2w_source_free)

G_END_DECLS
