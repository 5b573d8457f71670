/* SPDX-License-Identifier: GPL-3.0-or-later */
/* geglu_gradient: widths that fit no vector, gates of all sizes. */
#include <math.h>

#include "tests/ops/op_test.h"

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n_rows = w2w_shape_n_rows(test->op.out);
    const gint c = test->op.out.c / 2;

    for (gint64 i = 0; i < n_rows * c; i++) {
        const gint64 u = i / c * 2 * c + i % c;
        const float *x = test->in[W2W_SLOT_X];
        const double d_out = fabs((double)test->in[W2W_SLOT_D_OUT][i]);

        magnitude[u] = d_out * w2w_op_magnitude_of_activation(x[u + c]);
        magnitude[u + c] = d_out * fabs((double)x[u]) * w2w_op_magnitude_of_slope(x[u + c]);
    }
}

static W2wOpCase *new_forward(GRand *random, W2wShape out, double deviation)
{
    g_autofree char *name =
        g_strdup_printf("geglu_gradient %d x %d x %d x %d", out.n, out.h, out.w, out.c);
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_GEGLU, name);

    forward->op.out = out;
    w2w_op_case_random_input(forward, W2W_SLOT_X, (W2wShape){out.n, out.h, out.w, 2 * out.c},
                             random, 0.0, deviation);
    return forward;
}

static void check(GRand *random, W2wShape out, double deviation)
{
    g_autoptr(W2wOpCase) forward = new_forward(random, out, deviation);

    w2w_op_case_check_gradient_on_devices(forward, W2W_SLOT_X, random, accumulated);
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(44);

    for (gint i = 0; i < 6; i++) {
        const W2wShape out = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 4),
                              g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 12)};
        g_autoptr(W2wOpCase) forward =
            new_forward(random, out, g_rand_double_range(random, 0.3, 4.0));

        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(45);

    check(random, (W2wShape){1, 1, 1, 1}, 1.0);
    check(random, (W2wShape){1, 16, 16, 128}, 2.0);
    check(random, (W2wShape){2, 1, 7, 1283}, 20.0);
    for (gint i = 0; i < 40; i++) {
        const W2wShape out = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                              g_rand_int_range(random, 1, 9), g_rand_int_range(random, 1, 70)};

        check(random, out, g_rand_double_range(random, 0.1, 10.0));
    }
}

void w2w_add_tests_geglu_gradient(void)
{
    g_test_add_func("/ops/geglu_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/geglu_gradient/any-shape", test_any_shape);
}
