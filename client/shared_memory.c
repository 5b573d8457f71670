/* SPDX-License-Identifier: GPL-3.0-or-later */
/* memfd_create(), in and out. */
#include "client/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/error.h"

#define HANDLE_TYPE "(ht)"

int w2w_shared_memory_new(gconstpointer data, gsize size)
{
    const int descriptor = memfd_create("w2w-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const guint8 *bytes = data;
    gsize n = 0;

    while (descriptor >= 0 && n < size) {
        const gssize n_written = write(descriptor, bytes + n, size - n);

        if (n_written < 0 && errno != EINTR)
            goto failed;
        n += MAX(n_written, 0);
    }
    if (descriptor >= 0 && fcntl(descriptor, F_ADD_SEALS,
                                 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        goto failed;
    return descriptor;

failed : {
    const int saved = errno;

    close(descriptor);
    errno = saved;
    return -1;
}
}

gboolean w2w_shared_memory_read(int descriptor, gpointer data, gsize size)
{
    guint8 *bytes = data;
    gsize n = 0;

    while (n < size) {
        const gssize n_read = pread(descriptor, bytes + n, size - n, (off_t)n);

        if (n_read == 0 || (n_read < 0 && errno != EINTR))
            return FALSE;
        n += MAX(n_read, 0);
    }
    return TRUE;
}

/* Floating; NULL: an error. */
static GVariant *pack_one(GVariant *value, GUnixFDList *descriptors, GError **error)
{
    const gsize size = g_variant_get_size(value);
    const int descriptor = w2w_shared_memory_new(g_variant_get_data(value), size);
    gint handle;

    if (descriptor < 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is no shared memory for %" G_GSIZE_FORMAT " bytes: %s.", size,
                    g_strerror(errno));
        return NULL;
    }
    handle = g_unix_fd_list_append(descriptors, descriptor, error);
    close(descriptor);
    return handle >= 0 ? g_variant_new(HANDLE_TYPE, handle, (guint64)size) : NULL;
}

static GVariant *unpack_one(const char *name, GVariant *value, GUnixFDList *descriptors,
                            GError **error)
{
    g_autofree guint8 *bytes = NULL;
    guint8 *owned;
    int descriptor = -1;
    gint handle;
    guint64 size;
    gboolean complete;

    g_variant_get(value, HANDLE_TYPE, &handle, &size);
    if (descriptors != NULL && handle >= 0 && handle < g_unix_fd_list_get_length(descriptors))
        descriptor = g_unix_fd_list_get(descriptors, handle, NULL);
    bytes = size <= W2W_SHARED_MEMORY_MOST ? g_try_malloc(size) : NULL;
    complete = descriptor >= 0 && bytes != NULL && w2w_shared_memory_read(descriptor, bytes, size);
    if (descriptor >= 0)
        close(descriptor);
    if (bytes == NULL && size > 0)
        g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                    "There is not enough memory for the %" G_GUINT64_FORMAT " bytes of %s.", size,
                    name);
    else if (!complete)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The bytes of %s arrived incomplete.", name);
    if (!complete)
        return NULL;
    owned = g_steal_pointer(&bytes);
    return g_variant_new_from_data(G_VARIANT_TYPE_BYTESTRING, owned, size, TRUE, g_free, owned);
}

/* One value as it goes on; NULL: an error. */
typedef GVariant *(*Convert)(const char *name, GVariant *value, GUnixFDList *descriptors,
                             GError **error);

static GVariant *pack_if_large(const char *name, GVariant *value, GUnixFDList *descriptors,
                               GError **error)
{
    return g_variant_is_of_type(value, G_VARIANT_TYPE_BYTESTRING) &&
                   g_variant_get_size(value) >= W2W_SHARED_MEMORY_LEAST
               ? pack_one(value, descriptors, error)
               : g_variant_ref(value);
}

static GVariant *unpack_if_packed(const char *name, GVariant *value, GUnixFDList *descriptors,
                                  GError **error)
{
    return g_variant_is_of_type(value, G_VARIANT_TYPE(HANDLE_TYPE))
               ? unpack_one(name, value, descriptors, error)
               : g_variant_ref(value);
}

static GVariant *convert_all(GVariant *given, Convert convert, GUnixFDList *descriptors,
                             GError **error)
{
    g_autoptr(GVariant) values = g_variant_ref_sink(given);
    GVariantBuilder builder;
    GVariantIter iter;
    const char *name;
    GVariant *boxed;

    g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
    g_variant_iter_init(&iter, values);
    while (g_variant_iter_next(&iter, "{&sv}", &name, &boxed)) {
        g_autoptr(GVariant) value = boxed;
        GVariant *converted = convert(name, value, descriptors, error);

        if (converted == NULL) {
            g_variant_builder_clear(&builder);
            return NULL;
        }
        converted = g_variant_take_ref(converted);
        g_variant_builder_add(&builder, "{sv}", name, converted);
        g_variant_unref(converted);
    }
    return g_variant_ref_sink(g_variant_builder_end(&builder));
}

GVariant *w2w_shared_memory_pack(GVariant *values, GUnixFDList *descriptors, GError **error)
{
    return convert_all(values, pack_if_large, descriptors, error);
}

GVariant *w2w_shared_memory_unpack(GVariant *values, GUnixFDList *descriptors, GError **error)
{
    return convert_all(values, unpack_if_packed, descriptors, error);
}
