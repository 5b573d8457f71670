/* SPDX-License-Identifier: GPL-3.0-or-later */
/* columns: any part of any width; it copies, so to the bit. With concat, a gradient. */
#include "tests/ops/op_test.h"

static void check(GRand *random, W2wShape in, gint first, gint n_columns)
{
    g_autofree char *name = g_strdup_printf("columns %d x %d x %d x %d from %d, %d of them", in.n,
                                            in.h, in.w, in.c, first, n_columns);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_COLUMNS, name);

    test->op.out = (W2wShape){in.n, in.h, in.w, n_columns};
    test->op.params.columns.first = first;
    test->float32_only = TRUE;
    w2w_op_case_random_input(test, W2W_SLOT_X, in, random, 0.0, 1.0);
    w2w_op_case_check(test, NULL);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(48);

    check(random, (W2wShape){1, 1, 1, 1}, 0, 1);
    check(random, (W2wShape){2, 16, 16, 96}, 32, 64);
    for (gint i = 0; i < 40; i++) {
        const W2wShape in = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                             g_rand_int_range(random, 1, 9), g_rand_int_range(random, 1, 90)};
        const gint first = g_rand_int_range(random, 0, in.c);

        check(random, in, first, g_rand_int_range(random, 1, in.c - first + 1));
    }
}

static void test_concat(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(49);

    for (gint i = 0; i < 5; i++) {
        g_autoptr(W2wOpCase) forward = w2w_op_case_new(W2W_OP_CONCAT, "concat");
        W2wShape shape = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 4),
                          g_rand_int_range(random, 1, 4), 0};

        forward->op.out = shape;
        for (gint slot = W2W_SLOT_FIRST; slot <= W2W_SLOT_SECOND; slot++) {
            shape.c = g_rand_int_range(random, 1, 9);
            forward->op.out.c += shape.c;
            w2w_op_case_random_input(forward, slot, shape, random, 0.0, 1.0);
        }
        w2w_op_case_check_gradient(forward, W2W_SLOT_FIRST, random);
        w2w_op_case_check_gradient(forward, W2W_SLOT_SECOND, random);
    }
}

void w2w_add_tests_columns(void)
{
    g_test_add_func("/ops/columns/central-differences", test_concat);
    g_test_add_func("/ops/columns/any-shape", test_any_shape);
}
