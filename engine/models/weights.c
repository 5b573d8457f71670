/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Weights by name: views into mapped files, and what was added to them. */
#include "engine/models/weights.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/models/weight_table.h"

struct _W2wWeights {
    GHashTable *arrays; /* name → W2wArray */
    char *path;
    GHashTable *asked;    /* names that a model asked for */
    GHashTable *changed;  /* name → W2wArray: the sum of what the file holds and its deltas */
    GPtrArray *stand_ins; /* zeros in place of missing weights */
    GBytes *zero;         /* the one number that all of them show */
    char *fingerprint;
    GError *error; /* the first one */
};

W2wWeights *w2w_weights_new(GHashTable *arrays, const char *path)
{
    static const float zero = 0.0f;
    W2wWeights *weights = g_new0(W2wWeights, 1);

    weights->arrays = g_hash_table_ref(arrays);
    weights->path = g_strdup(path);
    weights->asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    weights->changed =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)w2w_array_unref);
    weights->stand_ins = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_array_unref);
    weights->zero = g_bytes_new_static(&zero, sizeof(zero));
    return weights;
}

void w2w_weights_free(W2wWeights *weights)
{
    if (weights == NULL)
        return;
    g_hash_table_unref(weights->arrays);
    g_free(weights->path);
    g_hash_table_unref(weights->asked);
    g_hash_table_unref(weights->changed);
    g_ptr_array_unref(weights->stand_ins);
    g_bytes_unref(weights->zero);
    g_free(weights->fingerprint);
    g_clear_error(&weights->error);
    g_free(weights);
}

const char *w2w_weights_get_path(const W2wWeights *weights)
{
    return weights->path;
}

static W2wArray *stand_in(W2wWeights *weights, guint n_dims, const gint64 *shape)
{
    const gint64 stride[W2W_ARRAY_MAX_DIMS] = {0};
    W2wArray *array = w2w_array_new_view(W2W_DTYPE_F32, n_dims, shape, stride, weights->zero, 0,
                                         "A weight", NULL);

    /* Cannot fail: configs are limited to sizes whose products fit, and stride 0 stays inside. */
    g_assert(array != NULL);
    g_ptr_array_add(weights->stand_ins, array);
    return array;
}

static char *shape_to_string(guint n_dims, const gint64 *shape)
{
    W2wArray array = {.n_dims = n_dims};

    memcpy(array.shape, shape, n_dims * sizeof(*shape));
    return w2w_array_shape_to_string(&array);
}

/* As it stands; NULL where there is none. */
static W2wArray *find_array(const W2wWeights *weights, const char *name)
{
    W2wArray *array = g_hash_table_lookup(weights->changed, name);

    return array != NULL ? array : g_hash_table_lookup(weights->arrays, name);
}

W2wArray *w2w_weights_get(W2wWeights *weights, const char *name, ...)
{
    W2wArray *array = find_array(weights, name);
    gint64 shape[W2W_ARRAY_MAX_DIMS];
    guint n_dims = 0;
    va_list sizes;
    g_autofree char *wanted = NULL;

    va_start(sizes, name);
    for (gint size = va_arg(sizes, gint); size >= 0; size = va_arg(sizes, gint)) {
        g_assert(n_dims < W2W_ARRAY_MAX_DIMS);
        shape[n_dims++] = size;
    }
    va_end(sizes);

    g_hash_table_add(weights->asked, g_strdup(name));
    if (array != NULL && w2w_dtype_is_float(array->dtype) &&
        w2w_array_has_shape(array, n_dims, shape))
        return array;
    wanted = shape_to_string(n_dims, shape);
    if (weights->error == NULL && array == NULL) {
        g_set_error(&weights->error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s: there is no \"%s\" of the shape %s.", w2w_weights_get_path(weights), name,
                    wanted);
    } else if (weights->error == NULL) {
        g_autofree char *found = w2w_array_shape_to_string(array);

        g_set_error(&weights->error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s: \"%s\" is %s of the shape %s; floating point numbers of the shape %s "
                    "were expected.",
                    w2w_weights_get_path(weights), name, w2w_dtype_name(array->dtype), found,
                    wanted);
    }
    return stand_in(weights, n_dims, shape);
}

/* --- deltas --- */

const W2wArray *w2w_weights_peek(const W2wWeights *weights, const char *name)
{
    return g_hash_table_contains(weights->asked, name) ? find_array(weights, name) : NULL;
}

