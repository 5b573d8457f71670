/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lora_gradient: any rank, widths that fit no vector, one row and many, several images. */
#include "tests/ops/op_test.h"

typedef struct {
    const char *name;
    gint n, h, w, n_in, n_out, rank;
    float scale;
} Lora;

static const Lora cases[] = {
    {"rank-1", 2, 6, 6, 48, 40, 1, 27.0f},
    {"rank-1-text", 1, 1, 77, 48, 192, 1, 27.0f},
    {"rank-1-one-row", 1, 1, 1, 24, 24, 1, 27.0f},
    {"rank-1-one-number", 1, 1, 1, 1, 1, 1, 2.0f},
    {"rank-1-many-rows", 3, 37, 29, 32, 64, 1, 27.0f},
    {"rank-1-deep", 1, 1, 5, 2579, 31, 1, 1.0f},
    {"rank-1-broad", 1, 1, 7, 24, 1031, 1, 1.0f},
    {"rank-1-odd", 3, 5, 7, 31, 45, 1, 0.5f},
    {"rank-2", 1, 5, 7, 32, 48, 2, 1.0f},
    {"rank-4", 2, 5, 5, 40, 56, 4, 0.25f},
    {"rank-17", 1, 5, 5, 19, 23, 17, -1.5f},
    {"rank-64", 1, 3, 5, 72, 72, 64, 1.0f},
    {"rank-above-width", 1, 3, 5, 7, 5, 11, 1.0f},
};

static W2wOpCase *new_forward(const Lora *lora, GRand *random)
{
    const gint64 shape[] = {lora->n_out, lora->n_in};
    W2wOpCase *forward = w2w_op_case_new(W2W_OP_LINEAR, lora->name);

    forward->op.out = (W2wShape){lora->n, lora->h, lora->w, lora->n_out};
    forward->op.params.linear.lora_scale = lora->scale;
    forward->op.weight[W2W_WEIGHT] = w2w_random_array(random, W2W_DTYPE_F32, 2, shape, 0.0, 0.3);
    w2w_op_case_random_input(forward, W2W_SLOT_X, (W2wShape){lora->n, lora->h, lora->w, lora->n_in},
                             random, 0.1, 1.0);
    w2w_op_case_random_input(forward, W2W_SLOT_LORA_A, (W2wShape){1, 1, lora->rank, lora->n_in},
                             random, 0.0, 0.3);
    w2w_op_case_random_input(forward, W2W_SLOT_LORA_B, (W2wShape){1, 1, lora->n_out, lora->rank},
                             random, 0.0, 0.1);
    return forward;
}

static void check(const Lora *lora, GRand *random)
{
    g_autoptr(W2wOpCase) forward = new_forward(lora, random);

    w2w_op_case_check_gradient_on_devices(forward, W2W_SLOT_LORA_A, random,
                                          w2w_op_magnitude_of_sums);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(57);

    check(data, random);
}

/* The whole of it: of A and of B. */
static void test_central_differences(void)
{
    static const gint ranks[] = {1, 1, 2, 3, 5};
    g_autoptr(GRand) random = g_rand_new_with_seed(58);

    for (gsize i = 0; i < G_N_ELEMENTS(ranks); i++) {
        const Lora lora = {"central-differences",
                           g_rand_int_range(random, 1, 4),
                           g_rand_int_range(random, 1, 4),
                           g_rand_int_range(random, 1, 4),
                           g_rand_int_range(random, 1, 9),
                           g_rand_int_range(random, 1, 9),
                           ranks[i],
                           (float)(i + 1) * 0.7f};
        g_autoptr(W2wOpCase) forward = new_forward(&lora, random);

        w2w_op_case_check_gradient(forward, W2W_SLOT_LORA_A, random);
        w2w_op_case_check_gradient(forward, W2W_SLOT_LORA_B, random);
    }
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(59);

    for (gint i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        const Lora lora = {name,
                           g_rand_int_range(random, 1, 4),
                           g_rand_int_range(random, 1, 9),
                           g_rand_int_range(random, 1, 20),
                           g_rand_int_range(random, 1, 90),
                           g_rand_int_range(random, 1, 90),
                           g_rand_boolean(random) ? 1 : g_rand_int_range(random, 1, 9),
                           (float)g_rand_double_range(random, -3.0, 30.0)};

        check(&lora, random);
    }
}

void w2w_add_tests_lora_gradient(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/lora_gradient/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/lora_gradient/central-differences", test_central_differences);
    g_test_add_func("/ops/lora_gradient/any-shape", test_any_shape);
}
