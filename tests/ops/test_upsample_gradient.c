/* SPDX-License-Identifier: GPL-3.0-or-later */
/* upsample_gradient: from twice, from any other size, and from smaller ones, where pixels get 0. */
#include "tests/ops/op_test.h"

static W2wOpCase *new_forward(GRand *random, W2wShape in, gint height, gint width)
{
    g_autofree char *name = g_strdup_printf("upsample_gradient %d x %d x %d x %d to %d x %d", in.n,
                                            in.h, in.w, in.c, height, width);
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_UPSAMPLE, name);

    forward->op.out = (W2wShape){in.n, height, width, in.c};
    w2w_op_case_random_input(forward, W2W_SLOT_X, in, random, 0.0, 1.0);
    return forward;
}

static void check(GRand *random, W2wShape in, gint height, gint width)
{
    g_autoptr(W2wOpCase) forward = new_forward(random, in, height, width);

    w2w_op_case_check_gradient_on_devices(forward, W2W_SLOT_X, random, w2w_op_magnitude_of_sums);
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(46);

    for (gint i = 0; i < 20; i++) {
        const W2wShape in = {g_rand_int_range(random, 1, 3), g_rand_int_range(random, 1, 6),
                             g_rand_int_range(random, 1, 6), g_rand_int_range(random, 1, 5)};
        g_autoptr(W2wOpCase) forward = new_forward(random, in, g_rand_int_range(random, 1, 14),
                                                   g_rand_int_range(random, 1, 14));

        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(47);

    check(random, (W2wShape){1, 1, 1, 1}, 1, 1);
    check(random, (W2wShape){2, 8, 8, 64}, 16, 16);
    check(random, (W2wShape){1, 5, 7, 3}, 9, 13);
    for (gint i = 0; i < 40; i++) {
        const W2wShape in = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                             g_rand_int_range(random, 1, 9), g_rand_int_range(random, 1, 50)};

        check(random, in, g_rand_int_range(random, 1, 20), g_rand_int_range(random, 1, 20));
    }
}

void w2w_add_tests_upsample_gradient(void)
{
    g_test_add_func("/ops/upsample_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/upsample_gradient/any-shape", test_any_shape);
}
