/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checked views into files: no element of a W2wArray can lie outside of its owner. */
#include "engine/array.h"

#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"

static const struct {
    const char *name;
    gsize size;
} dtypes[] = {
    [W2W_DTYPE_F32] = {"F32", 4},   [W2W_DTYPE_F16] = {"F16", 2}, [W2W_DTYPE_BF16] = {"BF16", 2},
    [W2W_DTYPE_F64] = {"F64", 8},   [W2W_DTYPE_I8] = {"I8", 1},   [W2W_DTYPE_I16] = {"I16", 2},
    [W2W_DTYPE_I32] = {"I32", 4},   [W2W_DTYPE_I64] = {"I64", 8}, [W2W_DTYPE_U8] = {"U8", 1},
    [W2W_DTYPE_BOOL] = {"BOOL", 1},
};

gsize w2w_dtype_size(W2wDType dtype)
{
    return dtypes[dtype].size;
}

const char *w2w_dtype_name(W2wDType dtype)
{
    return dtypes[dtype].name;
}

gboolean w2w_dtype_is_float(W2wDType dtype)
{
    return dtype <= W2W_DTYPE_F64;
}

W2wArray *w2w_array_new_view(W2wDType dtype, guint n_dims, const gint64 *shape,
                             const gint64 *stride, GBytes *owner, gsize offset, const char *what,
                             GError **error)
{
    g_autoptr(W2wArray) array = g_new0(W2wArray, 1);
    const gsize item_size = w2w_dtype_size(dtype);
    gsize n_bytes;
    const char *bytes = g_bytes_get_data(owner, &n_bytes);
    gint64 n_elements = 1, last = 0; /* last: element offset of the farthest element */

    g_atomic_ref_count_init(&array->ref_count);
    array->dtype = dtype;
    array->n_dims = n_dims;
    if (n_dims > W2W_ARRAY_MAX_DIMS) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s has %u dimensions; at most %d are supported.", what, n_dims,
                    W2W_ARRAY_MAX_DIMS);
        return NULL;
    }
    for (guint i = n_dims; i-- > 0;) {
        if (shape[i] < 0 || (stride != NULL && stride[i] < 0)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s has a negative size or stride in dimension %u.", what, i);
            return NULL;
        }
        array->shape[i] = shape[i];
        array->stride[i] = stride != NULL ? stride[i] : n_elements;
        if (__builtin_mul_overflow(n_elements, shape[i], &n_elements)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s claims more elements than can be counted.", what);
            return NULL;
        }
    }
    array->n_elements = n_elements;
    for (guint i = 0; i < n_dims && n_elements > 0; i++) {
        gint64 step;

        if (__builtin_mul_overflow(array->shape[i] - 1, array->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s has a stride that leads outside of its data.", what);
            return NULL;
        }
    }
    if (offset > n_bytes || (n_elements > 0 && (guint64)last >= (n_bytes - offset) / item_size)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s needs data beyond the %" G_GSIZE_FORMAT " bytes that are there.", what,
                    n_bytes);
        return NULL;
    }
    array->data = bytes + offset;
    array->owner = g_bytes_ref(owner);
    return g_steal_pointer(&array);
}

W2wArray *w2w_array_new_f32(guint n_dims, const gint64 *shape, const float *values, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    gsize n = 1;
    float *copy;

    for (guint i = 0; i < n_dims; i++)
        n *= (gsize)shape[i];
    copy = w2w_try_malloc(n, sizeof(float), "an array", error);
    if (copy == NULL)
        return NULL;
    if (n > 0)
        memcpy(copy, values, n * sizeof(float));
    bytes = g_bytes_new_take(copy, n * sizeof(float));
    return w2w_array_new_view(W2W_DTYPE_F32, n_dims, shape, NULL, bytes, 0, "An array", error);
}

