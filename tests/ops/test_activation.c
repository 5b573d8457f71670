/* SPDX-License-Identifier: GPL-3.0-or-later */
/* activation: every function, over all magnitudes that a float has. */
#include "tests/ops/op_test.h"

#include <math.h>

static const W2wActivation activations[] = {W2W_ACTIVATION_NONE, W2W_ACTIVATION_SILU,
                                            W2W_ACTIVATION_GELU, W2W_ACTIVATION_QUICK_GELU};
static const char *const names[] = {"none", "silu", "gelu", "quick_gelu"};
G_STATIC_ASSERT(G_N_ELEMENTS(names) == G_N_ELEMENTS(activations));

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);

    for (gint64 i = 0; i < n; i++)
        magnitude[i] = w2w_op_magnitude_of_activation(test->in[W2W_SLOT_X][i]);
}

static void check(const char *name, W2wActivation activation, W2wShape shape, float *values)
{
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_ACTIVATION, name);

    test->op.out = shape;
    test->op.activation = activation;
    w2w_op_case_take_input(test, W2W_SLOT_X, shape, values);
    w2w_op_case_check(test, accumulated);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(11);

    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++)
        for (gint j = 0; j < 25; j++) {
            const W2wShape shape = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                                    g_rand_int_range(random, 1, 9),
                                    g_rand_int_range(random, 1, 70)};

            check(names[i], activations[i], shape,
                  w2w_random_normal(random, w2w_shape_n_elements(shape), 0.0, 4.0));
        }
}

static void test_every_magnitude(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++) {
        const gint n = 4096;
        float *values = g_new(float, 2 * n + 2);

        for (gint j = 0; j < n; j++) { /* 1e-38 to 1e38 */
            values[2 * j] = (float)pow(10.0, -38.0 + 76.0 * j / (n - 1));
            values[2 * j + 1] = -values[2 * j];
        }
        values[2 * n] = 0.0f;
        values[2 * n + 1] = -0.0f;
        check(names[i], activations[i], (W2wShape){1, 1, 1, 2 * n + 2}, values);
    }
}

static void test_dense(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++) {
        const gint n = 60000;
        float *values = g_new(float, n);

        for (gint j = 0; j < n; j++)
            values[j] = -120.0f + 240.0f * (float)j / (float)(n - 1);
        check(names[i], activations[i], (W2wShape){1, 200, 3, 100}, values);
    }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0", W2W_GOLDEN_ROWS, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++)
        if (g_str_equal(entry->name, names[i]))
            test->op.activation = activations[i];
    g_assert_cmpint(test->op.activation, !=, W2W_ACTIVATION_NONE);
}

static void test_golden(void)
{
    for (gsize i = 1; i < G_N_ELEMENTS(names); i++)
        w2w_op_golden_check(W2W_OP_ACTIVATION, names[i], W2W_GOLDEN_ROWS, build_golden);
}

void w2w_add_tests_activation(void)
{
    g_test_add_func("/ops/activation/any-shape", test_any_shape);
    g_test_add_func("/ops/activation/every-magnitude", test_every_magnitude);
    g_test_add_func("/ops/activation/dense", test_dense);
    g_test_add_func("/golden/activation", test_golden);
}
