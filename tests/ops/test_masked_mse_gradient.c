/* SPDX-License-Identifier: GPL-3.0-or-later */
/* masked_mse_gradient: soft masks and hard ones, batches whose losses weigh differently. */
#include <math.h>

#include "tests/ops/op_test.h"

/* Nothing is summed: the roundings of mask², of the difference and of two products. */
static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);

    for (gint64 i = 0; i < n; i++)
        magnitude[i] = 3.0 * fabs((double)expected[i]);
}

static void check(GRand *random, W2wShape shape, double deviation, W2wOpMaskKind mask)
{
    g_autoptr(W2wOpCase) forward = w2w_op_case_new_masked_mse(random, shape, deviation, mask);

    w2w_op_case_check_gradient_on_devices(forward, W2W_SLOT_PREDICTION, random, accumulated);
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(55);

    for (W2wOpMaskKind mask = 0; mask <= W2W_OP_MASK_NOTHING; mask++)
        for (gint n = 1; n <= 3; n++) {
            const W2wShape shape = {n, g_rand_int_range(random, 1, 7),
                                    g_rand_int_range(random, 1, 7), g_rand_int_range(random, 1, 6)};
            g_autoptr(W2wOpCase) forward = w2w_op_case_new_masked_mse(random, shape, 1.0, mask);

            w2w_op_case_check_gradient(forward, W2W_SLOT_PREDICTION, random);
        }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(56);

    check(random, (W2wShape){1, 1, 1, 1}, 1.0, W2W_OP_MASK_SOFT);
    check(random, (W2wShape){1, 64, 64, 4}, 1.0, W2W_OP_MASK_HARD);
    check(random, (W2wShape){2, 8, 8, 4}, 1e10, W2W_OP_MASK_SOFT);
    for (gint i = 0; i < 40; i++) {
        const W2wShape shape = {g_rand_int_range(random, 1, 5), g_rand_int_range(random, 1, 20),
                                g_rand_int_range(random, 1, 20), g_rand_int_range(random, 1, 9)};

        check(random, shape, g_rand_double_range(random, 0.1, 3.0),
              g_rand_int_range(random, 0, W2W_OP_MASK_NOTHING + 1));
    }
}

void w2w_add_tests_masked_mse_gradient(void)
{
    g_test_add_func("/ops/masked_mse_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/masked_mse_gradient/any-shape", test_any_shape);
}
