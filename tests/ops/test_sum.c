/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sum: over pixels and over images, one of each and many. With add, a gradient. */
#include "tests/ops/op_test.h"

static void check(GRand *random, W2wShape in, W2wShape out)
{
    g_autofree char *name = g_strdup_printf("sum %d x %d x %d x %d to %d x %d x %d", in.n, in.h,
                                            in.w, in.c, out.n, out.h, out.w);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_SUM, name);
    const gboolean one = w2w_shape_n_rows(in) == w2w_shape_n_rows(out);

    test->op.out = out;
    test->float32_only = TRUE;
    w2w_op_case_random_input(test, W2W_SLOT_X, in, random, 0.1, 1.0);
    w2w_op_case_check(test, one ? NULL : w2w_op_magnitude_of_sums); /* NULL: it copies */
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(50);

    check(random, (W2wShape){1, 1, 1, 1}, (W2wShape){1, 1, 1, 1});
    check(random, (W2wShape){1, 64, 64, 33}, (W2wShape){1, 1, 1, 33});
    for (gint i = 0; i < 40; i++) {
        const W2wShape in = {g_rand_int_range(random, 1, 5), g_rand_int_range(random, 1, 20),
                             g_rand_int_range(random, 1, 20), g_rand_int_range(random, 1, 90)};

        check(random, in, (W2wShape){in.n, 1, 1, in.c});
        check(random, in, (W2wShape){1, in.h, in.w, in.c});
    }
}

static void test_add(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(51);

    for (gint i = 0; i < 6; i++) {
        g_autoptr(W2wOpCase) forward = w2w_op_case_new(W2W_OP_ADD, "add");
        const W2wShape first = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 5),
                                g_rand_int_range(random, 1, 5), g_rand_int_range(random, 1, 9)};
        const W2wShape second = i % 2 == 0 ? (W2wShape){first.n, 1, 1, first.c}
                                           : (W2wShape){1, first.h, first.w, first.c};

        forward->op.out = first;
        w2w_op_case_random_input(forward, W2W_SLOT_FIRST, first, random, 0.0, 1.0);
        w2w_op_case_random_input(forward, W2W_SLOT_SECOND, second, random, 0.0, 1.0);
        w2w_op_case_check_gradient(forward, W2W_SLOT_SECOND, random);
    }
}

void w2w_add_tests_sum(void)
{
    g_test_add_func("/ops/sum/central-differences", test_add);
    g_test_add_func("/ops/sum/any-shape", test_any_shape);
}
