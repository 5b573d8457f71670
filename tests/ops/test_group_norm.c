/* SPDX-License-Identifier: GPL-3.0-or-later */
/* group_norm: group widths that fit no vector, one pixel, means far from 0, hardly any variance. */
#include "tests/ops/op_test.h"

#include <math.h>

typedef struct {
    const char *name;
    gint n, h, w, c, n_groups;
    float eps;
    double mean, deviation;
    W2wActivation activation;
    W2wDType dtype;
} GroupNorm;

/* clang-format off */
static const GroupNorm cases[] = {
    {"plain",              2,  5,  7,  32,  8, 1e-5f,    1.0, 3.0},
    {"silu",               2,  5,  7,  64, 32, 1e-6f,    1.0, 3.0, W2W_ACTIVATION_SILU},
    {"one-channel-groups", 1,  9, 11,  32, 32, 1e-5f,    0.0, 1.0},
    {"one-group",          1,  6,  5,  27,  1, 1e-5f,    0.0, 1.0},
    {"groups-of-3",        3,  5,  5,  96, 32, 1e-5f,    0.5, 2.0, W2W_ACTIVATION_SILU},
    {"groups-of-10",       1,  8,  8, 320, 32, 1e-5f,    0.0, 1.0, W2W_ACTIVATION_SILU},
    {"groups-of-13",       1,  3,  4,  26,  2, 1e-5f,    0.0, 1.0},
    {"one-pixel",          2,  1,  1,  64, 32, 1e-5f,    0.0, 1.0},
    {"one-number",         1,  1,  1,   4,  4, 1e-5f,    3.0, 1.0}, /* variance 0 */
    {"many-pixels",        1, 67, 61,  32, 32, 1e-6f,   -2.0, 1.0, W2W_ACTIVATION_SILU},
    {"batch-3",            3, 13,  3,  40,  8, 1e-5f,    0.0, 1.0},
    {"mean-100",           1, 16, 16,  64, 32, 1e-5f,  100.0, 1.0, W2W_ACTIVATION_SILU},
    {"mean-minus-1000",    2,  9,  7,  64, 16, 1e-6f, -1000., 1.0},
    {"constant",           1,  8,  8,  32, 32, 1e-5f,    7.3, 0.0},
    {"quiet",              1,  8,  8,  32, 32, 1e-5f,    0.0, 1e-4},
    {"loud",               1,  8,  8,  32, 32, 1e-5f,    0.0, 1e6},
    {"f16",                1,  8,  8,  48, 16, 1e-5f,    0.0, 1.0, .dtype = W2W_DTYPE_F16},
    {"bf16",               1,  8,  8,  48, 16, 1e-5f,    0.0, 1.0, .dtype = W2W_DTYPE_BF16},
    {"f64",                1,  8,  8,  48, 16, 1e-5f,    0.0, 1.0, .dtype = W2W_DTYPE_F64},
};
/* clang-format on */

/*
 * (x − mean) · scale · w + b: the difference is off by the roundings of x and of the mean, the
 * mean by those of what was summed.
 */
static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const W2wShape out = test->op.out;
    const gint width = out.c / test->op.params.group_norm.n_groups;
    const gint64 n_pixels = (gint64)out.h * out.w;
    const double count = (double)n_pixels * width;

    for (gint n = 0; n < out.n; n++)
        for (gint first = 0; first < out.c; first += width) {
            const float *x = test->in[W2W_SLOT_X] + n * n_pixels * out.c + first;
            double *m = magnitude + n * n_pixels * out.c + first;
            double mean = 0.0, of_mean = 0.0, variance = 0.0;

            for (gint64 i = 0; i < n_pixels; i++)
                for (gint c = 0; c < width; c++) {
                    mean += x[i * out.c + c] / count;
                    of_mean += fabs((double)x[i * out.c + c]) / count;
                }
            for (gint64 i = 0; i < n_pixels; i++)
                for (gint c = 0; c < width; c++)
                    variance += pow(x[i * out.c + c] - mean, 2.0) / count;
            for (gint64 i = 0; i < n_pixels; i++)
                for (gint c = 0; c < width; c++)
                    m[i * out.c + c] =
                        (fabs((double)x[i * out.c + c]) + of_mean) /
                            sqrt(variance + test->op.params.group_norm.eps) *
                            fabs(w2w_array_get(test->op.weight[W2W_WEIGHT], first + c)) +
                        fabs(w2w_array_get(test->op.weight[W2W_BIAS], first + c));
        }
}

static void check(const GroupNorm *norm, GRand *random)
{
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_GROUP_NORM, norm->name);
    const gint64 shape[] = {norm->c};

    test->op.out = (W2wShape){norm->n, norm->h, norm->w, norm->c};
    test->op.activation = norm->activation;
    test->op.params.group_norm.n_groups = norm->n_groups;
    test->op.params.group_norm.eps = norm->eps;
    test->op.weight[W2W_WEIGHT] = w2w_random_array(random, norm->dtype, 1, shape, 1.0, 0.3);
    test->op.weight[W2W_BIAS] = w2w_random_array(random, norm->dtype, 1, shape, 0.0, 0.5);
    w2w_op_case_random_input(test, W2W_SLOT_X, test->op.out, random, norm->mean, norm->deviation);
    w2w_op_case_check(test, accumulated);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(5);

    check(data, random);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(6);

    for (gint i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        GroupNorm norm = {name, .eps = 1e-5f};

        norm.n = g_rand_int_range(random, 1, 4);
        norm.h = g_rand_int_range(random, 1, 20);
        norm.w = g_rand_int_range(random, 1, 20);
        norm.n_groups = g_rand_int_range(random, 1, 33);
        norm.c = norm.n_groups * g_rand_int_range(random, 1, 12);
        norm.mean = g_rand_double_range(random, -10.0, 10.0);
        norm.deviation = g_rand_double_range(random, 0.01, 5.0);
        norm.activation = g_rand_boolean(random) ? W2W_ACTIVATION_SILU : W2W_ACTIVATION_NONE;
        norm.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
        check(&norm, random);
    }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0", W2W_GOLDEN_NCHW, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
    test->op.weight[W2W_WEIGHT] = w2w_array_ref(w2w_op_golden_peek(entry, "in1"));
    test->op.weight[W2W_BIAS] = w2w_array_ref(w2w_op_golden_peek(entry, "in2"));
    test->op.params.group_norm.n_groups = (gint)json_object_get_int_member(entry->params, "groups");
    test->op.params.group_norm.eps = (float)json_object_get_double_member(entry->params, "eps");
    if (g_str_has_suffix(entry->name, "_silu"))
        test->op.activation = W2W_ACTIVATION_SILU;
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_GROUP_NORM, "group_norm", W2W_GOLDEN_NCHW, build_golden);
}

void w2w_add_tests_group_norm(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/group_norm/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/group_norm/any-shape", test_any_shape);
    g_test_add_func("/golden/group_norm", test_golden);
}
