/* SPDX-License-Identifier: GPL-3.0-or-later */
/* linear: any number of rows and columns, LoRA of any rank, everything that is fused, odd weights.
 */
#include "tests/ops/op_test.h"

typedef enum {
    WEIGHT_MATRIX,     /* (out,in) */
    WEIGHT_CONV,       /* (out,in,1,1) */
    WEIGHT_TRANSPOSED, /* (out,in), a view that is not contiguous */
} WeightForm;

typedef struct {
    const char *name;
    gint n, h, w, n_in, n_out;
    gint rank;
    float scale;
    gboolean no_bias, residual, image_bias;
    W2wActivation activation;
    W2wDType dtype;
    WeightForm form;
} Linear;

/* clang-format off */
static const Linear cases[] = {
    {"plain",              3,  1, 11,  48,  65},
    {"one-row",            1,  1,  1,  64, 128},
    {"one-number",         1,  1,  1,   1,   1},
    {"one-in",             2,  1,  5,   1,  37},
    {"one-out",            2,  1,  5,  37,   1},
    {"three-out",          1,  9, 11,  40,   3},
    {"text",               1,  1, 77,  48, 192},
    {"feature-map",        3, 13,  7,  33,  47},
    {"many-rows",          1, 17, 31,  32,  64},
    {"deep",               1,  1,  5, 2579, 31},
    {"broad",              1,  1,  7,  24, 1031},
    {"no-bias",            2,  4,  4,  32,  32, .no_bias = TRUE},
    {"conv-weight",        2,  5,  7,  20,  33, .form = WEIGHT_CONV},
    {"transposed-weight",  1,  5,  7,  20,  33, .form = WEIGHT_TRANSPOSED},
    {"lora-rank-1",        2,  6,  6,  48,  40, 1, 27.0f},
    {"lora-rank-1-plain",  1,  1, 77,  32,  32, 1, 27.0f, .no_bias = TRUE},
    {"lora-rank-4",        2,  5,  5,  40,  56, 4, 0.25f},
    {"lora-rank-17",       1,  5,  5,  19,  23, 17, -1.5f},
    {"lora-rank-64",       1,  3,  5,  72,  72, 64, 1.0f},
    {"lora-one-row",       1,  1,  1,  24,  24, 1, 27.0f},
    {"residual",           2,  5,  7,  32,  48, .residual = TRUE},
    {"image-bias",         3,  5,  7,  32,  48, .image_bias = TRUE},
    {"silu",               2,  1,  1,  32, 128, .activation = W2W_ACTIVATION_SILU},
    {"gelu",               2,  3,  5,  32,  48, .activation = W2W_ACTIVATION_GELU},
    {"quick-gelu",         1,  1, 77,  48, 192, .activation = W2W_ACTIVATION_QUICK_GELU},
    {"geglu",              2,  5,  7,  32, 128, .activation = W2W_ACTIVATION_GEGLU},
    {"geglu-odd",          1,  3,  5,  30,  37, .activation = W2W_ACTIVATION_GEGLU},
    {"geglu-one-column",   1,  1,  3,   8,   1, .activation = W2W_ACTIVATION_GEGLU},
    {"geglu-no-bias",      1,  4,  4,  16,  64, .no_bias = TRUE, .activation = W2W_ACTIVATION_GEGLU},
    {"geglu-lora",         1,  4,  5,  32,  45, 2, 3.0f, .activation = W2W_ACTIVATION_GEGLU},
    {"geglu-all-fused",    2,  3,  5,  32,  45, 2, 3.0f, .residual = TRUE, .image_bias = TRUE,
        .activation = W2W_ACTIVATION_GEGLU},
    {"lora-residual",      2,  5,  7,  32,  48, 1, 27.0f, .residual = TRUE},
    {"all-fused",          3,  5,  7,  31,  45, 3, 2.0f, .residual = TRUE, .image_bias = TRUE,
        .activation = W2W_ACTIVATION_SILU},
    {"fused-without-bias", 2,  5,  3,  64,  16, .no_bias = TRUE, .residual = TRUE, .image_bias = TRUE,
        .activation = W2W_ACTIVATION_GELU},
    {"f16",                1,  5,  7,  50,  70, .dtype = W2W_DTYPE_F16},
    {"bf16",               1,  5,  7,  50,  70, .dtype = W2W_DTYPE_BF16},
    {"f64",                1,  5,  7,  50,  70, .dtype = W2W_DTYPE_F64},
    {"f16-conv-geglu",     1,  5,  7,  50,  35, .activation = W2W_ACTIVATION_GEGLU, .dtype = W2W_DTYPE_F16,
        .form = WEIGHT_CONV},
};
/* clang-format on */

