/* SPDX-License-Identifier: GPL-3.0-or-later */
/* w2wmodel.pt. */
#include "engine/w2w/upstream_identity.h"

#include <math.h>

#include "engine/error.h"
#include "engine/formats/pt.h"
#include "engine/formats/pt_writer.h"
#include "engine/formats/safetensors.h"

#define FILE_NAME "w2wmodel.pt"

static W2wIdentity *read_coefficients(const W2wArray *array, const char *path, GError **error)
{
    g_autoptr(W2wIdentity) identity = NULL;

    if (!w2w_dtype_is_float(array->dtype) ||
        !(array->n_dims == 1 || (array->n_dims == 2 && array->shape[0] == 1)) ||
        array->n_elements < 1 || array->n_elements > W2W_IDENTITY_MAX_COEFFICIENTS) {
        g_autofree char *shape = w2w_array_shape_to_string(array);

        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds a tensor of shape %s (%s); an identity's coefficients (1, k) in "
                    "floating point, with k up to %d, were expected.",
                    path, shape, w2w_dtype_name(array->dtype), W2W_IDENTITY_MAX_COEFFICIENTS);
        return NULL;
    }
    identity = w2w_identity_new((guint)array->n_elements, error);
    if (identity == NULL)
        return NULL;
    w2w_array_to_f32(array, identity->coefficients);
    for (guint i = 0; i < identity->n_coefficients; i++) {
        if (!isfinite(identity->coefficients[i])) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s holds a coefficient that is not finite (number %u).", path, i + 1);
            return NULL;
        }
    }
    return g_steal_pointer(&identity);
}

W2wIdentity *w2w_upstream_identity_open(const char *path, gboolean *is_one, GError **error)
{
    g_autofree char *file = NULL;
    g_autoptr(W2wPtValue) value = NULL;

    *is_one = FALSE;
    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        file = g_build_filename(path, FILE_NAME, NULL);
        if (!g_file_test(file, G_FILE_TEST_EXISTS))
            return NULL;
    } else if (g_str_has_suffix(path, ".safetensors") || w2w_safetensors_matches(path)) {
        return NULL;
    } else {
        file = g_strdup(path);
    }
    value = w2w_pt_open(file, error);
    *is_one = value == NULL || w2w_pt_value_get_type(value) == W2W_PT_ARRAY;
    if (value == NULL || !*is_one)
        return NULL;
    return read_coefficients(w2w_pt_value_get_array(value), file, error);
}

GBytes *w2w_upstream_identity_to_bytes(const W2wIdentity *identity, GError **error)
{
    const gint64 shape[2] = {1, identity->n_coefficients};
    g_autoptr(W2wArray) array = w2w_array_new_f32(2, shape, identity->coefficients, error);

    return array != NULL ? w2w_pt_write_array(array, error) : NULL;
}
