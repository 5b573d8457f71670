/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identity files: a safetensors with one row of numbers, and where it came from as metadata. */
#include "engine/w2w/identity.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"

#define FORMAT       "w2w-identity"
#define VERSION      1
#define COEFFICIENTS "coefficients"
/* A SHA-256 as hexadecimal digits. */
#define FINGERPRINT_LENGTH 64

W2wIdentity *w2w_identity_new(guint n_coefficients, GError **error)
{
    g_autoptr(W2wIdentity) identity = g_new0(W2wIdentity, 1);

    identity->n_coefficients = n_coefficients;
    identity->coefficients =
        w2w_aligned_alloc0(n_coefficients, sizeof(float), "an identity", error);
    return identity->coefficients != NULL ? g_steal_pointer(&identity) : NULL;
}

W2wIdentity *w2w_identity_copy(const W2wIdentity *identity, GError **error)
{
    W2wIdentity *copy = w2w_identity_new(identity->n_coefficients, error);

    if (copy == NULL)
        return NULL;
    memcpy(copy->coefficients, identity->coefficients,
           identity->n_coefficients * sizeof *copy->coefficients);
    copy->space_fingerprint = g_strdup(identity->space_fingerprint);
    copy->model_fingerprint = g_strdup(identity->model_fingerprint);
    copy->recipe = g_strdup(identity->recipe);
    return copy;
}

void w2w_identity_free(W2wIdentity *identity)
{
    if (identity == NULL)
        return;
    w2w_aligned_free(identity->coefficients);
    g_free(identity->space_fingerprint);
    g_free(identity->model_fingerprint);
    g_free(identity->recipe);
    g_free(identity);
}

G_GNUC_PRINTF(4, 5)
static gboolean fail(const W2wSafetensors *file, W2wError code, GError **error, const char *format,
                     ...)
{
    va_list arguments;
    g_autofree char *detail = NULL;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, code, "%s %s", w2w_safetensors_get_name(file), detail);
    return FALSE;
}

static gboolean check_format(const W2wSafetensors *file, GError **error)
{
    const char *format = w2w_safetensors_get_metadata(file, "format");
    const char *version = w2w_safetensors_get_metadata(file, "version");
    guint64 number = 0;

    if (g_strcmp0(format, FORMAT) != 0)
        return fail(file, W2W_ERROR_FORMAT, error,
                    "is no identity file: its metadata lacks the format “" FORMAT "”.");
    if (version == NULL || !g_ascii_string_to_unsigned(version, 10, 1, G_MAXUINT32, &number, NULL))
        return fail(file, W2W_ERROR_FORMAT, error, "has no version number in its metadata.");
    if (number > VERSION)
        return fail(file, W2W_ERROR_UNSUPPORTED, error,
                    "was written by a newer program: its version is %u, this program reads %d.",
                    (guint)number, VERSION);
    return TRUE;
}

static gboolean read_fingerprint(const W2wSafetensors *file, const char *key, char **fingerprint,
                                 GError **error)
{
    const char *value = w2w_safetensors_get_metadata(file, key);

    if (value == NULL)
        return TRUE;
    if (strlen(value) != FINGERPRINT_LENGTH || strspn(value, "0123456789abcdef") != strlen(value))
        return fail(file, W2W_ERROR_FORMAT, error,
                    "has a “%s” in its metadata that is none (%d hexadecimal digits).", key,
                    FINGERPRINT_LENGTH);
    *fingerprint = g_strdup(value);
    return TRUE;
}

static gboolean read_recipe(const W2wSafetensors *file, char **recipe, GError **error)
{
    const char *value = w2w_safetensors_get_metadata(file, "recipe");
    g_autofree char *name = NULL;
    g_autoptr(JsonObject) object = NULL;

    if (value == NULL)
        return TRUE;
    name = g_strdup_printf("The recipe of %s", w2w_safetensors_get_name(file));
    object = w2w_json_parse(value, strlen(value), name, error);
    if (object == NULL)
        return FALSE;
    *recipe = g_strdup(value);
    return TRUE;
}

