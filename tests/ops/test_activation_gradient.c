/* SPDX-License-Identifier: GPL-3.0-or-later */
/* activation_gradient: every function, over all magnitudes that a float has. */
#include <math.h>

#include "tests/ops/op_test.h"

static const W2wActivation activations[] = {W2W_ACTIVATION_NONE, W2W_ACTIVATION_SILU,
                                            W2W_ACTIVATION_GELU, W2W_ACTIVATION_QUICK_GELU};
static const char *const names[] = {"none", "silu", "gelu", "quick_gelu"};
G_STATIC_ASSERT(G_N_ELEMENTS(names) == G_N_ELEMENTS(activations));

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);

    for (gint64 i = 0; i < n; i++)
        magnitude[i] = fabs((double)test->in[W2W_SLOT_D_OUT][i]) *
                       w2w_op_magnitude_of_slope(test->in[W2W_SLOT_X][i]);
}

/* Takes over `values`. */
static W2wOpCase *new_forward(gsize i, W2wShape shape, float *values)
{
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_ACTIVATION, names[i]);

    forward->op.out = shape;
    forward->op.activation = activations[i];
    w2w_op_case_take_input(forward, W2W_SLOT_X, shape, values);
    return forward;
}

static void check(GRand *random, gsize i, W2wShape shape, float *values)
{
    g_autoptr(W2wOpCase) forward = new_forward(i, shape, values);

    w2w_op_case_check_gradient_on_devices(forward, W2W_SLOT_X, random, accumulated);
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(40);

    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++) {
        const W2wShape shape = {2, 3, 5, 7};
        g_autoptr(W2wOpCase) forward =
            new_forward(i, shape, w2w_random_normal(random, w2w_shape_n_elements(shape), 0.0, 4.0));

        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(41);

    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++)
        for (gint j = 0; j < 25; j++) {
            const W2wShape shape = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                                    g_rand_int_range(random, 1, 9),
                                    g_rand_int_range(random, 1, 70)};

            check(random, i, shape,
                  w2w_random_normal(random, w2w_shape_n_elements(shape), 0.0, 4.0));
        }
}

static void test_every_magnitude(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(42);

    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++) {
        const gint n = 4096;
        float *values = g_new(float, 2 * n + 2);

        for (gint j = 0; j < n; j++) { /* 1e-38 to 1e38 */
            values[2 * j] = (float)pow(10.0, -38.0 + 76.0 * j / (n - 1));
            values[2 * j + 1] = -values[2 * j];
        }
        values[2 * n] = 0.0f;
        values[2 * n + 1] = -0.0f;
        check(random, i, (W2wShape){1, 1, 1, 2 * n + 2}, values);
    }
}

static void test_dense(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(43);

    for (gsize i = 0; i < G_N_ELEMENTS(activations); i++) {
        const gint n = 60000;
        float *values = g_new(float, n);

        for (gint j = 0; j < n; j++)
            values[j] = -120.0f + 240.0f * (float)j / (float)(n - 1);
        check(random, i, (W2wShape){1, 200, 3, 100}, values);
    }
}

void w2w_add_tests_activation_gradient(void)
{
    g_test_add_func("/ops/activation_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/activation_gradient/any-shape", test_any_shape);
    g_test_add_func("/ops/activation_gradient/every-magnitude", test_every_magnitude);
    g_test_add_func("/ops/activation_gradient/dense", test_dense);
}
