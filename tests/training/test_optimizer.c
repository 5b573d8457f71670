/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Adam, AdamW and clipping against torch's own numbers (make_optimizer_cases.py prints the tables).
 * They may differ in the last bit of a sum or product, which torch may fuse: hence the tolerance.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/training/optimizer.h"

#define N_PARAMETERS 6
#define N_STEPS      3

/* A few roundings of float32 at the size of the numbers. */
#define TOLERANCE (4.0 * 1.2e-7)

static const float initial[N_PARAMETERS] = {-1.125f, 0.25f, 0.0f, 1.5f, -0.03125f, 2.0f};
static const float gradients[N_STEPS][N_PARAMETERS] = {
    {0.5f, -0.0078125f, 3.0f, 1e-5f, 0.0f, -40.0f},
    {-0.25f, 0.5f, 2.0f, -2e-5f, 0.125f, 60.0f},
    {1.0f, 0.0625f, -1.0f, 3e-5f, -0.5f, -7.0f},
};

static const struct {
    W2wAdamOptions options; /* betas: torch's defaults */
    float parameters[N_STEPS][N_PARAMETERS];
} cases[] = {
    {{.lr = 0.001, .weight_decay = 0.01, .eps = 1e-08, .decoupled = TRUE},
     {
         {-1.12598884f, 0.250997484f, -0.000999999931f, 1.49898601f, -0.0312496871f, 2.0009799f},
         {-1.12624383f, 0.250261396f, -0.00197034213f, 1.49933684f, -0.0319935121f, 2.00071216f},
         {-1.12689066f, 0.249616951f, -0.00252221432f, 1.49897873f, -0.0315128788f, 2.00056338f},
     }},
    {{.lr = 0.0001, .weight_decay = 0.0, .eps = 1e-08, .decoupled = TRUE},
     {
         {-1.12510002f, 0.250099987f, -9.99999975e-05f, 1.4999001f, -0.03125f, 2.0000999f},
         {-1.1251266f, 0.250026643f, -0.000197035202f, 1.4999367f, -0.0313244127f, 2.0000751f},
         {-1.1251924f, 0.249962449f, -0.000252224389f, 1.49990237f, -0.0312763825f, 2.00006223f},
     }},
    {{.lr = 0.1, .weight_decay = 1e-10, .eps = 1e-08, .decoupled = FALSE},
     {
         {-1.22500002f, 0.349999845f, -0.099999994f, 1.40009987f, -0.0312187597f, 2.0999999f},
         {-1.25163376f, 0.276641548f, -0.197035208f, 1.43668628f, -0.105632439f, 2.07522964f},
         {-1.31744492f, 0.212447137f, -0.252224386f, 1.40237749f, -0.0576011613f, 2.06234813f},
     }},
    {{.lr = 0.01, .weight_decay = 0.5, .eps = 0.001, .decoupled = FALSE},
     {
         {-1.11515749f, 0.240084618f, -0.0099966675f, 1.49001336f, -0.0218515042f, 2.00999975f},
         {-1.10723531f, 0.231547922f, -0.0196935218f, 1.48002851f, -0.0282368362f, 2.00733709f},
         {-1.10495198f, 0.22346735f, -0.0251854174f, 1.47004676f, -0.0231112186f, 2.00581336f},
     }},
};

static const struct {
    double max_norm, norm;
    float gradient[N_PARAMETERS];
} clippings[] = {
    {1.0,
     40.1154594,
     {0.0124640232f, -0.000194750362f, 0.0747841373f, 2.49280447e-07f, 0.0f, -0.997121871f}},
    {100.0, 40.1154594, {0.5f, -0.0078125f, 3.0f, 9.99999975e-06f, 0.0f, -40.0f}},
};
static const gsize segments[] = {0, 2, 3, N_PARAMETERS};

static void assert_near(float value, float expected, double size)
{
    g_assert_cmpfloat(fabs((double)value - (double)expected), <=, TOLERANCE * size);
}

static W2wAdam *new_adam(guint i)
{
    W2wAdamOptions options = cases[i].options;
    g_autoptr(GError) error = NULL;
    W2wAdam *adam;

    options.beta1 = W2W_ADAM_BETA1;
    options.beta2 = W2W_ADAM_BETA2;
    adam = w2w_adam_new(N_PARAMETERS, &options, &error);
    g_assert_no_error(error);
    return adam;
}

