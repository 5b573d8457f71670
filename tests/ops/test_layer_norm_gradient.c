/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layer_norm_gradient: widths that fit no vector, means far from 0, with and without a residual. */
#include "tests/ops/op_test.h"

typedef struct {
    const char *name;
    gint n, h, w, c;
    float eps;
    double mean, deviation;
    gboolean residual;
    W2wDType dtype;
} LayerNorm;

/* clang-format off */
static const LayerNorm cases[] = {
    {"plain",           3,  1, 11,   48, 1e-5f,     0.0, 2.0},
    {"residual",        3,  1, 11,   48, 1e-5f,     0.0, 2.0, TRUE},
    {"one-number",      1,  1,  3,    1, 1e-5f,     0.0, 1.0}, /* variance 0 */
    {"three",           2,  3,  3,    3, 1e-5f,     0.0, 1.0, TRUE},
    {"odd",             3,  5,  7,   61, 1e-5f,     1.0, 2.0},
    {"wide",            1,  2,  3, 1283, 1e-5f,     0.0, 1.0, TRUE},
    {"mean-100",        1,  4,  4,   64, 1e-5f,   100.0, 1.0},
    {"mean-minus-1000", 2,  3,  5,  320, 1e-5f, -1000.0, 1.0},
    {"constant",        1,  3,  3,   40, 1e-5f,     7.3, 0.0},
    {"quiet",           1,  3,  3,   40, 1e-5f,     0.0, 1e-4, TRUE},
    {"loud",            1,  3,  3,   40, 1e-5f,     0.0, 1e6},
    {"f16",             1,  3,  3,   40, 1e-5f,     0.0, 1.0, .dtype = W2W_DTYPE_F16},
    {"bf16",            1,  3,  3,   40, 1e-5f,     0.0, 1.0, .dtype = W2W_DTYPE_BF16},
    {"f64",             1,  3,  3,   40, 1e-5f,     0.0, 1.0, .dtype = W2W_DTYPE_F64},
};
/* clang-format on */

static W2wOpCase *new_forward(const LayerNorm *norm, GRand *random)
{
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_LAYER_NORM, norm->name);
    const gint64 shape[] = {norm->c};

    forward->op.out = (W2wShape){norm->n, norm->h, norm->w, norm->c};
    forward->op.params.layer_norm.eps = norm->eps;
    forward->op.weight[W2W_WEIGHT] = w2w_random_array(random, norm->dtype, 1, shape, 1.0, 0.3);
    forward->op.weight[W2W_BIAS] = w2w_random_array(random, norm->dtype, 1, shape, 0.0, 0.5);
    w2w_op_case_random_input(forward, W2W_SLOT_X, forward->op.out, random, norm->mean,
                             norm->deviation);
    return forward;
}

static void check(const LayerNorm *norm, GRand *random)
{
    g_autoptr(W2wOpCase) forward = new_forward(norm, random);

    w2w_op_case_check_norm_gradient(forward, norm->residual, random);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(60);

    check(data, random);
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(61);

    for (gint i = 0; i < 6; i++) {
        const LayerNorm norm = {"central-differences",
                                g_rand_int_range(random, 1, 3),
                                g_rand_int_range(random, 1, 4),
                                g_rand_int_range(random, 1, 4),
                                g_rand_int_range(random, 6, 30),
                                1e-5f,
                                g_rand_double_range(random, -2.0, 2.0),
                                g_rand_double_range(random, 0.5, 3.0)};
        g_autoptr(W2wOpCase) forward = new_forward(&norm, random);

        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(62);

    for (gint i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        LayerNorm norm = {name, .eps = 1e-5f};

        norm.n = g_rand_int_range(random, 1, 4);
        norm.h = g_rand_int_range(random, 1, 6);
        norm.w = g_rand_int_range(random, 1, 20);
        norm.c = g_rand_int_range(random, 1, 200);
        norm.mean = g_rand_double_range(random, -10.0, 10.0);
        norm.deviation = g_rand_double_range(random, 0.01, 5.0);
        norm.residual = g_rand_boolean(random);
        norm.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
        check(&norm, random);
    }
}

void w2w_add_tests_layer_norm_gradient(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/layer_norm_gradient/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/layer_norm_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/layer_norm_gradient/any-shape", test_any_shape);
}
