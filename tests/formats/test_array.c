/* SPDX-License-Identifier: GPL-3.0-or-later */
/* W2wArray: views that stay inside, strides, conversions. */
#include <math.h>
#include <string.h>

#include "engine/array.h"
#include "engine/error.h"
#include "tests/formats/archive_maker.h"

static GBytes *numbers(guint n)
{
    float *values = g_new(float, n);

    for (guint i = 0; i < n; i++)
        values[i] = (float)i;
    return g_bytes_new_take(values, n * sizeof *values);
}

static void test_strides(void)
{
    g_autoptr(GBytes) bytes = numbers(24);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) array = NULL, transposed = NULL, sliced = NULL, broadcast = NULL;
    const gint64 shape[] = {4, 6}, t_shape[] = {6, 4}, t_stride[] = {1, 6};
    const gint64 s_shape[] = {2, 3}, s_stride[] = {6, 2}, b_shape[] = {3, 2}, b_stride[] = {0, 1};
    float out[24];
    double out64[24];

    array = w2w_array_new_view(W2W_DTYPE_F32, 2, shape, NULL, bytes, 0, "x", &error);
    g_assert_no_error(error);
    g_assert_true(w2w_array_is_contiguous(array));
    g_assert_true(w2w_array_has_shape(array, 2, shape));
    g_assert_false(w2w_array_has_shape(array, 2, t_shape));
    transposed = w2w_array_new_view(W2W_DTYPE_F32, 2, t_shape, t_stride, bytes, 0, "x", &error);
    g_assert_no_error(error);
    g_assert_false(w2w_array_is_contiguous(transposed));
    w2w_array_to_f32(transposed, out);
    w2w_array_to_f64(transposed, out64);
    for (gint64 i = 0; i < 24; i++) {
        g_assert_cmpfloat(out[i], ==, i % 4 * 6 + i / 4);
        g_assert_cmpfloat(out64[i], ==, out[i]);
        g_assert_cmpfloat(w2w_array_get(transposed, i), ==, out[i]);
        g_assert_cmpint(w2w_array_get_int(transposed, i), ==, (gint64)out[i]);
    }
    sliced = w2w_array_new_view(W2W_DTYPE_F32, 2, s_shape, s_stride, bytes, 6 * 4, "x", &error);
    g_assert_no_error(error);
    w2w_array_to_f32(sliced, out);
    for (guint i = 0; i < 6; i++)
        g_assert_cmpfloat(out[i], ==, 6 + i / 3 * 6 + i % 3 * 2);
    broadcast = w2w_array_new_view(W2W_DTYPE_F32, 2, b_shape, b_stride, bytes, 0, "x", &error);
    g_assert_no_error(error);
    w2w_array_to_f32(broadcast, out);
    for (guint i = 0; i < 6; i++)
        g_assert_cmpfloat(out[i], ==, i % 2);
}

static void test_outside(void)
{
    static const struct {
        guint n_dims;
        gint64 shape[9], stride[9];
        gsize offset;
        const char *part;
    } cases[] = {
        {2, {4, 7}, {7, 1}, 0, "beyond"},
        {2, {4, 6}, {7, 1}, 0, "beyond"},
        {2, {4, 6}, {6, 1}, 1, "beyond"},
        {1, {1}, {1}, 96, "beyond"},
        {1, {0}, {1}, 97, "beyond"},
        {1, {1}, {1}, G_MAXSIZE, "beyond"},
        {2, {-4, 6}, {6, 1}, 0, "negative"},
        {2, {4, 6}, {-6, 1}, 0, "negative"},
        {2, {G_GINT64_CONSTANT(1) << 40, G_GINT64_CONSTANT(1) << 40}, {1, 1}, 0, "counted"},
        {2, {4, 6}, {G_MAXINT64, 1}, 0, "outside"},
        {2, {2, 2}, {G_MAXINT64, G_MAXINT64}, 0, "outside"},
        {9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1}, 0, "dimensions"},
    };
    g_autoptr(GBytes) bytes = numbers(24);

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(w2w_array_new_view(W2W_DTYPE_F32, cases[i].n_dims, cases[i].shape,
                                         cases[i].stride, bytes, cases[i].offset, "“w” of x.pt",
                                         &error));
        g_assert_nonnull(strstr(error->message, "“w” of x.pt"));
        w2w_assert_refused(&error, W2W_ERROR_FORMAT, cases[i].part);
    }
}

