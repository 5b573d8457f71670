/* SPDX-License-Identifier: GPL-3.0-or-later */
/* conv2d: sizes that fit no vector, borders larger than the picture, everything that is fused. */
#include "tests/ops/op_test.h"

typedef struct {
    const char *name;
    gint n, h, w, n_in, n_out;
    gint kernel, stride, pad; /* at the top and left */
    gint out_h, out_w;
    gint upsampled_h, upsampled_w;
    gboolean no_bias, residual, image_bias;
    W2wActivation activation;
    W2wDType dtype;
} Conv;

/* clang-format off */
static const Conv cases[] = {
    {"plain",               2,  9, 13,  20,  24, 3, 1, 1,  9, 13},
    {"one-pixel",           1,  1,  1,   5,   7, 3, 1, 1,  1,  1},
    {"one-row",             1,  1, 50,  16,  16, 3, 1, 1,  1, 50},
    {"one-column",          3, 37,  1,   9,  11, 3, 1, 1, 37,  1},
    {"two-by-one",          1,  2,  1,  32,  32, 3, 1, 1,  2,  1},
    {"latents-in",          1, 16, 16,   4,  32, 3, 1, 1, 16, 16},
    {"picture-in",          1, 19, 17,   3,  33, 3, 1, 1, 19, 17},
    {"picture-out",         1, 23, 21,  40,   3, 3, 1, 1, 23, 21},
    {"one-channel",         1,  8,  9,   1,   1, 3, 1, 1,  8,  9},
    {"many-channels",       1,  6,  5, 330, 257, 3, 1, 1,  6,  5},
    {"wide",                1,  3, 130, 24,  40, 3, 1, 1,  3, 130},
    {"batch-3",             3,  7,  5,  17,  19, 3, 1, 1,  7,  5},
    {"stride-2-even",       2, 10, 14,  16,  24, 3, 2, 1,  5,  7},
    {"stride-2-odd",        3, 11, 13,  15,  21, 3, 2, 1,  6,  7},
    {"stride-2-one-pixel",  1,  1,  1,   8,   8, 3, 2, 1,  1,  1},
    {"asymmetric",          1, 10, 14,  16,  16, 3, 2, 0,  5,  7},
    {"asymmetric-odd",      2, 11, 15,  10,  18, 3, 2, 0,  5,  7},
    {"valid",               1,  9,  8,  12,  12, 3, 1, 0,  7,  6},
    {"one-by-one",          2,  5,  7,  20,  33, 1, 1, 0,  5,  7},
    {"one-by-one-stride-2", 1,  9,  7,  20,  12, 1, 2, 0,  5,  4},
    {"five-by-five",        1, 12, 11,   6,  10, 5, 1, 2, 12, 11},
    {"upsampled",           1,  6,  5,  16,  24, 3, 1, 1, 12, 10, 12, 10},
    {"upsampled-odd",       2,  5,  7,  13,  10, 3, 1, 1,  9, 13,  9, 13},
    {"upsampled-one-pixel", 1,  1,  1,   8,   8, 3, 1, 1,  2,  2,  2,  2},
    {"upsampled-3x",        1,  4,  3,  32,  16, 3, 1, 1, 12,  9, 12,  9},
    {"no-bias",             1,  8,  8,  32,  32, 3, 1, 1,  8,  8, .no_bias = TRUE},
    {"residual",            2,  7,  9,  24,  20, 3, 1, 1,  7,  9, .residual = TRUE},
    {"image-bias",          3,  7,  9,  24,  20, 3, 1, 1,  7,  9, .image_bias = TRUE},
    {"silu",                1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .activation = W2W_ACTIVATION_SILU},
    {"gelu",                1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .activation = W2W_ACTIVATION_GELU},
    {"quick-gelu",          1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .activation = W2W_ACTIVATION_QUICK_GELU},
    {"all-fused",           3,  5,  6,  18,  27, 3, 1, 1,  9, 12,  9, 12, .residual = TRUE, .image_bias = TRUE,
        .activation = W2W_ACTIVATION_SILU},
    {"fused-without-bias",  2,  6,  6,  32,  16, 3, 2, 1,  3,  3, .no_bias = TRUE, .residual = TRUE,
        .image_bias = TRUE, .activation = W2W_ACTIVATION_GELU},
    {"f16",                 1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .dtype = W2W_DTYPE_F16},
    {"bf16",                1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .dtype = W2W_DTYPE_BF16},
    {"f64",                 1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .dtype = W2W_DTYPE_F64},
};
/* clang-format on */

