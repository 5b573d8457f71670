/* SPDX-License-Identifier: GPL-3.0-or-later */
/* masked_mse: soft masks and hard ones, none at all, batches, losses of every size. */
#include <math.h>

#include "tests/ops/op_test.h"

/* A sum of squares loses nothing to cancellation: a few roundings of each, and of their sum. */
static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);

    for (gint64 i = 0; i < n; i++)
        magnitude[i] = 4.0 * fabs((double)expected[i]);
}

static void check(GRand *random, W2wShape shape, double deviation, W2wOpMaskKind mask)
{
    g_autoptr(W2wOpCase) test = w2w_op_case_new_masked_mse(random, shape, deviation, mask);

    w2w_op_case_check(test, accumulated);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(54);

    check(random, (W2wShape){1, 1, 1, 1}, 1.0, W2W_OP_MASK_SOFT);
    check(random, (W2wShape){1, 64, 64, 4}, 1.0, W2W_OP_MASK_HARD);
    check(random, (W2wShape){4, 96, 128, 4}, 1.0, W2W_OP_MASK_SOFT);
    check(random, (W2wShape){2, 8, 8, 4}, 1.0, W2W_OP_MASK_NOTHING);
    check(random, (W2wShape){2, 8, 8, 4}, 1e-10, W2W_OP_MASK_SOFT);
    check(random, (W2wShape){2, 8, 8, 4}, 1e10, W2W_OP_MASK_SOFT);
    for (gint i = 0; i < 40; i++) {
        const W2wShape shape = {g_rand_int_range(random, 1, 5), g_rand_int_range(random, 1, 20),
                                g_rand_int_range(random, 1, 20), g_rand_int_range(random, 1, 9)};

        check(random, shape, g_rand_double_range(random, 0.1, 3.0),
              g_rand_int_range(random, 0, W2W_OP_MASK_NOTHING + 1));
    }
}

/* The file has one loss for all images, which is that of an image where there is but one. */
static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    static const char *const names[] = {"in0", "in1", "mask"}; /* by slot */

    for (gint slot = W2W_SLOT_PREDICTION; slot <= W2W_SLOT_MASK; slot++) {
        W2wShape shape;
        float *values = w2w_op_golden_get(entry, names[slot], W2W_GOLDEN_NCHW, &shape);

        w2w_op_case_take_input(test, slot, shape, values);
    }
    g_assert_cmpint(test->op.in[W2W_SLOT_PREDICTION].n, ==, 1);
    test->float32_only = TRUE;
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_MASKED_MSE, "masked_mse", W2W_GOLDEN_ROWS, build_golden);
}

void w2w_add_tests_masked_mse(void)
{
    g_test_add_func("/ops/masked_mse/any-shape", test_any_shape);
    g_test_add_func("/golden/masked_mse", test_golden);
}