static void test_empty_and_scalar(void)
{
    g_autoptr(GBytes) bytes = numbers(1);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) empty = NULL, scalar = NULL;
    const gint64 shape[] = {0, 4};
    float out = -1.0f;
    g_autofree char *text = NULL, *scalar_text = NULL;

    empty = w2w_array_new_view(W2W_DTYPE_F32, 2, shape, NULL, bytes, 4, "x", &error);
    g_assert_no_error(error);
    g_assert_cmpint(empty->n_elements, ==, 0);
    w2w_array_to_f32(empty, &out);
    g_assert_cmpfloat(out, ==, -1.0f);
    scalar = w2w_array_new_view(W2W_DTYPE_F32, 0, NULL, NULL, bytes, 0, "x", &error);
    g_assert_no_error(error);
    w2w_array_to_f32(scalar, &out);
    g_assert_cmpfloat(out, ==, 0.0f);
    text = w2w_array_shape_to_string(empty);
    g_assert_cmpstr(text, ==, "(0, 4)");
    scalar_text = w2w_array_shape_to_string(scalar);
    g_assert_cmpstr(scalar_text, ==, "()");
}

/* Each dtype, at an odd address. */
static void test_dtypes(void)
{
    static const struct {
        W2wDType dtype;
        guint8 bytes[8];
        double value;
    } cases[] = {
        {W2W_DTYPE_F32, {0, 0, 0x20, 0xc0}, -2.5},
        {W2W_DTYPE_F16, {0, 0xc1}, -2.5},
        {W2W_DTYPE_BF16, {0x20, 0xc0}, -2.5},
        {W2W_DTYPE_F64, {0, 0, 0, 0, 0, 0, 0x04, 0xc0}, -2.5},
        {W2W_DTYPE_I8, {0xfe}, -2},
        {W2W_DTYPE_I16, {0xfe, 0xff}, -2},
        {W2W_DTYPE_I32, {0xfe, 0xff, 0xff, 0xff}, -2},
        {W2W_DTYPE_I64, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -2},
        {W2W_DTYPE_U8, {0xfe}, 254},
        {W2W_DTYPE_BOOL, {2}, 1},
    };
    const gint64 shape[] = {1};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        const gsize size = w2w_dtype_size(cases[i].dtype);
        g_autofree guint8 *odd = g_malloc0(size + 1);
        g_autoptr(GBytes) bytes = NULL;
        g_autoptr(W2wArray) array = NULL;
        g_autoptr(GError) error = NULL;
        float value;

        memcpy(odd + 1, cases[i].bytes, size);
        bytes = g_bytes_new(odd, size + 1);
        array = w2w_array_new_view(cases[i].dtype, 1, shape, NULL, bytes, 1, "x", &error);
        g_assert_no_error(error);
        w2w_array_to_f32(array, &value);
        g_assert_cmpfloat(value, ==, cases[i].value);
        g_assert_cmpfloat(w2w_array_get(array, 0), ==, cases[i].value);
        g_assert_cmpint(w2w_array_get_int(array, 0), ==, (gint64)cases[i].value);
    }
}

static void test_large_integers(void)
{
    const gint64 values[] = {G_MAXINT64, G_MININT64, (G_GINT64_CONSTANT(1) << 53) + 1};
    const double doubles[] = {NAN, INFINITY, -1e300};
    const gint64 shape[] = {3};
    g_autoptr(GBytes) bytes = g_bytes_new(values, sizeof values);
    g_autoptr(GBytes) double_bytes = g_bytes_new(doubles, sizeof doubles);
    g_autoptr(W2wArray) integers =
        w2w_array_new_view(W2W_DTYPE_I64, 1, shape, NULL, bytes, 0, "x", NULL);
    g_autoptr(W2wArray) floats =
        w2w_array_new_view(W2W_DTYPE_F64, 1, shape, NULL, double_bytes, 0, "x", NULL);

    for (guint i = 0; i < 3; i++) {
        g_assert_cmpint(w2w_array_get_int(integers, i), ==, values[i]);
        g_assert_cmpint(w2w_array_get_int(floats, i), ==, 0);
    }
}