W2wArray *w2w_array_transpose(const W2wArray *array)
{
    W2wArray *transposed;

    g_return_val_if_fail(array->n_dims == 2, NULL);
    transposed = g_new(W2wArray, 1);
    *transposed = *array;
    g_atomic_ref_count_init(&transposed->ref_count);
    transposed->owner = g_bytes_ref(array->owner);
    for (guint d = 0; d < 2; d++) {
        transposed->shape[d] = array->shape[1 - d];
        transposed->stride[d] = array->stride[1 - d];
    }
    return transposed;
}

W2wArray *w2w_array_ref(W2wArray *array)
{
    g_atomic_ref_count_inc(&array->ref_count);
    return array;
}

void w2w_array_unref(W2wArray *array)
{
    if (array != NULL && g_atomic_ref_count_dec(&array->ref_count)) {
        g_clear_pointer(&array->owner, g_bytes_unref);
        g_free(array);
    }
}

gboolean w2w_array_is_contiguous(const W2wArray *array)
{
    gint64 expected = 1;

    for (guint i = array->n_dims; i-- > 0;) {
        if (array->shape[i] != 1 && array->stride[i] != expected)
            return FALSE;
        expected *= array->shape[i];
    }
    return TRUE;
}

/* data may be unaligned: a safetensors file gives no promise. memcpy() of a constant size is one
 * load. */
#define LOAD(type, element)                                                                        \
    ({                                                                                             \
        type value_;                                                                               \
        memcpy(&value_, (const char *)array->data + (element) * (gint64)sizeof(type),              \
               sizeof(type));                                                                      \
        value_;                                                                                    \
    })

static inline double load(const W2wArray *array, gint64 element)
{
    switch (array->dtype) {
    case W2W_DTYPE_F32:
        return LOAD(float, element);
    case W2W_DTYPE_F16:
        return w2w_f16_to_f32(LOAD(guint16, element));
    case W2W_DTYPE_BF16:
        return w2w_bf16_to_f32(LOAD(guint16, element));
    case W2W_DTYPE_F64:
        return LOAD(double, element);
    case W2W_DTYPE_I8:
        return LOAD(gint8, element);
    case W2W_DTYPE_I16:
        return LOAD(gint16, element);
    case W2W_DTYPE_I32:
        return LOAD(gint32, element);
    case W2W_DTYPE_I64:
        return (double)LOAD(gint64, element);
    case W2W_DTYPE_U8:
        return LOAD(guint8, element);
    case W2W_DTYPE_BOOL:
        return LOAD(guint8, element) != 0;
    }
    g_return_val_if_reached(0.0);
}

static gint64 element_offset(const W2wArray *array, gint64 i)
{
    gint64 element = 0;

    for (guint d = array->n_dims; d-- > 0;) {
        element += i % array->shape[d] * array->stride[d];
        i /= array->shape[d];
    }
    return element;
}

double w2w_array_get(const W2wArray *array, gint64 i)
{
    return load(array, element_offset(array, i));
}

gint64 w2w_array_get_int(const W2wArray *array, gint64 i)
{
    const gint64 element = element_offset(array, i);
    double value;

    if (array->dtype == W2W_DTYPE_I64)
        return LOAD(gint64, element);
    value = load(array, element);
    return value > -0x1p63 && value < 0x1p63 ? (gint64)value : 0;
}

/*
 * Walks the array row by row along its last dimension; `row` is called with the element
 * offset of the row's start. Keeps the odometer in one place for both output types.
 */
#define FOR_EACH_ROW(array, element)                                                               \
    for (gint64 index_[W2W_ARRAY_MAX_DIMS] = {0}, element = 0, more_ = (array)->n_elements > 0;    \
         more_; more_ = next_row((array), index_, &element))

static gboolean next_row(const W2wArray *array, gint64 *index, gint64 *element)
{
    for (guint d = array->n_dims > 0 ? array->n_dims - 1 : 0; d-- > 0;) {
        *element += array->stride[d];
        if (++index[d] < array->shape[d])
            return TRUE;
        *element -= array->stride[d] * array->shape[d];
        index[d] = 0;
    }
    return FALSE;
}

