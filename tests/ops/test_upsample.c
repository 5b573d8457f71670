/* SPDX-License-Identifier: GPL-3.0-or-later */
/* upsample: twice, and to any other size; it copies, so to the bit. */
#include "tests/ops/op_test.h"

static void check(GRand *random, W2wShape in, gint height, gint width)
{
    g_autofree char *name = g_strdup_printf("upsample %d x %d x %d x %d to %d x %d", in.n, in.h,
                                            in.w, in.c, height, width);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_UPSAMPLE, name);

    test->op.out = (W2wShape){in.n, height, width, in.c};
    w2w_op_case_random_input(test, W2W_SLOT_X, in, random, 0.0, 1.0);
    w2w_op_case_check(test, NULL);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(15);

    check(random, (W2wShape){1, 1, 1, 1}, 1, 1);
    check(random, (W2wShape){2, 8, 8, 64}, 16, 16);
    check(random, (W2wShape){1, 5, 7, 3}, 9, 13);
    for (gint i = 0; i < 40; i++) {
        const W2wShape in = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                             g_rand_int_range(random, 1, 9), g_rand_int_range(random, 1, 50)};

        check(random, in, g_rand_int_range(random, 1, 20), g_rand_int_range(random, 1, 20));
    }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0", W2W_GOLDEN_NCHW, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_UPSAMPLE, "upsample", W2W_GOLDEN_NCHW, build_golden);
}

void w2w_add_tests_upsample(void)
{
    g_test_add_func("/ops/upsample/any-shape", test_any_shape);
    g_test_add_func("/golden/upsample", test_golden);
}
