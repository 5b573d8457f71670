/* SPDX-License-Identifier: GPL-3.0-or-later */
/* geglu on its own: widths that fit no vector, gates of all sizes. */
#include "tests/ops/op_test.h"

#include <math.h>

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);
    const gint c = test->op.out.c;

    for (gint64 i = 0; i < n; i++) {
        const float *u = test->in[W2W_SLOT_X] + i / c * 2 * c + i % c;

        magnitude[i] = fabs((double)*u) * w2w_op_magnitude_of_activation(u[c]);
    }
}

static void check(GRand *random, W2wShape out, double deviation)
{
    g_autofree char *name = g_strdup_printf("geglu %d x %d x %d x %d", out.n, out.h, out.w, out.c);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_GEGLU, name);

    test->op.out = out;
    w2w_op_case_random_input(test, W2W_SLOT_X, (W2wShape){out.n, out.h, out.w, 2 * out.c}, random,
                             0.0, deviation);
    w2w_op_case_check(test, accumulated);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(12);

    check(random, (W2wShape){1, 1, 1, 1}, 1.0);
    check(random, (W2wShape){1, 16, 16, 128}, 2.0);
    check(random, (W2wShape){2, 1, 7, 1283}, 20.0);
    for (gint i = 0; i < 40; i++) {
        const W2wShape out = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                              g_rand_int_range(random, 1, 9), g_rand_int_range(random, 1, 70)};

        check(random, out, g_rand_double_range(random, 0.1, 10.0));
    }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0", W2W_GOLDEN_ROWS, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_GEGLU, "geglu", W2W_GOLDEN_ROWS, build_golden);
}

void w2w_add_tests_geglu(void)
{
    g_test_add_func("/ops/geglu/any-shape", test_any_shape);
    g_test_add_func("/golden/geglu", test_golden);
}