static W2wOpCase *new_case(const Linear *linear, GRand *random)
{
    W2wOpCase *test = w2w_op_case_new(W2W_OP_LINEAR, linear->name);
    const W2wShape out = {linear->n, linear->h, linear->w, linear->n_out};
    const gint n_columns = linear->n_out * (linear->activation == W2W_ACTIVATION_GEGLU ? 2 : 1);
    const gint64 shape[] = {n_columns, linear->n_in, 1, 1};
    W2wArray *weight = w2w_random_array(random, linear->dtype, linear->form == WEIGHT_CONV ? 4 : 2,
                                        shape, 0.0, 0.3);

    if (linear->form == WEIGHT_TRANSPOSED) {
        W2wArray *view = w2w_array_new_transposed_view(weight);

        w2w_array_unref(weight);
        weight = view;
    }
    test->op.out = out;
    test->op.activation = linear->activation;
    test->op.params.linear.lora_scale = linear->scale;
    test->op.weight[W2W_WEIGHT] = weight;
    if (!linear->no_bias)
        test->op.weight[W2W_BIAS] = w2w_random_array(random, linear->dtype, 1, shape, 0.5, 1.0);
    w2w_op_case_random_input(test, W2W_SLOT_X,
                             (W2wShape){linear->n, linear->h, linear->w, linear->n_in}, random, 0.1,
                             1.0);
    if (linear->rank > 0) {
        w2w_op_case_random_input(test, W2W_SLOT_LORA_A,
                                 (W2wShape){1, 1, linear->rank, linear->n_in}, random, 0.0, 0.3);
        w2w_op_case_random_input(test, W2W_SLOT_LORA_B, (W2wShape){1, 1, n_columns, linear->rank},
                                 random, 0.0, 0.1);
    }
    if (linear->residual)
        w2w_op_case_random_input(test, W2W_SLOT_RESIDUAL,
                                 (W2wShape){linear->n, linear->h, linear->w, n_columns}, random,
                                 0.0, 2.0);
    if (linear->image_bias)
        w2w_op_case_random_input(test, W2W_SLOT_IMAGE_BIAS, (W2wShape){linear->n, 1, 1, n_columns},
                                 random, 0.0, 2.0);
    test->may_be_refused = linear->activation == W2W_ACTIVATION_GEGLU &&
                           (linear->rank > 0 || linear->residual || linear->image_bias);
    return test;
}

static void check(const Linear *linear, GRand *random)
{
    g_autoptr(W2wOpCase) test = new_case(linear, random);

    w2w_op_case_check(test, w2w_op_magnitude_of_sums);
}

static void test_case(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(3);

    check(data, random);
}

static void test_any_shape(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(4);

    for (gint i = 0; i < 100; i++) {
        g_autofree char *name = g_strdup_printf("any-shape-%d", i);
        Linear linear = {name};

        linear.n = g_rand_int_range(random, 1, 4);
        linear.h = g_rand_int_range(random, 1, 9);
        linear.w = g_rand_int_range(random, 1, 14);
        linear.n_in = g_rand_int_range(random, 1, 90);
        linear.n_out = g_rand_int_range(random, 1, 90);
        linear.rank = g_rand_int_range(random, 0, 6);
        linear.scale = (float)g_rand_double_range(random, -3.0, 30.0);
        linear.no_bias = g_rand_boolean(random);
        linear.activation = g_rand_int_range(random, 0, W2W_ACTIVATION_GEGLU + 1);
        linear.residual = g_rand_boolean(random);
        linear.image_bias = g_rand_boolean(random);
        linear.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
        linear.form = g_rand_int_range(random, 0, WEIGHT_TRANSPOSED + 1);
        check(&linear, random);
    }
}

/* --- the gradient of a linear layer is one with its weight transposed --- */

/* clang-format off */
static const Linear gradients[] = { /* of these */
    {"plain",              3,  1, 11,  48,  65},
    {"one-row",            1,  1,  1,  64, 128},
    {"one-number",         1,  1,  1,   1,   1},
    {"one-in",             2,  1,  5,   1,  37},
    {"one-out",            2,  1,  5,  37,   1},
    {"text",               1,  1, 77,  48, 192},
    {"feature-map",        3, 13,  7,  33,  47},
    {"deep",               1,  1,  5, 2579, 31},
    {"broad",              1,  1,  7,  24, 1031},
    {"conv-weight",        2,  5,  7,  20,  33, .form = WEIGHT_CONV},
    {"transposed-weight",  1,  5,  7,  20,  33, .form = WEIGHT_TRANSPOSED},
    {"lora-rank-1",        2,  6,  6,  48,  40, 1, 27.0f},
    {"lora-rank-4",        2,  5,  5,  40,  56, 4, 0.25f},
    {"lora-rank-17",       1,  5,  5,  19,  23, 17, -1.5f},
    {"lora-one-row",       1,  1,  1,  24,  24, 1, 27.0f},
    {"f16",                1,  5,  7,  50,  70, .dtype = W2W_DTYPE_F16},
    {"bf16",               1,  5,  7,  50,  70, .dtype = W2W_DTYPE_BF16},
    {"f64",                1,  5,  7,  50,  70, .dtype = W2W_DTYPE_F64},
};
/* clang-format on */

