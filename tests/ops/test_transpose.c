/* SPDX-License-Identifier: GPL-3.0-or-later */
/* transpose: any number of rows and columns; it copies, so to the bit. */
#include "tests/ops/op_test.h"

static void check(GRand *random, gint n_rows, gint n_columns)
{
    g_autofree char *name = g_strdup_printf("transpose %d x %d", n_rows, n_columns);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_TRANSPOSE, name);

    test->op.out = (W2wShape){1, 1, n_columns, n_rows};
    test->float32_only = TRUE;
    w2w_op_case_random_input(test, W2W_SLOT_X, (W2wShape){1, 1, n_rows, n_columns}, random, 0.0,
                             1.0);
    w2w_op_case_check(test, NULL);
}

static void check_definition(W2wDevice *device, const char *label, gpointer data)
{
    const W2wOpCase *test = data;
    const gint n_rows = test->op.in[W2W_SLOT_X].w, n_columns = test->op.in[W2W_SLOT_X].c;
    g_autofree float *out = NULL;

    if (!g_str_equal(w2w_device_get_name(device), "reference"))
        return;
    out = w2w_op_case_run(test, device);
    for (gint r = 0; r < n_rows; r++)
        for (gint c = 0; c < n_columns; c++)
            g_assert_cmpfloat(out[c * n_rows + r], ==, test->in[W2W_SLOT_X][r * n_columns + c]);
}

static void test_definition(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(52);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_TRANSPOSE, "transpose");

    test->op.out = (W2wShape){1, 1, 7, 5};
    w2w_op_case_random_input(test, W2W_SLOT_X, (W2wShape){1, 1, 5, 7}, random, 0.0, 1.0);
    w2w_op_test_each_device(check_definition, test);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(53);

    check(random, 1, 1);
    check(random, 1, 1283);
    check(random, 640, 1);
    check(random, 320, 4);
    for (gint i = 0; i < 40; i++)
        check(random, g_rand_int_range(random, 1, 100), g_rand_int_range(random, 1, 100));
}

void w2w_add_tests_transpose(void)
{
    g_test_add_func("/ops/transpose/definition", test_definition);
    g_test_add_func("/ops/transpose/any-shape", test_any_shape);
}
