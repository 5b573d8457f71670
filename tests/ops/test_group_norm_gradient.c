/* SPDX-License-Identifier: GPL-3.0-or-later */
/* group_norm_gradient: group widths that fit no vector, one pixel, with SiLU and a residual. */
#include "tests/ops/op_test.h"

typedef struct {
    const char *name;
    gint n, h, w, c, n_groups;
    float eps;
    double mean, deviation;
    W2wActivation activation;
    gboolean residual;
    W2wDType dtype;
} GroupNorm;

/* clang-format off */
static const GroupNorm cases[] = {
    {"plain",              2,  5,  7,  32,  8, 1e-5f,    1.0, 3.0},
    {"silu",               2,  5,  7,  64, 32, 1e-6f,    1.0, 3.0, W2W_ACTIVATION_SILU},
    {"residual",           2,  5,  7,  32,  8, 1e-5f,    1.0, 3.0, .residual = TRUE},
    {"silu-residual",      2,  5,  7,  64, 32, 1e-6f,    1.0, 3.0, W2W_ACTIVATION_SILU, TRUE},
    {"one-channel-groups", 1,  9, 11,  32, 32, 1e-5f,    0.0, 1.0},
    {"one-group",          1,  6,  5,  27,  1, 1e-5f,    0.0, 1.0},
    {"groups-of-3",        3,  5,  5,  96, 32, 1e-5f,    0.5, 2.0, W2W_ACTIVATION_SILU},
    {"groups-of-10",       1,  8,  8, 320, 32, 1e-5f,    0.0, 1.0, W2W_ACTIVATION_SILU, TRUE},
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

static W2wOpCase *new_forward(const GroupNorm *norm, GRand *random)
{
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_GROUP_NORM, norm->name);
    const gint64 shape[] = {norm->c};

    forward->op.out = (W2wShape){norm->n, norm->h, norm->w, norm->c};
    forward->op.activation = norm->activation;
    forward->op.params.group_norm.n_groups = norm->n_groups;
    forward->op.params.group_norm.eps = norm->eps;
    forward->op.weight[W2W_WEIGHT] = w2w_random_array(random, norm->dtype, 1, shape, 1.0, 0.3);
    forward->op.weight[W2W_BIAS] = w2w_random_array(random, norm->dtype, 1, shape, 0.0, 0.5);
    w2w_op_case_random_input(forward, W2W_SLOT_X, forward->op.out, random, norm->mean,
                             norm->deviation);
    return forward;
}

static void check(const GroupNorm *norm, GRand *random)
{
    g_autoptr(W2wOpCase) forward = new_forward(norm, random);

    w2w_op_case_check_norm_gradient(forward, norm->residual, random);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(63);

    check(data, random);
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(64);

    for (gint i = 0; i < 12; i++) {
        GroupNorm norm = {"central-differences", .eps = 1e-5f};
        g_autoptr(W2wOpCase) forward = NULL;

        norm.n = g_rand_int_range(random, 1, 3);
        norm.h = g_rand_int_range(random, 2, 5);
        norm.w = g_rand_int_range(random, 3, 5);
        norm.n_groups = g_rand_int_range(random, 1, 5);
        norm.c = norm.n_groups * g_rand_int_range(random, 1, 5);
        norm.mean = g_rand_double_range(random, -2.0, 2.0);
        norm.deviation = g_rand_double_range(random, 0.5, 3.0);
        norm.activation = i % 2 == 0 ? W2W_ACTIVATION_SILU : W2W_ACTIVATION_NONE;
        forward = new_forward(&norm, random);
        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(65);

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
        norm.residual = g_rand_boolean(random);
        norm.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
        check(&norm, random);
    }
}

void w2w_add_tests_group_norm_gradient(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/group_norm_gradient/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/group_norm_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/group_norm_gradient/any-shape", test_any_shape);
}
