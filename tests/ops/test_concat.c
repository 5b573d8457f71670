/* SPDX-License-Identifier: GPL-3.0-or-later */
/* concat: any two numbers of channels; it copies, so to the bit. */
#include "tests/ops/op_test.h"

static void check(GRand *random, W2wShape rows, gint n_first, gint n_second)
{
    g_autofree char *name =
        g_strdup_printf("concat %d x %d x %d, %d + %d", rows.n, rows.h, rows.w, n_first, n_second);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_CONCAT, name);

    test->op.out = (W2wShape){rows.n, rows.h, rows.w, n_first + n_second};
    w2w_op_case_random_input(test, W2W_SLOT_FIRST, (W2wShape){rows.n, rows.h, rows.w, n_first},
                             random, 0.0, 1.0);
    w2w_op_case_random_input(test, W2W_SLOT_SECOND, (W2wShape){rows.n, rows.h, rows.w, n_second},
                             random, 0.0, 1.0);
    w2w_op_case_check(test, NULL);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(14);

    check(random, (W2wShape){1, 1, 1}, 1, 1);
    check(random, (W2wShape){2, 16, 16}, 64, 32);
    check(random, (W2wShape){3, 3, 5}, 320, 7);
    for (gint i = 0; i < 40; i++) {
        const W2wShape rows = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                               g_rand_int_range(random, 1, 9)};

        check(random, rows, g_rand_int_range(random, 1, 50), g_rand_int_range(random, 1, 50));
    }
}

void w2w_add_tests_concat(void)
{
    g_test_add_func("/ops/concat/any-shape", test_any_shape);
}
