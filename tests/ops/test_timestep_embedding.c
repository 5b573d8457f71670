/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * timestep_embedding: both orders, odd widths, timesteps between the whole ones. The angles are
 * rounded as diffusers rounds them, so what is left to differ is a sine's last bits.
 */
#include "tests/ops/op_test.h"

static void accumulated(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);

    for (gint64 i = 0; i < n; i++)
        magnitude[i] = 1.0;
}

static void check(GRand *random, gint n, gint width, gboolean flip, float freq_shift)
{
    g_autofree char *name = g_strdup_printf("timestep_embedding %d x %d, flip %d, shift %g", n,
                                            width, flip, (double)freq_shift);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_TIMESTEP_EMBEDDING, name);
    float *timesteps = g_new(float, n);

    for (gint i = 0; i < n; i++) {
        const double t = g_rand_double_range(random, 0.0, 1000.0);

        timesteps[i] = i % 2 == 0 ? (float)(gint)t : (float)t;
    }
    test->op.out = (W2wShape){n, 1, 1, width};
    test->op.params.timestep_embedding.flip_sin_to_cos = flip;
    test->op.params.timestep_embedding.freq_shift = freq_shift;
    test->op.params.timestep_embedding.max_period = 10000.0f;
    w2w_op_case_take_input(test, W2W_SLOT_X, (W2wShape){n, 1, 1, 1}, timesteps);
    w2w_op_case_check(test, accumulated);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(16);
    const gint widths[] = {2, 3, 4, 32, 33, 320, 1281};

    for (gsize i = 0; i < G_N_ELEMENTS(widths); i++)
        for (gint flip = 0; flip < 2; flip++) {
            check(random, 9, widths[i], flip, 0.0f);
            if (widths[i] >= 4) /* 1 step of the frequencies at least */
                check(random, 9, widths[i], flip, 1.0f);
        }
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    const gint n = (gint)w2w_op_golden_peek(entry, "in")->n_elements;
    W2wShape shape;
    float *timesteps = w2w_op_golden_get(entry, "in", W2W_GOLDEN_ROWS, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, (W2wShape){n, 1, 1, 1}, timesteps);
    test->op.out = (W2wShape){n, 1, 1, test->op.out.c};
    test->op.params.timestep_embedding.flip_sin_to_cos =
        json_object_get_boolean_member(entry->params, "flip_sin_to_cos");
    test->op.params.timestep_embedding.freq_shift =
        (float)json_object_get_double_member(entry->params, "downscale_freq_shift");
    test->op.params.timestep_embedding.max_period = 10000.0f; /* diffusers' own default */
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_TIMESTEP_EMBEDDING, "timestep_embedding", W2W_GOLDEN_ROWS,
                        build_golden);
}

void w2w_add_tests_timestep_embedding(void)
{
    g_test_add_func("/ops/timestep_embedding/any-shape", test_any_shape);
    g_test_add_func("/golden/timestep_embedding", test_golden);
}