static W2wOpCase *new_case(const Conv *conv, GRand *random)
{
    W2wOpCase *test = w2w_op_case_new(W2W_OP_CONV2D, conv->name);
    const W2wShape out = {conv->n, conv->out_h, conv->out_w, conv->n_out};
    const gint64 shape[] = {conv->n_out, conv->n_in, conv->kernel, conv->kernel};

    test->op.out = out;
    test->op.activation = conv->activation;
    test->op.params.conv2d.kernel_h = conv->kernel;
    test->op.params.conv2d.kernel_w = conv->kernel;
    test->op.params.conv2d.stride = conv->stride;
    test->op.params.conv2d.pad_top = conv->pad;
    test->op.params.conv2d.pad_left = conv->pad;
    test->sums_weights = conv->upsampled_h > 0;
    test->op.params.conv2d.upsampled_h = conv->upsampled_h;
    test->op.params.conv2d.upsampled_w = conv->upsampled_w;
    test->op.weight[W2W_WEIGHT] = w2w_random_array(random, conv->dtype, 4, shape, 0.0, 0.3);
    if (!conv->no_bias)
        test->op.weight[W2W_BIAS] = w2w_random_array(random, conv->dtype, 1, shape, 0.5, 1.0);
    w2w_op_case_random_input(test, W2W_SLOT_X, (W2wShape){conv->n, conv->h, conv->w, conv->n_in},
                             random, 0.1, 1.0);
    if (conv->residual)
        w2w_op_case_random_input(test, W2W_SLOT_RESIDUAL, out, random, 0.0, 2.0);
    if (conv->image_bias)
        w2w_op_case_random_input(test, W2W_SLOT_IMAGE_BIAS, (W2wShape){conv->n, 1, 1, conv->n_out},
                                 random, 0.0, 2.0);
    test->may_be_refused = conv->kernel > 3; /* graph.h: 1 or 3 */
    return test;
}

static void check(const Conv *conv, GRand *random)
{
    g_autoptr(W2wOpCase) test = new_case(conv, random);

    w2w_op_case_check(test, w2w_op_magnitude_of_sums);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(1);

    check(data, random);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(2);

    for (gint i = 0; i < 60; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        Conv conv = {name};
        gint h, w;

        conv.n = g_rand_int_range(random, 1, 4);
        conv.h = g_rand_int_range(random, 1, 12);
        conv.w = g_rand_int_range(random, 1, 20);
        conv.n_in = g_rand_int_range(random, 1, 41);
        conv.n_out = g_rand_int_range(random, 1, 41);
        conv.kernel = g_rand_boolean(random) ? 3 : g_rand_int_range(random, 1, 4);
        conv.stride = g_rand_int_range(random, 1, 3);
        conv.pad = g_rand_int_range(random, 0, conv.kernel / 2 + 1);
        if (g_rand_int_range(random, 0, 3) == 0) {
            conv.upsampled_h = conv.h * 2 - g_rand_int_range(random, 0, 2);
            conv.upsampled_w = conv.w * 2 - g_rand_int_range(random, 0, 2);
        }
        h = conv.upsampled_h > 0 ? conv.upsampled_h : conv.h;
        w = conv.upsampled_w > 0 ? conv.upsampled_w : conv.w;
        /* Zeros at the bottom and right: as many as at the top and left, or one more or less. */
        conv.out_h = MAX((h + 2 * conv.pad + g_rand_int_range(random, -1, 2) - conv.kernel), 0) /
                         conv.stride +
                     1;
        conv.out_w = MAX((w + 2 * conv.pad + g_rand_int_range(random, -1, 2) - conv.kernel), 0) /
                         conv.stride +
                     1;
        conv.no_bias = g_rand_boolean(random);
        conv.residual = g_rand_boolean(random);
        conv.image_bias = g_rand_boolean(random);
        conv.activation = g_rand_int_range(random, 0, W2W_ACTIVATION_GEGLU);
        conv.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
        check(&conv, random);
    }
}

/* --- the gradient of a convolution is one with its weights rotated --- */

