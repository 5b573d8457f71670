/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading results. */
#include "client/result.h"

#include <unistd.h>

#include "client/shared_memory.h"
#include "engine/error.h"

static char *get_string(GVariant *dictionary, const char *name)
{
    char *string = NULL;

    g_variant_lookup(dictionary, name, "s", &string);
    return string;
}

static W2wPicture *read_picture(GVariant *dictionary, gint32 handle, GUnixFDList *descriptors,
                                GError **error)
{
    g_autoptr(W2wPicture) picture = NULL;
    guint width = 0, height = 0;
    gboolean complete;
    int descriptor = -1;

    g_variant_lookup(dictionary, "width", "u", &width);
    g_variant_lookup(dictionary, "height", "u", &height);
    picture = w2w_picture_new(width, height, error);
    if (picture == NULL)
        return NULL;
    if (descriptors != NULL && handle >= 0 && handle < g_unix_fd_list_get_length(descriptors))
        descriptor = g_unix_fd_list_get(descriptors, handle, NULL);
    complete =
        descriptor >= 0 && w2w_shared_memory_read(descriptor, picture->pixels,
                                                  3 * (gsize)picture->width * picture->height);
    if (descriptor >= 0)
        close(descriptor);
    if (!complete) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "The worker's picture of %u × %u pixels arrived incomplete. Try again.", width,
                    height);
        return NULL;
    }
    return g_steal_pointer(&picture);
}

/* NULL where there are none. */
static GPtrArray *read_files(GVariant *dictionary)
{
    g_autoptr(GVariant) list =
        g_variant_lookup_value(dictionary, "files", G_VARIANT_TYPE("a(say)"));
    GPtrArray *files;
    GVariantIter iter;
    const char *name;
    GVariant *boxed;

    if (list == NULL)
        return NULL;
    files = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_job_file_free);
    g_variant_iter_init(&iter, list);
    while (g_variant_iter_next(&iter, "(&s@ay)", &name, &boxed)) {
        g_autoptr(GVariant) bytes = boxed;

        g_ptr_array_add(files, w2w_job_file_new(name, g_variant_get_data_as_bytes(bytes)));
    }
    return files;
}

W2wJobResult *w2w_result_from_variant(GVariant *dictionary, GUnixFDList *descriptors,
                                      GError **error)
{
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);
    g_autoptr(GVariant) identity =
        g_variant_lookup_value(dictionary, "identity", G_VARIANT_TYPE_BYTESTRING);
    gint32 handle;

    if (g_variant_lookup(dictionary, "picture", "h", &handle)) {
        result->picture = read_picture(dictionary, handle, descriptors, error);
        if (result->picture == NULL)
            return NULL;
    }
    if (identity != NULL)
        result->identity = g_variant_get_data_as_bytes(identity);
    g_variant_lookup(dictionary, "seed", "t", &result->seed);
    result->name = get_string(dictionary, "name");
    result->recipe = get_string(dictionary, "recipe");
    result->message = get_string(dictionary, "message");
    result->report = get_string(dictionary, "report");
    result->stem = get_string(dictionary, "stem");
    result->files = read_files(dictionary);
    return g_steal_pointer(&result);
}