static W2wIdentity *read_coefficients(const W2wSafetensors *file, GError **error)
{
    g_autoptr(W2wArray) array = w2w_safetensors_get(file, COEFFICIENTS, error);
    g_autoptr(W2wIdentity) identity = NULL;

    if (array == NULL)
        return NULL;
    if (array->dtype != W2W_DTYPE_F32 || array->n_dims != 1 || array->n_elements < 1 ||
        array->n_elements > W2W_IDENTITY_MAX_COEFFICIENTS) {
        g_autofree char *shape = w2w_array_shape_to_string(array);

        fail(file, W2W_ERROR_FORMAT, error,
             "holds “" COEFFICIENTS
             "” as %s of shape %s; F32 of one dimension with 1 to %d numbers "
             "was expected.",
             w2w_dtype_name(array->dtype), shape, W2W_IDENTITY_MAX_COEFFICIENTS);
        return NULL;
    }
    identity = w2w_identity_new((guint)array->n_elements, error);
    if (identity == NULL)
        return NULL;
    w2w_array_to_f32(array, identity->coefficients);
    for (guint i = 0; i < identity->n_coefficients; i++) {
        if (!isfinite(identity->coefficients[i])) {
            fail(file, W2W_ERROR_FORMAT, error,
                 "holds a coefficient that is not finite (number %u).", i + 1);
            return NULL;
        }
    }
    return g_steal_pointer(&identity);
}

static W2wIdentity *read_identity(const W2wSafetensors *file, GError **error)
{
    g_autoptr(W2wIdentity) identity = NULL;

    if (!check_format(file, error))
        return NULL;
    identity = read_coefficients(file, error);
    if (identity == NULL ||
        !read_fingerprint(file, "space_fingerprint", &identity->space_fingerprint, error) ||
        !read_fingerprint(file, "model_fingerprint", &identity->model_fingerprint, error) ||
        !read_recipe(file, &identity->recipe, error))
        return NULL;
    return g_steal_pointer(&identity);
}

W2wIdentity *w2w_identity_load(const char *path, GError **error)
{
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(path, error);

    return file != NULL ? read_identity(file, error) : NULL;
}

W2wIdentity *w2w_identity_from_bytes(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open_bytes(bytes, name, error);

    return file != NULL ? read_identity(file, error) : NULL;
}

static W2wSafetensorsWriter *write_identity(const W2wIdentity *identity, GError **error)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    const gint64 shape[1] = {identity->n_coefficients};
    g_autoptr(W2wArray) array = w2w_array_new_f32(1, shape, identity->coefficients, error);

    if (array == NULL)
        return NULL;
    w2w_safetensors_writer_set_metadata(writer, "format", FORMAT);
    w2w_safetensors_writer_set_metadata(writer, "version", G_STRINGIFY(VERSION));
    if (identity->space_fingerprint != NULL)
        w2w_safetensors_writer_set_metadata(writer, "space_fingerprint",
                                            identity->space_fingerprint);
    if (identity->model_fingerprint != NULL)
        w2w_safetensors_writer_set_metadata(writer, "model_fingerprint",
                                            identity->model_fingerprint);
    if (identity->recipe != NULL)
        w2w_safetensors_writer_set_metadata(writer, "recipe", identity->recipe);
    w2w_safetensors_writer_add(writer, COEFFICIENTS, array);
    return g_steal_pointer(&writer);
}

gboolean w2w_identity_save(const W2wIdentity *identity, const char *path, GError **error)
{
    g_autoptr(W2wSafetensorsWriter) writer = write_identity(identity, error);

    return writer != NULL && w2w_safetensors_writer_save(writer, path, error);
}

GBytes *w2w_identity_to_bytes(const W2wIdentity *identity, GError **error)
{
    g_autoptr(W2wSafetensorsWriter) writer = write_identity(identity, error);

    return writer != NULL ? w2w_safetensors_writer_to_bytes(writer, error) : NULL;
}

gboolean w2w_identity_check(const W2wIdentity *identity, W2wSpace *space, const char *name,
                            GError **error)
{
    if (identity->space_fingerprint != NULL &&
        !g_str_equal(identity->space_fingerprint, w2w_space_get_fingerprint(space))) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s belongs to another space than %s: its numbers would mean somebody else "
                    "there. Use the world that it was made in.",
                    name, w2w_space_get_directory(space));
        return FALSE;
    }
    if (identity->n_coefficients > w2w_space_get_n_components(space)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s has %u coefficients, but the space %s only %u components.", name,
                    identity->n_coefficients, w2w_space_get_directory(space),
                    w2w_space_get_n_components(space));
        return FALSE;
    }
    return TRUE;
}