static void take_steps(W2wAdam *adam, guint i)
{
    float parameters[N_PARAMETERS];

    memcpy(parameters, initial, sizeof parameters);
    for (guint step = 0; step < N_STEPS; step++) {
        w2w_adam_step(adam, gradients[step], parameters);
        for (guint p = 0; p < N_PARAMETERS; p++) /* not below: lr decides how far a step goes */
            assert_near(parameters[p], cases[i].parameters[step][p],
                        fabs((double)cases[i].parameters[step][p]) + cases[i].options.lr);
    }
}

static void test_steps(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(W2wAdam) adam = new_adam(i);

        take_steps(adam, i);
    }
}

static void test_reset(void)
{
    g_autoptr(W2wAdam) adam = new_adam(0);

    take_steps(adam, 0);
    w2w_adam_reset(adam);
    take_steps(adam, 0);
}

/* A learning rate of 0 from the second step on: nothing moves, and the moments go on. */
static void test_set_lr(void)
{
    const double lr = cases[2].options.lr;
    g_autoptr(W2wAdam) paused = new_adam(2);
    float parameters[N_PARAMETERS], before[N_PARAMETERS];

    memcpy(parameters, initial, sizeof parameters);
    w2w_adam_step(paused, gradients[0], parameters);
    memcpy(before, parameters, sizeof parameters);
    w2w_adam_set_lr(paused, 0.0);
    w2w_adam_step(paused, gradients[1], parameters);
    g_assert_cmpmem(parameters, sizeof parameters, before, sizeof before);
    w2w_adam_set_lr(paused, lr);
    w2w_adam_step(paused, gradients[2], parameters);
    for (guint p = 0; p < N_PARAMETERS; p++) {
        const double step = (double)cases[2].parameters[2][p] - (double)cases[2].parameters[1][p];

        /* weight decay is so small that the third step hardly depends on the second one */
        assert_near(parameters[p] - before[p], (float)step, 4.0);
    }
}

static void test_clip(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(clippings); i++) {
        float gradient[N_PARAMETERS], whole[N_PARAMETERS];
        double norm;

        memcpy(gradient, gradients[0], sizeof gradient);
        memcpy(whole, gradients[0], sizeof whole);
        norm = w2w_clip_gradient_norm_of_segments(gradient, segments, G_N_ELEMENTS(segments) - 1,
                                                  clippings[i].max_norm);
        g_assert_cmpfloat(fabs(norm - clippings[i].norm), <=, TOLERANCE * norm);
        norm = w2w_clip_gradient_norm(whole, N_PARAMETERS, clippings[i].max_norm);
        g_assert_cmpfloat(fabs(norm - clippings[i].norm), <=, TOLERANCE * norm);
        for (guint p = 0; p < N_PARAMETERS; p++) {
            const double size = fabs((double)clippings[i].gradient[p]);

            assert_near(gradient[p], clippings[i].gradient[p], size);
            assert_near(whole[p], clippings[i].gradient[p], size);
        }
    }
}

static void test_clip_not_finite(void)
{
    float gradient[] = {1.0f, NAN, 2.0f};

    g_assert_true(isnan(w2w_clip_gradient_norm(gradient, 3, 1.0)));
    for (guint i = 0; i < 3; i++)
        g_assert_true(isnan(gradient[i]));
}

static void test_memory(void)
{
    const W2wAdamOptions options = cases[0].options;

    for (guint64 call = 1; call <= 2; call++) {
        g_autoptr(GError) error = NULL;

        w2w_memory_fail_call(call);
        g_assert_null(w2w_adam_new(N_PARAMETERS, &options, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    }
    w2w_memory_fail_call(0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/optimizer/steps_are_torch_s", test_steps);
    g_test_add_func("/optimizer/reset_is_a_new_start", test_reset);
    g_test_add_func("/optimizer/lr_counts_from_the_next_step", test_set_lr);
    g_test_add_func("/optimizer/clipping_is_torch_s", test_clip);
    g_test_add_func("/optimizer/clipping_hides_nothing", test_clip_not_finite);
    g_test_add_func("/optimizer/short_memory_is_an_error", test_memory);
    return g_test_run();
}
