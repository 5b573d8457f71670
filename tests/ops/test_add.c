/* SPDX-License-Identifier: GPL-3.0-or-later */
/* add: same shapes and both broadcasts, to the bit: one rounding leaves no choice. */
#include "tests/ops/op_test.h"

typedef enum { SAME, PER_IMAGE, FOR_ALL_IMAGES } Form;

static void check(GRand *random, W2wShape first, Form form)
{
    g_autofree char *name =
        g_strdup_printf("add %d x %d x %d x %d, form %d", first.n, first.h, first.w, first.c, form);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_ADD, name);
    W2wShape second = first;

    if (form == PER_IMAGE)
        second.h = second.w = 1;
    if (form == FOR_ALL_IMAGES)
        second.n = 1;
    test->op.out = first;
    w2w_op_case_random_input(test, W2W_SLOT_FIRST, first, random, 0.0, 1.0);
    w2w_op_case_random_input(test, W2W_SLOT_SECOND, second, random, 0.0, 3.0);
    w2w_op_case_check(test, NULL);
}

static void test_any_shape(gconstpointer form)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(13);

    check(random, (W2wShape){1, 1, 1, 1}, GPOINTER_TO_INT(form));
    check(random, (W2wShape){3, 1, 1, 5}, GPOINTER_TO_INT(form));
    check(random, (W2wShape){2, 32, 33, 64}, GPOINTER_TO_INT(form));
    for (gint i = 0; i < 40; i++) {
        const W2wShape first = {g_rand_int_range(random, 1, 4), g_rand_int_range(random, 1, 9),
                                g_rand_int_range(random, 1, 9), g_rand_int_range(random, 1, 70)};

        check(random, first, GPOINTER_TO_INT(form));
    }
}

void w2w_add_tests_add(void)
{
    g_test_add_data_func("/ops/add/same-shape", GINT_TO_POINTER(SAME), test_any_shape);
    g_test_add_data_func("/ops/add/per-image", GINT_TO_POINTER(PER_IMAGE), test_any_shape);
    g_test_add_data_func("/ops/add/for-all-images", GINT_TO_POINTER(FOR_ALL_IMAGES),
                         test_any_shape);
}
