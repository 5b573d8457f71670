/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a folder's files to posteriors. */
#include "engine/job/picture_folder.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/png.h"
#include "engine/memory.h"
#include "engine/picture_crop.h"

#define SUFFIX ".png"

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean is_png(const char *name)
{
    const gsize length = strlen(name);

    return length > strlen(SUFFIX) &&
           g_ascii_strcasecmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

gboolean w2w_picture_folder_open(W2wPictureFolder *folder, const char *path, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);
    g_autoptr(GError) problem = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &problem);
    const char *name;

    if (dir == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "%s cannot be read as a folder of pictures: %s.", shown,
                    g_file_test(path, G_FILE_TEST_EXISTS) ? g_file_test(path, G_FILE_TEST_IS_DIR)
                                                                ? problem->message
                                                                : "it is no folder"
                                                          : "it does not exist");
        return FALSE;
    }
    folder->paths = g_ptr_array_new_with_free_func(g_free);
    folder->others = g_ptr_array_new_with_free_func(g_free);
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        if (*name == '.' || g_file_test(file, G_FILE_TEST_IS_DIR))
            continue;
        if (is_png(name))
            g_ptr_array_add(folder->paths, g_steal_pointer(&file));
        else
            g_ptr_array_add(folder->others, g_filename_display_name(name));
    }
    g_ptr_array_sort(folder->paths, compare_names);
    g_ptr_array_sort(folder->others, compare_names);
    if (folder->paths->len > 0)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "There are no pictures in %s: PNG files are wanted, with names that end in " SUFFIX
                ".",
                shown);
    w2w_picture_folder_clear(folder);
    return FALSE;
}

void w2w_picture_folder_clear(W2wPictureFolder *folder)
{
    g_clear_pointer(&folder->paths, g_ptr_array_unref);
    g_clear_pointer(&folder->others, g_ptr_array_unref);
}

/* The largest box of the proportions, around the centre. */
static W2wBox centre_box(const W2wPicture *picture, gint width, gint height)
{
    const guint64 across = (guint64)picture->width * (guint64)height;
    const guint64 down = (guint64)picture->height * (guint64)width;
    W2wBox box = {0, 0, (gint)picture->width, (gint)picture->height};

    if (across > down)
        box.width = MAX(1, (gint)((down + (guint64)height / 2) / (guint64)height));
    else if (down > across)
        box.height = MAX(1, (gint)((across + (guint64)width / 2) / (guint64)width));
    box.x = ((gint)picture->width - box.width) / 2;
    box.y = ((gint)picture->height - box.height) / 2;
    return box;
}

W2wPicture *w2w_picture_folder_read(const char *path, gint width, gint height, char **sha256,
                                    GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, error);
    g_autofree char *shown = g_filename_display_name(path);
    g_autoptr(W2wPicture) picture = bytes != NULL ? w2w_png_read_bytes(bytes, shown, error) : NULL;
    W2wBox box;

    if (picture == NULL)
        return NULL;
    if (sha256 != NULL)
        *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    if (picture->width == (guint)width && picture->height == (guint)height)
        return g_steal_pointer(&picture);
    box = centre_box(picture, width, height);
    return w2w_crop_cut(picture, &box, (guint)width, (guint)height, error);
}

gboolean w2w_encoded_pictures_init(W2wEncodedPictures *encoded, const W2wPipeline *pipeline,
                                   gint width, gint height, guint n, GError **error)
{
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(pipeline);

    *encoded = (W2wEncodedPictures){.width = width, .height = height, .n_expected = n};
    encoded->n_each = (gsize)(width / sizes.downscale) * (gsize)(height / sizes.downscale) *
                      (gsize)sizes.latent_channels;
    encoded->mean =
        w2w_aligned_alloc(n, encoded->n_each * sizeof(float), "the pictures' latents", error);
    if (encoded->mean == NULL)
        return FALSE;
    encoded->std =
        w2w_aligned_alloc(n, encoded->n_each * sizeof(float), "the pictures' latents", error);
    return encoded->std != NULL;
}

void w2w_encoded_pictures_clear(W2wEncodedPictures *encoded)
{
    w2w_aligned_free(encoded->mean);
    w2w_aligned_free(encoded->std);
    *encoded = (W2wEncodedPictures){0};
}

gboolean w2w_encoded_pictures_add(W2wEncodedPictures *encoded, W2wPipeline *pipeline,
                                  const W2wPicture *picture, GError **error)
{
    const gsize from = encoded->n * encoded->n_each;

    g_assert(encoded->n < encoded->n_expected);
    if (!w2w_pipeline_encode_picture(pipeline, picture, encoded->width, encoded->height,
                                     encoded->mean + from, encoded->std + from, error))
        return FALSE;
    encoded->n++;
    return TRUE;
}

W2wPosteriors w2w_encoded_pictures_get(const W2wEncodedPictures *encoded)
{
    return (W2wPosteriors){.mean = encoded->mean, .std = encoded->std, .n = encoded->n};
}
