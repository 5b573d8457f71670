/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pixels and parasites. */
#include "w2w-layers.h"

#include <string.h>

#include <gegl.h>
#include <glib/gi18n.h>

#include "engine/error.h"

static void
attach (GimpItem    *item,
        const gchar *name,
        gsize        size,
        gconstpointer data)
{
  GimpParasite *parasite = gimp_parasite_new (name,
                                              GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE,
                                              (guint32) size, data);

  gimp_item_attach_parasite (item, parasite);
  gimp_parasite_free (parasite);
}

GimpLayer *
w2w_layer_new_from_result (GimpImage          *image,
                           GimpLayer          *above,
                           const W2wJobResult *result,
                           GError            **error)
{
  const gint     width    = (gint) result->picture->width;
  const gint     height   = (gint) result->picture->height;
  const gboolean gray     = gimp_image_get_base_type (image) == GIMP_GRAY;
  GimpLayer     *parent   = NULL;
  gint           position = 0;
  gint           x        = 0;
  gint           y        = 0;
  GimpLayer     *layer;
  GeglBuffer    *buffer;

  layer = gimp_layer_new (image, result->name, width, height,
                          gray ? GIMP_GRAY_IMAGE : GIMP_RGB_IMAGE, 100.0,
                          gimp_image_get_default_new_layer_mode (image));
  if (above != NULL)
    {
      parent   = GIMP_LAYER (gimp_item_get_parent (GIMP_ITEM (above)));
      position = gimp_image_get_item_position (image, GIMP_ITEM (above));
      gimp_drawable_get_offsets (GIMP_DRAWABLE (above), &x, &y);
    }
  if (layer == NULL || ! gimp_image_insert_layer (image, layer, parent, position))
    {
      g_set_error (error, W2W_ERROR, W2W_ERROR_FAILED,
                   _("GIMP could not add a layer to the image."));
      return NULL;
    }
  gimp_layer_set_offsets (layer, x, y);

  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  gegl_buffer_set (buffer, GEGL_RECTANGLE (0, 0, width, height), 0, babl_format ("R'G'B' u8"),
                   result->picture->pixels, GEGL_AUTO_ROWSTRIDE);
  g_object_unref (buffer); /* sends the pixels to GIMP */
  gimp_drawable_update (GIMP_DRAWABLE (layer), 0, 0, width, height);

  if (result->identity != NULL)
    {
      gsize         size;
      gconstpointer data = g_bytes_get_data (result->identity, &size);

      attach (GIMP_ITEM (layer), W2W_IDENTITY_PARASITE, size, data);
    }
  if (result->recipe != NULL)
    attach (GIMP_ITEM (layer), W2W_RECIPE_PARASITE, strlen (result->recipe), result->recipe);

  return layer;
}

GBytes *
w2w_layer_get_identity (GimpItem *layer)
{
  GimpParasite *parasite = gimp_item_get_parasite (layer, W2W_IDENTITY_PARASITE);
  GBytes       *identity;
  guint32       size;
  gconstpointer data;

  if (parasite == NULL)
    return NULL;
  data     = gimp_parasite_get_data (parasite, &size);
  identity = g_bytes_new (data, size);
  gimp_parasite_free (parasite);

  return identity;
}
