/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing results; client/result.c reads them. */
#include "worker/result_message.h"

#include <errno.h>
#include <unistd.h>

#include "client/protocol.h"
#include "client/shared_memory.h"
#include "engine/error.h"

static gboolean add_picture(GVariantDict *dictionary, const W2wPicture *picture,
                            GUnixFDList *descriptors, GError **error)
{
    const int descriptor =
        w2w_shared_memory_new(picture->pixels, 3 * (gsize)picture->width * picture->height);
    gint handle;

    if (descriptor < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is no shared memory for a picture of %u × %u pixels: %s.",
                    picture->width, picture->height, g_strerror(errno));
        return FALSE;
    }
    handle = g_unix_fd_list_append(descriptors, descriptor, error);
    close(descriptor);
    if (handle < 0)
        return FALSE;
    g_variant_dict_insert(dictionary, "picture", "h", handle);
    g_variant_dict_insert(dictionary, "width", "u", picture->width);
    g_variant_dict_insert(dictionary, "height", "u", picture->height);
    return TRUE;
}

static void add_string(GVariantDict *dictionary, const char *name, const char *string)
{
    if (string != NULL)
        g_variant_dict_insert_value(dictionary, name,
                                    g_variant_new_take_string(g_utf8_make_valid(string, -1)));
}

static void add_files(GVariantDict *dictionary, const GPtrArray *files)
{
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE("a(say)"));
    for (guint i = 0; i < files->len; i++) {
        const W2wJobFile *file = files->pdata[i];
        g_autofree char *name = g_utf8_make_valid(file->name, -1);

        g_variant_builder_add(
            &builder, "(s@ay)", name,
            g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, file->bytes, TRUE));
    }
    g_variant_dict_insert_value(dictionary, "files", g_variant_builder_end(&builder));
}

static gboolean check_size(const W2wJobResult *result, GError **error)
{
    gsize size = result->identity != NULL ? g_bytes_get_size(result->identity) : 0;

    for (guint i = 0; result->files != NULL && i < result->files->len; i++)
        size += g_bytes_get_size(((W2wJobFile *)result->files->pdata[i])->bytes);
    if (size > W2W_PROTOCOL_MAX_BYTES) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The files of the result have %" G_GSIZE_FORMAT
                    " bytes, and the worker hands on up to %d; the command line writes files of "
                    "any size.",
                    size, W2W_PROTOCOL_MAX_BYTES);
        return FALSE;
    }
    return TRUE;
}

GVariant *w2w_result_to_variant(const W2wJobResult *result, GUnixFDList *descriptors,
                                GError **error)
{
    g_auto(GVariantDict) dictionary = G_VARIANT_DICT_INIT(NULL);

    if (!check_size(result, error) ||
        (result->picture != NULL && !add_picture(&dictionary, result->picture, descriptors, error)))
        return NULL;
    if (result->identity != NULL)
        g_variant_dict_insert_value(
            &dictionary, "identity",
            g_variant_new_from_bytes(G_VARIANT_TYPE_BYTESTRING, result->identity, TRUE));
    g_variant_dict_insert(&dictionary, "seed", "t", result->seed);
    add_string(&dictionary, "name", result->name);
    add_string(&dictionary, "recipe", result->recipe);
    add_string(&dictionary, "message", result->message);
    add_string(&dictionary, "report", result->report);
    add_string(&dictionary, "stem", result->stem);
    if (result->files != NULL)
        add_files(&dictionary, result->files);
    return g_variant_dict_end(&dictionary);
}
