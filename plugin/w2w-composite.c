/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Row by row: the layer's bytes, what they would become, and for each pixel which of the two. */
#include "w2w-composite.h"

#include <string.h>

#include <gegl.h>
#include <glib/gi18n.h>

#include "engine/error.h"

typedef struct
{
  gint width, height;  /* of what lies in both */
  gint x, y;           /* its corner in the layer */
  gint region_x, region_y;

  const Babl *format;  /* the layer's */
  const Babl *to_display, *from_display;
  gsize       bytes_per_pixel;

  guint8 *pixels;      /* (height,width) in the layer's format */
  guint8 *row;         /* (width) in it */
  gfloat *display;     /* (width,4): sRGB as shown, with straight alpha */
} Composite;

static gboolean
composite_init (Composite        *composite,
                GimpLayer        *layer,
                const W2wPicture *region,
                gint              x,
                gint              y)
{
  const Babl   *display = babl_format ("R'G'B'A float");
  GeglRectangle common;

  if (! gegl_rectangle_intersect (&common,
                                  GEGL_RECTANGLE (0, 0,
                                                  gimp_drawable_get_width (GIMP_DRAWABLE (layer)),
                                                  gimp_drawable_get_height (GIMP_DRAWABLE (layer))),
                                  GEGL_RECTANGLE (x, y, (gint) region->width,
                                                  (gint) region->height)))
    return TRUE;
  composite->width           = common.width;
  composite->height          = common.height;
  composite->x               = common.x;
  composite->y               = common.y;
  composite->region_x        = common.x - x;
  composite->region_y        = common.y - y;
  composite->format          = gimp_drawable_get_format (GIMP_DRAWABLE (layer));
  composite->to_display      = babl_fish (composite->format, display);
  composite->from_display    = babl_fish (display, composite->format);
  composite->bytes_per_pixel = (gsize) babl_format_get_bytes_per_pixel (composite->format);
  composite->pixels  = g_try_malloc_n ((gsize) common.width * composite->bytes_per_pixel,
                                       (gsize) common.height);
  composite->row     = g_try_malloc_n ((gsize) common.width, composite->bytes_per_pixel);
  composite->display = g_try_malloc_n ((gsize) common.width, 4 * sizeof (gfloat));

  return composite->pixels != NULL && composite->row != NULL && composite->display != NULL;
}

static void
composite_clear (Composite *composite)
{
  g_free (composite->pixels);
  g_free (composite->row);
  g_free (composite->display);
}

/*
 * A pixel as shown, in place; FALSE where it stays as it is. What the job changed is added, so that
 * what 8 bits do not show of the pixel remains. The job saw it over white, with its alpha's share of
 * its colour: to look there as the job's does, the colour changes by more.
 */
static gboolean
blend (gfloat       *pixel,
       const guint8 *sent,
       const guint8 *rendered,
       gfloat        selected)
{
  const gfloat alpha = MIN (pixel[3], 1.0f);

  if (selected <= 0.0f || alpha <= 0.0f || memcmp (sent, rendered, 3) == 0)
    return FALSE;
  for (gint c = 0; c < 3; c++)
    {
      const gfloat difference = (gfloat) (rendered[c] - sent[c]) / (255.0f * alpha);
      const gfloat before     = pixel[c];

      /* No further beyond white or black than it was. */
      pixel[c] = CLAMP (before + selected * difference, MIN (before, 0.0f), MAX (before, 1.0f));
    }

  return TRUE;
}

static void
composite_row (Composite        *composite,
               const W2wSource  *source,
               const W2wPicture *region,
               gint              row)
{
  const gsize   n_bytes  = composite->bytes_per_pixel;
  const gsize   at       = (gsize) (composite->y + row) * source->picture->width
                           + (gsize) composite->x;
  const guint8 *sent     = source->picture->pixels + 3 * at;
  const gfloat *selected = source->selection != NULL ? source->selection + at : NULL;
  const guint8 *rendered = region->pixels
                           + 3 * ((gsize) (composite->region_y + row) * region->width
                                  + (gsize) composite->region_x);
  guint8       *pixels   = composite->pixels + (gsize) row * (gsize) composite->width * n_bytes;
  gfloat       *display  = composite->display;

  babl_process (composite->to_display, pixels, display, composite->width);
  for (gint i = 0; i < composite->width; i++)
    if (! blend (display + 4 * i, sent + 3 * i, rendered + 3 * i,
                 selected != NULL ? selected[i] : 1.0f))
      display[4 * i + 3] = -1.0f; /* no alpha: to be left alone */
  babl_process (composite->from_display, display, composite->row, composite->width);
  for (gint i = 0; i < composite->width; i++)
    if (display[4 * i + 3] >= 0.0f)
      memcpy (pixels + (gsize) i * n_bytes, composite->row + (gsize) i * n_bytes, n_bytes);
}

gboolean
w2w_composite (GimpLayer        *layer,
               const W2wSource  *source,
               const W2wPicture *region,
               gint              x,
               gint              y,
               GError          **error)
{
  Composite   composite = { 0 };
  GeglBuffer *buffer;

  if (! composite_init (&composite, layer, region, x, y))
    {
      composite_clear (&composite);
      g_set_error (error, W2W_ERROR, W2W_ERROR_MEMORY,
                   _("There is not enough memory to put %u × %u pixels into the layer."),
                   region->width, region->height);
      return FALSE;
    }
  if (composite.width > 0)
    {
      const GeglRectangle *common = GEGL_RECTANGLE (composite.x, composite.y,
                                                    composite.width, composite.height);

      buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
      gegl_buffer_get (buffer, common, 1.0, composite.format, composite.pixels,
                       GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      for (gint row = 0; row < composite.height; row++)
        composite_row (&composite, source, region, row);
      gegl_buffer_set (buffer, common, 0, composite.format, composite.pixels,
                       GEGL_AUTO_ROWSTRIDE);
      g_object_unref (buffer); /* sends the pixels to GIMP */
      gimp_drawable_update (GIMP_DRAWABLE (layer), composite.x, composite.y,
                            composite.width, composite.height);
    }
  composite_clear (&composite);

  return TRUE;
}