/* All 65536 bit patterns: exactly what the format says, and back again. */
static void test_f16(void)
{
    for (guint bits = 0; bits < 0x10000; bits++) {
        const guint exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;
        const float value = w2w_f16_to_f32((guint16)bits);
        double expected =
            exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, (int)exponent - 25);

        if (exponent == 0x1f && mantissa != 0) {
            g_assert_true(isnan(value));
            g_assert_cmphex(w2w_f32_to_f16(value) & 0x7c00, ==, 0x7c00);
            g_assert_cmphex(w2w_f32_to_f16(value) & 0x3ff, !=, 0);
            continue;
        }
        if (exponent == 0x1f)
            expected = INFINITY;
        if ((bits & 0x8000) != 0)
            expected = -expected;
        g_assert_true((double)value == expected && !signbit(value) == !signbit(expected));
        g_assert_cmphex(w2w_f32_to_f16(value), ==, bits);
    }
}

/* Between each two neighbours: the half rounds to the even one, what is beside it to the nearer. */
static void test_f16_rounding(void)
{
    for (guint bits = 0; bits < 0x7c00; bits++) {
        const double low = w2w_f16_to_f32((guint16)bits);
        const double high = bits == 0x7bff ? 65536.0 : w2w_f16_to_f32((guint16)(bits + 1));
        const float half = (float)((low + high) / 2.0);

        g_assert_cmphex(w2w_f32_to_f16(half), ==, bits + (bits & 1));
        g_assert_cmphex(w2w_f32_to_f16(nextafterf(half, 0.0f)), ==, bits);
        g_assert_cmphex(w2w_f32_to_f16(nextafterf(half, INFINITY)), ==, bits + 1);
        g_assert_cmphex(w2w_f32_to_f16(-half), ==, 0x8000 | (bits + (bits & 1)));
    }
    g_assert_cmphex(w2w_f32_to_f16(1e-40f), ==, 0); /* a subnormal float32 */
    g_assert_cmphex(w2w_f32_to_f16(-3e38f), ==, 0xfc00);
}

static void test_bf16(void)
{
    for (guint bits = 0; bits < 0x10000; bits++) {
        const float value = w2w_bf16_to_f32((guint16)bits);
        guint32 back;

        memcpy(&back, &value, sizeof back);
        g_assert_cmphex(back, ==, bits << 16);
    }
}

/* The same of bfloat16, whose bits are the upper half of a float's. */
static void test_bf16_rounding(void)
{
    for (guint bits = 0; bits < 0x7f80; bits++) {
        const guint32 half_bits = bits << 16 | 0x8000;
        float half;

        memcpy(&half, &half_bits, sizeof half);
        g_assert_cmphex(w2w_f32_to_bf16(w2w_bf16_to_f32((guint16)bits)), ==, bits);
        g_assert_cmphex(w2w_f32_to_bf16(half), ==, bits + (bits & 1));
        g_assert_cmphex(w2w_f32_to_bf16(nextafterf(half, 0.0f)), ==, bits);
        g_assert_cmphex(w2w_f32_to_bf16(nextafterf(half, INFINITY)), ==, bits + 1);
        g_assert_cmphex(w2w_f32_to_bf16(-half), ==, 0x8000 | (bits + (bits & 1)));
    }
    g_assert_cmphex(w2w_f32_to_bf16(INFINITY), ==, 0x7f80);
    g_assert_true(isnan(w2w_bf16_to_f32(w2w_f32_to_bf16(NAN))));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/array/strides-choose-elements", test_strides);
    g_test_add_func("/array/outside-is-refused", test_outside);
    g_test_add_func("/array/empty-and-scalar", test_empty_and_scalar);
    g_test_add_func("/array/each-dtype-unaligned", test_dtypes);
    g_test_add_func("/array/integers-are-exact", test_large_integers);
    g_test_add_func("/array/f16-all-patterns", test_f16);
    g_test_add_func("/array/f16-rounds-to-even", test_f16_rounding);
    g_test_add_func("/array/bf16-all-patterns", test_bf16);
    g_test_add_func("/array/bf16-rounds-to-even", test_bf16_rounding);
    return g_test_run();
}