gboolean w2w_weights_add_delta(W2wWeights *weights, const char *name, const float *delta,
                               GError **error)
{
    const W2wArray *array = w2w_weights_peek(weights, name);
    g_autofree char *what = g_strdup_printf("the changed weight \"%s\"", name);
    g_autoptr(GBytes) bytes = NULL;
    W2wArray *changed;
    gsize n;
    float *sum;

    if (array == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The model of %s has no weight \"%s\" that could be changed.",
                    w2w_weights_get_path(weights), name);
        return FALSE;
    }
    n = (gsize)array->n_elements;
    sum = w2w_aligned_alloc(n, sizeof(*sum), what, error);
    if (sum == NULL)
        return FALSE;
    w2w_array_to_f32(array, sum);
    for (gsize i = 0; i < n; i++)
        sum[i] += delta[i];
    bytes = g_bytes_new_with_free_func(sum, n * sizeof(*sum), w2w_aligned_free, sum);
    changed =
        w2w_array_new_view(W2W_DTYPE_F32, array->n_dims, array->shape, NULL, bytes, 0, what, error);
    if (changed == NULL)
        return FALSE;
    g_hash_table_replace(weights->changed, g_strdup(name), changed);
    return TRUE;
}

void w2w_weights_clear_deltas(W2wWeights *weights)
{
    g_hash_table_remove_all(weights->changed);
}

/* --- checks --- */

gboolean w2w_weights_check(const W2wWeights *weights, const W2wConfig *config,
                           const char *const *fields, GError **error)
{
    g_autoptr(GPtrArray) names = w2w_weight_table_get_names(weights->arrays);
    g_autofree char *what = NULL;
    g_autofree char *values = NULL;

    if (weights->error != NULL)
        what = g_strdup(weights->error->message);
    for (guint i = 0; i < names->len && what == NULL; i++) {
        const char *name = g_ptr_array_index(names, i);

        if (!g_hash_table_contains(weights->asked, name))
            what = g_strdup_printf("%s: the model has no place for \"%s\".",
                                   w2w_weights_get_path(weights), name);
    }
    if (what == NULL)
        return TRUE;
    values = w2w_config_describe(config, fields);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s What it should hold follows from %s: %s.",
                what, w2w_config_get_path(config), values);
    return FALSE;
}

static void hash_u64(GChecksum *checksum, guint64 value)
{
    value = GUINT64_TO_LE(value);
    g_checksum_update(checksum, (const guchar *)&value, sizeof(value));
}

/* In row-major order, whatever the strides. */
static void hash_elements(GChecksum *checksum, const W2wArray *array)
{
    const gsize item_size = w2w_dtype_size(array->dtype);
    gint64 index[W2W_ARRAY_MAX_DIMS] = {0}, element = 0;

    if (w2w_array_is_contiguous(array)) {
        if (array->n_elements > 0)
            g_checksum_update(checksum, array->data,
                              (gssize)((gsize)array->n_elements * item_size));
        return;
    }
    for (gint64 i = 0; i < array->n_elements; i++) {
        g_checksum_update(checksum, (const guchar *)array->data + element * (gint64)item_size,
                          (gssize)item_size);
        for (guint d = array->n_dims; d-- > 0;) {
            element += array->stride[d];
            if (++index[d] < array->shape[d])
                break;
            element -= array->stride[d] * array->shape[d];
            index[d] = 0;
        }
    }
}

const char *w2w_weights_get_fingerprint(W2wWeights *weights)
{
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GChecksum) checksum = NULL;

    if (weights->fingerprint != NULL)
        return weights->fingerprint;
    names = w2w_weight_table_get_names(weights->arrays);
    checksum = g_checksum_new(G_CHECKSUM_SHA256);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        const W2wArray *array = g_hash_table_lookup(weights->arrays, name);
        const char *dtype = w2w_dtype_name(array->dtype);

        /* With their final zeros, and counts before lists: no two files read the same. */
        g_checksum_update(checksum, (const guchar *)name, (gssize)strlen(name) + 1);
        g_checksum_update(checksum, (const guchar *)dtype, (gssize)strlen(dtype) + 1);
        hash_u64(checksum, array->n_dims);
        for (guint j = 0; j < array->n_dims; j++)
            hash_u64(checksum, (guint64)array->shape[j]);
        hash_elements(checksum, array);
    }
    weights->fingerprint = g_strdup(g_checksum_get_string(checksum));
    return weights->fingerprint;
}
