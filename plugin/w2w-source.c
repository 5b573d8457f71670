/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pixels out of GIMP. */
#include "w2w-source.h"

#include <math.h>

#include <gegl.h>
#include <glib/gi18n.h>

#include "engine/error.h"
#include "engine/formats/png.h"

/* Where a layer lies in its image. */
typedef struct
{
  gint x, y, width, height;
} Extent;

static Extent
get_extent (GimpDrawable *drawable)
{
  Extent extent;

  gimp_drawable_get_offsets (drawable, &extent.x, &extent.y);
  extent.width  = gimp_drawable_get_width (drawable);
  extent.height = gimp_drawable_get_height (drawable);

  return extent;
}

static gsize
count_pixels (const Extent *extent)
{
  return (gsize) extent->width * (gsize) extent->height;
}

/* All of a drawable's buffer in `format`, from (x, y) on; black where there is nothing. */
static gpointer
read_buffer (GimpDrawable *drawable,
             gint          x,
             gint          y,
             const Extent *extent,
             const Babl   *format,
             GError      **error)
{
  const gsize  bytes_per_pixel = (gsize) babl_format_get_bytes_per_pixel (format);
  gpointer     pixels          = g_try_malloc_n (count_pixels (extent), bytes_per_pixel);
  GeglBuffer  *buffer;

  if (pixels == NULL)
    {
      g_set_error (error, W2W_ERROR, W2W_ERROR_MEMORY,
                   _("There is not enough memory for the %d × %d pixels of the layer."),
                   extent->width, extent->height);
      return NULL;
    }
  buffer = gimp_drawable_get_buffer (drawable);
  gegl_buffer_get (buffer, GEGL_RECTANGLE (x, y, extent->width, extent->height), 1.0, format,
                   pixels, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
  g_object_unref (buffer);

  return pixels;
}

static void
add_to_subject (GChecksum     *checksum,
                gconstpointer  data,
                gsize          size)
{
  const guint64 length = size;
  const guchar *bytes  = data;

  g_checksum_update (checksum, (const guchar *) &length, sizeof length);
  for (gsize done = 0; done < size; done += MIN (size - done, G_MAXINT32))
    g_checksum_update (checksum, bytes + done, (gssize) MIN (size - done, G_MAXINT32));
}

/* The layer's own bytes and what they mean. */
static gboolean
add_layer_to_subject (GChecksum    *checksum,
                      GimpDrawable *drawable,
                      const Extent *extent,
                      GError      **error)
{
  const Babl         *format   = gimp_drawable_get_format (drawable);
  const gchar        *encoding = babl_format_get_encoding (format);
  const gint          size[]   = { extent->width, extent->height };
  g_autofree gpointer pixels   = read_buffer (drawable, 0, 0, extent, format, error);

  if (pixels == NULL)
    return FALSE;
  add_to_subject (checksum, encoding, strlen (encoding));
  add_to_subject (checksum, size, sizeof size);
  add_to_subject (checksum, pixels,
                  count_pixels (extent) * (gsize) babl_format_get_bytes_per_pixel (format));

  return TRUE;
}

static gboolean
read_image (W2wSource    *source,
            GimpDrawable *drawable,
            const Extent *extent,
            GError      **error)
{
  g_autofree guint8 *pixels = read_buffer (drawable, 0, 0, extent, babl_format ("R'G'B'A u8"),
                                           error);

  if (pixels == NULL)
    return FALSE;
  source->image = w2w_png_encode (pixels, (guint) extent->width, (guint) extent->height, 4, error);
  if (source->image == NULL)
    return FALSE;
  source->picture = w2w_png_read_bytes (source->image, _("The layer"), error);

  return source->picture != NULL;
}

/* Of the image's selection, what lies in the layer. */
static gboolean
read_selection (W2wSource    *source,
                GimpDrawable *drawable,
                const Extent *extent,
                GError      **error)
{
  GimpImage         *image    = gimp_item_get_image (GIMP_ITEM (drawable));
  GimpSelection     *mask     = gimp_image_get_selection (image);
  const gsize        n_pixels = count_pixels (extent);
  g_autofree guint8 *bytes    = NULL;
  gboolean           touches  = FALSE;

  if (gimp_selection_is_empty (image))
    return TRUE;
  source->selection = read_buffer (GIMP_DRAWABLE (mask), extent->x, extent->y, extent,
                                   babl_format ("Y float"), error);
  bytes = source->selection != NULL ? g_try_malloc (n_pixels) : NULL;
  if (bytes == NULL)
    {
      if (source->selection != NULL)
        g_set_error_literal (error, W2W_ERROR, W2W_ERROR_MEMORY,
                             _("There is not enough memory for the selection."));
      return FALSE;
    }
  for (gsize i = 0; i < n_pixels; i++)
    {
      source->selection[i] = CLAMP (source->selection[i], 0.0f, 1.0f);
      bytes[i] = (guint8) lrintf (255.0f * source->selection[i]);
      touches = touches || bytes[i] > 0;
    }
  if (! touches)
    {
      g_autofree gchar *name = gimp_item_get_name (GIMP_ITEM (drawable));

      g_set_error (error, W2W_ERROR, W2W_ERROR_USAGE,
                   _("The selection lies outside of the layer “%s”. Select a part of it, or "
                     "nothing (Select ▸ None) for all of it."), name);
      return FALSE;
    }
  source->mask = w2w_png_encode (bytes, (guint) extent->width, (guint) extent->height, 1, error);

  return source->mask != NULL;
}

W2wSource *
w2w_source_new (GimpDrawable *drawable,
                GError      **error)
{
  g_autoptr (W2wSource) source   = g_new0 (W2wSource, 1);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  const Extent          extent   = get_extent (drawable);

  if (! GIMP_IS_LAYER (drawable))
    {
      g_set_error_literal (error, W2W_ERROR, W2W_ERROR_USAGE,
                           _("What is chosen is no layer. Choose the layer with the picture, and "
                             "not its mask or a channel."));
      return NULL;
    }
  if (! add_layer_to_subject (checksum, drawable, &extent, error)
      || ! read_image (source, drawable, &extent, error)
      || ! read_selection (source, drawable, &extent, error))
    return NULL;
  if (source->selection != NULL)
    add_to_subject (checksum, source->selection,
                    count_pixels (&extent) * sizeof *source->selection);
  source->subject = g_strdup (g_checksum_get_string (checksum));

  return g_steal_pointer (&source);
}

void
w2w_source_free (W2wSource *source)
{
  if (source == NULL)
    return;
  g_clear_pointer (&source->image, g_bytes_unref);
  g_clear_pointer (&source->mask, g_bytes_unref);
  g_clear_pointer (&source->picture, w2w_picture_free);
  g_free (source->selection);
  g_free (source->subject);
  g_free (source);
}
