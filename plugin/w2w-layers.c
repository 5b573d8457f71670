/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pixels and parasites. */
#include "w2w-layers.h"

#include <string.h>

#include <gegl.h>
#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

#include "engine/error.h"
#include "w2w-composite.h"

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

static void
attach_all (GimpLayer          *layer,
            const W2wJobResult *result)
{
  if (result->identity != NULL)
    {
      gsize         size;
      gconstpointer data = g_bytes_get_data (result->identity, &size);

      attach (GIMP_ITEM (layer), W2W_IDENTITY_PARASITE, size, data);
    }
  if (result->recipe != NULL)
    attach (GIMP_ITEM (layer), W2W_RECIPE_PARASITE, strlen (result->recipe), result->recipe);
}

/* Above `above`, at its corner; takes a layer that may be NULL. */
static gboolean
insert (GimpImage *image,
        GimpLayer *layer,
        GimpLayer *above,
        GError   **error)
{
  GimpLayer *parent   = NULL;
  gint       position = 0;
  gint       x        = 0;
  gint       y        = 0;

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
      return FALSE;
    }
  gimp_layer_set_offsets (layer, x, y);

  return TRUE;
}

typedef struct
{
  gint x, y, width, height;
} Box;

/* "box" of the report: where in the layer's pixels it lies what the result shows. */
static gboolean
read_box (const W2wJobResult *result,
          Box                *box)
{
  g_autoptr (JsonNode) report = result->report != NULL ? json_from_string (result->report, NULL)
                                                       : NULL;
  JsonNode            *node   = NULL;
  JsonArray           *array;

  if (report != NULL && JSON_NODE_HOLDS_OBJECT (report))
    node = json_object_get_member (json_node_get_object (report), "box");
  array = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  if (array == NULL || json_array_get_length (array) != 4)
    return FALSE;
  box->x      = (gint) json_array_get_int_element (array, 0);
  box->y      = (gint) json_array_get_int_element (array, 1);
  box->width  = (gint) json_array_get_int_element (array, 2);
  box->height = (gint) json_array_get_int_element (array, 3);

  return TRUE;
}

/* Centred on what it shows of `original`; at whatever size, so that neither is blurred. */
static void
place_over (GimpLayer          *layer,
            GimpLayer          *original,
            const W2wJobResult *result)
{
  gint x, y;
  Box  box;

  if (! read_box (result, &box))
    return;
  gimp_drawable_get_offsets (GIMP_DRAWABLE (original), &x, &y);
  gimp_layer_set_offsets (layer,
                          x + box.x + (box.width - (gint) result->picture->width) / 2,
                          y + box.y + (box.height - (gint) result->picture->height) / 2);
}

GimpLayer *
w2w_layer_new_from_result (GimpImage          *image,
                           GimpLayer          *above,
                           GimpLayer          *original,
                           const W2wJobResult *result,
                           GError            **error)
{
  const gint     width  = (gint) result->picture->width;
  const gint     height = (gint) result->picture->height;
  const gboolean gray   = gimp_image_get_base_type (image) == GIMP_GRAY;
  GimpLayer     *layer;
  GeglBuffer    *buffer;

  layer = gimp_layer_new (image, result->name, width, height,
                          gray ? GIMP_GRAY_IMAGE : GIMP_RGB_IMAGE, 100.0,
                          gimp_image_get_default_new_layer_mode (image));
  if (! insert (image, layer, above, error))
    return NULL;

  buffer = gimp_drawable_get_buffer (GIMP_DRAWABLE (layer));
  gegl_buffer_set (buffer, GEGL_RECTANGLE (0, 0, width, height), 0, babl_format ("R'G'B' u8"),
                   result->picture->pixels, GEGL_AUTO_ROWSTRIDE);
  g_object_unref (buffer); /* sends the pixels to GIMP */
  gimp_drawable_update (GIMP_DRAWABLE (layer), 0, 0, width, height);
  if (original != NULL)
    place_over (layer, original, result);
  attach_all (layer, result);

  return layer;
}

/* Where the region lies in the layer, which is as large as its picture. */
static gboolean
find_box (const W2wJobResult *result,
          Box                *box,
          GError            **error)
{
  if (! read_box (result, box) || box->width != (gint) result->picture->width
      || box->height != (gint) result->picture->height)
    {
      g_set_error_literal (error, W2W_ERROR, W2W_ERROR_FAILED,
                           _("The worker did not say where in the layer its picture lies."));
      return FALSE;
    }

  return TRUE;
}

/*
 * What the layer itself carries is not the new one's. Taken away before the copy is part of the image:
 * GIMP does not undo the replacing of a parasite without complaints.
 */
static GimpLayer *
copy_without_parasites (GimpLayer *layer)
{
  const gchar * const names[] = { W2W_IDENTITY_PARASITE, W2W_RECIPE_PARASITE };
  GimpLayer          *copy    = gimp_layer_copy (layer);

  for (guint i = 0; copy != NULL && i < G_N_ELEMENTS (names); i++)
    {
      GimpParasite *parasite = gimp_item_get_parasite (GIMP_ITEM (copy), names[i]);

      if (parasite != NULL)
        gimp_item_detach_parasite (GIMP_ITEM (copy), names[i]);
      g_clear_pointer (&parasite, gimp_parasite_free);
    }

  return copy;
}

GimpLayer *
w2w_layer_new_from_region (GimpImage          *image,
                           GimpLayer          *original,
                           const W2wSource    *source,
                           const W2wJobResult *result,
                           GError            **error)
{
  GimpLayer *layer;
  Box        box;

  if (original == NULL || ! gimp_item_is_valid (GIMP_ITEM (original))
      || gimp_drawable_get_width (GIMP_DRAWABLE (original)) != (gint) source->picture->width
      || gimp_drawable_get_height (GIMP_DRAWABLE (original)) != (gint) source->picture->height)
    {
      g_set_error_literal (error, W2W_ERROR, W2W_ERROR_FAILED,
                           _("The layer has got another size, or was removed, while its picture "
                             "was edited. Try again."));
      return NULL;
    }
  if (! find_box (result, &box, error))
    return NULL;
  layer = copy_without_parasites (original);
  if (! insert (image, layer, original, error))
    return NULL;
  gimp_item_set_name (GIMP_ITEM (layer), result->name);
  if (! w2w_composite (layer, source, result->picture, box.x, box.y, error))
    {
      gimp_image_remove_layer (image, layer);
      return NULL;
    }
  attach_all (layer, result);

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