#define CONVERT(type)                                                                              \
    do {                                                                                           \
        const guint last = array->n_dims - 1;                                                      \
        const gint64 length = array->n_dims > 0 ? array->shape[last] : 1;                          \
        const gint64 step = array->n_dims > 0 ? array->stride[last] : 1;                           \
        FOR_EACH_ROW(array, element)                                                               \
        {                                                                                          \
            if (array->dtype == W2W_DTYPE_F32)                                                     \
                for (gint64 i = 0; i < length; i++)                                                \
                    *out++ = (type)LOAD(float, element + i * step);                                \
            else if (array->dtype == W2W_DTYPE_F16)                                                \
                for (gint64 i = 0; i < length; i++)                                                \
                    *out++ = (type)w2w_f16_to_f32(LOAD(guint16, element + i * step));              \
            else                                                                                   \
                for (gint64 i = 0; i < length; i++)                                                \
                    *out++ = (type)load(array, element + i * step);                                \
        }                                                                                          \
    } while (0)

void w2w_array_to_f32(const W2wArray *array, float *out)
{
    CONVERT(float);
}

void w2w_array_to_f64(const W2wArray *array, double *out)
{
    CONVERT(double);
}

gboolean w2w_array_has_shape(const W2wArray *array, guint n_dims, const gint64 *shape)
{
    return array->n_dims == n_dims &&
           (n_dims == 0 || memcmp(array->shape, shape, n_dims * sizeof *shape) == 0);
}

char *w2w_array_shape_to_string(const W2wArray *array)
{
    GString *string = g_string_new("(");

    for (guint i = 0; i < array->n_dims; i++)
        g_string_append_printf(string, "%s%" G_GINT64_FORMAT, i > 0 ? ", " : "", array->shape[i]);
    g_string_append_c(string, ')');
    return g_string_free(string, FALSE);
}

float w2w_f16_to_f32(guint16 bits)
{
    const guint32 sign = (guint32)(bits & 0x8000u) << 16;
    const guint32 exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
    guint32 result;
    float value;

    if (exponent == 0) { /* zero and subnormals: mantissa * 2^-24 is exact in float32 */
        value = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -value : value;
    }
    result = exponent == 0x1f ? sign | 0x7f800000u | (mantissa << 13)
                              : sign | ((exponent + 112) << 23) | (mantissa << 13);
    memcpy(&value, &result, sizeof value);
    return value;
}

float w2w_bf16_to_f32(guint16 bits)
{
    const guint32 result = (guint32)bits << 16;
    float value;

    memcpy(&value, &result, sizeof value);
    return value;
}

guint16 w2w_f32_to_f16(float value)
{
    guint32 bits;
    guint32 sign, magnitude;

    memcpy(&bits, &value, sizeof bits);
    sign = (bits >> 16) & 0x8000u;
    magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) /* NaN stays one */
        return (guint16)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* rounds to 65536 or more */
        return (guint16)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) { /* subnormal: let the FPU round, in units of 2^-24 */
        float scaled;

        memcpy(&scaled, &magnitude, sizeof scaled);
        scaled = scaled * 0x1p24f + 0x1p23f; /* the mantissa's last bit is now worth 1 */
        memcpy(&magnitude, &scaled, sizeof magnitude);
        return (guint16)(sign | (magnitude - 0x4b000000u));
    }
    magnitude += 0xfffu + ((magnitude >> 13) & 1u); /* to nearest, ties to even */
    return (guint16)(sign | ((magnitude - 0x38000000u) >> 13));
}

guint16 w2w_f32_to_bf16(float value)
{
    guint32 bits;

    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) /* NaN stays one */
        return (guint16)(bits >> 16 | 0x40u);
    return (guint16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16); /* to nearest, ties to even */
}

void w2w_transpose_f32(const float *in, gint64 n, gint64 n_rows, gint64 n_columns, float *out)
{
    for (gint64 i = 0; i < n; i++, in += n_rows * n_columns, out += n_rows * n_columns)
        for (gint64 row = 0; row < n_rows; row++)
            for (gint64 column = 0; column < n_columns; column++)
                out[column * n_rows + row] = in[row * n_columns + column];
}