/* With a residual, as where something else reads the same x. */
static void check_gradient(const Linear *linear, GRand *random)
{
    g_autoptr(W2wOpCase) forward = new_case(linear, random);
    g_autofree float *d_out =
        w2w_random_normal(random, w2w_shape_n_elements(forward->op.out), 0.1, 1.0);
    gint64 first;
    g_autoptr(W2wOpCase) gradient = w2w_op_case_new_gradient(forward, W2W_SLOT_X, d_out, &first);

    w2w_op_case_check(gradient, w2w_op_magnitude_of_sums);
    w2w_op_case_random_input(gradient, W2W_SLOT_RESIDUAL, gradient->op.out, random, 0.0, 2.0);
    w2w_op_case_check(gradient, w2w_op_magnitude_of_sums);
}

static void test_gradient(gconstpointer data)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(73);

    check_gradient(data, random);
}

static Linear any_gradient(GRand *random, gint width)
{
    Linear linear = {"any-gradient"};

    linear.n = g_rand_int_range(random, 1, 4);
    linear.h = g_rand_int_range(random, 1, 6);
    linear.w = g_rand_int_range(random, 1, 9);
    linear.n_in = g_rand_int_range(random, 1, width);
    linear.n_out = g_rand_int_range(random, 1, width);
    linear.rank = g_rand_int_range(random, 0, 6);
    linear.scale = (float)g_rand_double_range(random, -3.0, 30.0);
    linear.dtype = g_rand_int_range(random, 0, W2W_DTYPE_F64 + 1);
    linear.form = g_rand_int_range(random, 0, WEIGHT_TRANSPOSED + 1);
    return linear;
}

static void test_any_gradient(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(74);

    for (gint i = 0; i < 60; i++) {
        const Linear linear = any_gradient(random, 90);

        check_gradient(&linear, random);
    }
}

static void test_central_differences(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(75);

    for (gint i = 0; i < 20; i++) {
        const Linear linear = any_gradient(random, 9);
        g_autoptr(W2wOpCase) forward = new_case(&linear, random);

        w2w_op_case_check_gradient(forward, W2W_SLOT_X, random);
    }
}

/* in1 is the weight; then the bias, or A and B where params.json gives them a scale. */
static void build_golden(const W2wOpGolden *entry, W2wOpCase *test)
{
    W2wArray *weight = w2w_op_golden_peek(entry, "in1");
    W2wShape shape;
    float *x = w2w_op_golden_get(entry, "in0",
                                 weight->n_dims == 4 ? W2W_GOLDEN_NCHW : W2W_GOLDEN_ROWS, &shape);

    w2w_op_case_take_input(test, W2W_SLOT_X, shape, x);
    test->op.weight[W2W_WEIGHT] = w2w_array_ref(weight);
    if (json_object_has_member(entry->params, "scale")) {
        float *a = w2w_op_golden_get(entry, "in2", W2W_GOLDEN_ROWS, &shape), *b;

        w2w_op_case_take_input(test, W2W_SLOT_LORA_A, shape, a);
        b = w2w_op_golden_get(entry, "in3", W2W_GOLDEN_ROWS, &shape);
        w2w_op_case_take_input(test, W2W_SLOT_LORA_B, shape, b);
        test->op.params.linear.lora_scale =
            (float)json_object_get_double_member(entry->params, "scale");
    } else {
        test->op.weight[W2W_BIAS] = w2w_array_ref(w2w_op_golden_peek(entry, "in2"));
    }
}

static void test_golden(void)
{
    w2w_op_golden_check(W2W_OP_LINEAR, "linear", W2W_GOLDEN_ROWS, build_golden);
}

static void test_golden_conv1x1(void)
{
    w2w_op_golden_check(W2W_OP_LINEAR, "conv1x1", W2W_GOLDEN_NCHW, build_golden);
}

void w2w_add_tests_linear(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strconcat("/ops/linear/", cases[i].name, NULL);

        g_test_add_data_func(path, &cases[i], test_case);
    }
    g_test_add_func("/ops/linear/any-shape", test_any_shape);
    for (gsize i = 0; i < G_N_ELEMENTS(gradients); i++) {
        g_autofree char *path = g_strconcat("/ops/linear/gradient-", gradients[i].name, NULL);

        g_test_add_data_func(path, &gradients[i], test_gradient);
    }
    g_test_add_func("/ops/linear/gradient-any-shape", test_any_gradient);
    g_test_add_func("/ops/linear/central-differences", test_central_differences);
    g_test_add_func("/golden/linear", test_golden);
    g_test_add_func("/golden/linear-conv1x1", test_golden_conv1x1);
}