/* clang-format off */
static const Conv gradients[] = { /* of these */
    {"plain",               2,  9, 13,  20,  24, 3, 1, 1,  9, 13},
    {"one-pixel",           1,  1,  1,   5,   7, 3, 1, 1,  1,  1},
    {"one-row",             1,  1, 50,  16,  16, 3, 1, 1,  1, 50},
    {"one-column",          3, 37,  1,   9,  11, 3, 1, 1, 37,  1},
    {"latents-in",          1, 16, 16,   4,  32, 3, 1, 1, 16, 16},
    {"latents-out",         1, 16, 16,  32,   4, 3, 1, 1, 16, 16},
    {"one-channel",         1,  8,  9,   1,   1, 3, 1, 1,  8,  9},
    {"many-channels",       1,  6,  5, 330, 257, 3, 1, 1,  6,  5},
    {"batch-3",             3,  7,  5,  17,  19, 3, 1, 1,  7,  5},
    {"stride-2-even",       2, 10, 14,  16,  24, 3, 2, 1,  5,  7},
    {"stride-2-odd",        3, 11, 13,  15,  21, 3, 2, 1,  6,  7},
    {"stride-2-wide",       1,  2, 90,  32,  48, 3, 2, 1,  1, 45},
    {"stride-2-one-pixel",  1,  1,  1,   8,   8, 3, 2, 1,  1,  1},
    {"stride-2-two-pixels", 2,  2,  2,   8,   8, 3, 2, 1,  1,  1},
    {"asymmetric",          1, 10, 14,  16,  16, 3, 2, 0,  5,  7},
    {"asymmetric-odd",      2, 11, 15,  10,  18, 3, 2, 0,  5,  7},
    {"asymmetric-unread",   1, 12, 16,  10,  18, 3, 2, 0,  5,  7}, /* its last row and column */
    {"valid",               1,  9,  8,  12,  12, 3, 1, 0,  7,  6},
    {"one-by-one",          2,  5,  7,  20,  33, 1, 1, 0,  5,  7},
    {"one-by-one-stride-2", 1,  9,  7,  20,  12, 1, 2, 0,  5,  4},
    {"five-by-five",        1, 12, 11,   6,  10, 5, 1, 2, 12, 11},
    {"f16",                 1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .dtype = W2W_DTYPE_F16},
    {"bf16",                1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .dtype = W2W_DTYPE_BF16},
    {"f64",                 1,  7,  9,  24,  20, 3, 1, 1,  7,  9, .dtype = W2W_DTYPE_F64},
    {"upsampled",           1,  6,  5,  16,  24, 3, 1, 1, 12, 10, 12, 10},
    {"upsampled-odd",       2,  5,  7,  13,  10, 3, 1, 1,  9, 13,  9, 13},
    {"upsampled-one-pixel", 1,  1,  1,   8,   8, 3, 1, 1,  2,  2,  2,  2},
    {"upsampled-wide",      3,  2, 30,  17,  33, 3, 1, 1,  4, 60,  4, 60},
    {"upsampled-3x",        1,  4,  3,  32,  16, 3, 1, 1, 12,  9, 12,  9},
    {"upsampled-f16",       1,  6,  5,  16,  24, 3, 1, 1, 12, 10, 12, 10, .dtype = W2W_DTYPE_F16},
    {"stride-2-odd-channels", 2, 8, 6,  7,   9, 3, 2, 1,  4,  3},
};
/* clang-format on */

/* No fusion makes the gradient of these at once (fusion.c). */
static gboolean is_rarely_enlarged(const Conv *conv)
{
    return conv->upsampled_h > 0 &&
           !(conv->kernel == 3 && conv->stride == 1 && conv->pad == 1 &&
             conv->upsampled_h == 2 * conv->h && conv->upsampled_w == 2 * conv->w &&
             conv->out_h == conv->upsampled_h && conv->out_w == conv->upsampled_w);
}

