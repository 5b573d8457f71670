/* SPDX-License-Identifier: GPL-3.0-or-later */
/* layer_norm: widths that fit no vector, means far from 0, hardly any variance. */
#include "tests/ops/op_test.h"

#include <math.h>

typedef struct {
    const char *name;
    gint n, h, w, c;
    float eps;
    double mean, deviation;
    W2wDType dtype;
} LayerNorm;

/* clang-format off */
static const LayerNorm cases[] = {
    {"plain",           3,  1, 11,   48, 1e-5f,     0.0, 2.0},
    {"one-number",      1,  1,  3,    1, 1e-5f,     0.0, 1.0}, /* variance 0 */
    {"three",           2,  3,  3,    3, 1e-5f,     0.0, 1.0},
    {"odd",             3,  5,  7,   61, 1e-5f,     1.0, 2.0},
    {"text",            1,  1, 77,  768, 1e-5f,     0.0, 1.0},
    {"wide",            1,  2,  3, 1283, 1e-5f,     0.0, 1.0},
    {"mean-100",        1,  4,  4,   64, 1e-5f,   100.0, 1.0},
    {"mean-minus-1000", 2,  3,  5,  320, 1e-5f, -1000.0, 1.0},
    {"constant",        1,  3,  3,   40, 1e-5f,     7.3, 0.0},
    {"quiet",           1,  3,  3,   40, 1e-5f,     0.0, 1e-4},
    {"loud",            1,  3,  3,   40, 1e-5f,     0.0, 1e6},
    {"f16",             1,  3,  3,   40, 1e-5f,     0.0, 1.0, W2W_DTYPE_F16},
    {"bf16",            1,  3,  3,   40, 1e-5f,     0.0, 1.0, W2W_DTYPE_BF16},
    {"f64",             1,  3,  3,   40, 1e-5f,     0.0, 1.0, W2W_DTYPE_F64},
};
/* clang-format on */

/* As for group_norm. */
static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n_rows = w2w_shape_n_rows(test->op.out);
    const gint n_channels = test->op.out.c;

    for (gint64 row = 0; row < n_rows; row++) {
        const float *x = test->in[W2W_SLOT_X] + row * n_channels;
        double mean = 0.0, of_mean = 0.0, variance = 0.0;

        for (gint c = 0; c < n_channels; c++) {
            mean += x[c] / (double)n_channels;
            of_mean += fabs((double)x[c]) / n_channels;
        }
        for (gint c = 0; c < n_channels; c++)
            variance += pow(x[c] - mean, 2.0) / n_channels;
        for (gint c = 0; c < n_channels; c++)
            magnitude[row * n_channels + c] =
                (fabs((double)x[c]) + of_mean) / sqrt(variance + test->op.params.layer_norm.eps) *
                    fabs(w2w_array_get(test->op.weight[W2W_WEIGHT], c)) +
                fabs(w2w_array_get(test->op.weight[W2W_BIAS], c));
    }
}

static void check(const LayerNorm *norm, GRand *random)
{
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_LAYER_NORM, norm->name);
    const gint64 shape[] = {norm->c};

    test->op.out = (W2wShape){norm->n, norm->h, norm->w, norm->c};
    test->op.params.layer_norm.eps = norm->eps;
    test->op.weight[W2W_WEIGHT] = w2w_random_array(random, norm->dtype, 1, shape, 1.0, 0.3);
    test->op.weight[W2W_BIAS] = w2w_random_array(random, norm->dtype, 1, shape, 0.0, 0.5);
    w2w_op_case_random_input(test, W2W_SLOT_X, test->op.out, random, norm->mean, norm->deviation);
    w2w_op_case_check(test, accumulated);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(7);

    check(data, random);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(8);

    for (gint i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        LayerNorm norm = {name, .eps = 1e-5f};

        norm.n = g_rand_int_range(random, 1, 4);
        norm.h = g_rand_int_range(random, 1, 6);
        norm.w = g_rand_int_range(random, 1, 20);
        norm.c = g_rand_int_range(random, 1, 200);
        norm.mean = g_rand_double_range(random, -10.0, 10.0);
        norm.deviation = g_rand_double_range(random, 0.01, 5.0);
        norm.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
        check(&norm, random);
    }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0", W2W_GOLDEN_ROWS, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
    test->op.weight[W2W_WEIGHT] = w2w_array_ref(w2w_op_golden_peek(entry, "in1"));
    test->op.weight[W2W_BIAS] = w2w_array_ref(w2w_op_golden_peek(entry, "in2"));
    test->op.params.layer_norm.eps = (float)json_object_get_double_member(entry->params, "eps");
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_LAYER_NORM, "layer_norm", W2W_GOLDEN_ROWS, build_golden);
}

void w2w_add_tests_layer_norm(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/layer_norm/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/layer_norm/any-shape", test_any_shape);
    g_test_add_func("/golden/layer_norm", test_golden);
}