/* With a residual, as where something else reads the same x. */
static void check_gradient(const Conv *conv, GRand *random)
{
    g_autoptr(W2wOpCase) forward = new_case(conv, random);
    g_autofree float *d_out =
        w2w_random_normal(random, w2w_shape_n_elements(forward->op.out), 0.1, 1.0);
    gint64 first;
    g_autoptr(W2wOpCase) gradient = w2w_op_case_new_gradient(forward, W2W_SLOT_X, d_out, &first);

    gradient->sums_weights = forward->sums_weights;
    gradient->may_be_refused = forward->may_be_refused || is_rarely_enlarged(conv);
    w2w_op_case_check(gradient, w2w_op_magnitude_of_sums);
    w2w_op_case_random_input(gradient, W2W_SLOT_RESIDUAL, gradient->op.out, random, 0.0, 2.0);
    w2w_op_case_check(gradient, w2w_op_magnitude_of_sums);
}

static void test_gradient(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(70);

    check_gradient(data, random);
}

/* Any that reads no further than one row and column beyond its padding. */
static Conv any_gradient(GRand *random, gint size, gint n_channels)
{
    Conv conv = {"any-gradient"};
    gint h, w;

    conv.n = g_rand_int_range(random, 1, 4);
    conv.h = g_rand_int_range(random, 1, size);
    conv.w = g_rand_int_range(random, 1, size);
    conv.n_in = g_rand_int_range(random, 1, n_channels);
    conv.n_out = g_rand_int_range(random, 1, n_channels);
    conv.kernel = g_rand_boolean(random) ? 3 : g_rand_int_range(random, 1, 4);
    conv.stride = g_rand_int_range(random, 1, 3);
    conv.pad = g_rand_int_range(random, 0, conv.kernel / 2 + 1);
    if (conv.stride == 1 && g_rand_int_range(random, 0, 3) == 0) {
        conv.upsampled_h = conv.h * 2 - g_rand_int_range(random, 0, 2);
        conv.upsampled_w = conv.w * 2 - g_rand_int_range(random, 0, 2);
    }
    h = conv.upsampled_h > 0 ? conv.upsampled_h : conv.h;
    w = conv.upsampled_w > 0 ? conv.upsampled_w : conv.w;
    conv.out_h =
        MAX((h + 2 * conv.pad + g_rand_int_range(random, -1, 2) - conv.kernel), 0) / conv.stride +
        1;
    conv.out_w =
        MAX((w + 2 * conv.pad + g_rand_int_range(random, -1, 2) - conv.kernel), 0) / conv.stride +
        1;
    conv.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
    return conv;
}

static void test_any_gradient(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(71);

    for (gint i = 0; i < 60; i++) {
        const Conv conv = any_gradient(random, 20, 41);

        check_gradient(&conv, random);
    }
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(72);

    for (gint i = 0; i < 40; i++) {
        const Conv conv = any_gradient(random, 8, 5);
        g_autoptr(W2wOpCase) forward = new_case(&conv, random);

        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

static gint get_int(JsonObject *params, const char *name, gint otherwise)
{
    return (gint)json_object_get_int_member_with_default(params, name, otherwise);
}

static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wArray *weight = w2w_op_golden_peek(entry, "in1"), *bias = w2w_op_golden_peek(entry, "in2");
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0", W2W_GOLDEN_NCHW, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
    test->op.weight[W2W_WEIGHT] = w2w_array_ref(weight);
    test->op.weight[W2W_BIAS] = w2w_array_ref(bias);
    test->op.params.conv2d.kernel_h = (gint)weight->shape[2];
    test->op.params.conv2d.kernel_w = (gint)weight->shape[3];
    test->op.params.conv2d.stride = get_int(entry->params, "stride", 1);
    test->op.params.conv2d.pad_top = get_int(entry->params, "padding", 0);
    test->op.params.conv2d.pad_left = get_int(entry->params, "padding", 0);
    /* "padding_right_bottom" is in the output's size. */
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_CONV2D, "conv", W2W_GOLDEN_NCHW, build_golden);
}

void w2w_add_tests_conv2d(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/conv2d/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/conv2d/any-shape", test_any_shape);
    for (gsize i = 0; i < G_N_ELEMENTS(gradients); i++) {
        g_autofree char *path = g_strconcat("/ops/conv2d/gradient-", gradients[i].name, NULL);

        g_test_add_data_func(path, &gradients[i], test_gradient);
    }
    g_test_add_func("/ops/conv2d/gradient-any-shape", test_any_gradient);
    g_test_add_func("/ops/conv2d/central-differences", test_central_differences);
    g_test_add_func("/golden/conv2d", test_golden);
}
