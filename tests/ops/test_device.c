/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices by name, and what reports say about an op. */
#include <string.h>

#include "engine/error.h"
#include "tests/ops/op_test.h"

static void check_name(W2wDevice *device, const char *label, gpointer data)
{
    g_assert_true(g_strv_contains(w2w_device_names, w2w_device_get_name(device)));
    g_assert_true(g_str_has_prefix(label, w2w_device_get_name(device)));
    for (gint kind = 0; kind < W2W_OP_SLICE; kind++) /* bfloat16 is for rendering */
        if (kind <= W2W_OP_TIMESTEP_EMBEDDING ||
            w2w_device_get_compute_type(device) != W2W_COMPUTE_BF16)
            g_assert_nonnull(device->klass->prepare[kind]);
    g_assert_null(device->klass->prepare[W2W_OP_SLICE]); /* it is memory, nothing to compute */
}

/* A linear layer, twice: its weight counts once where kernels share it; then again, for real. */
static void check_measuring(W2wDevice *device, const char *label, gpointer data)
{
    const gint64 shape[] = {48, 64};
    g_autoptr(GRand) random = g_rand_new_with_seed(80);
    g_autoptr(W2wArray) weight = w2w_random_array(random, W2W_DTYPE_F32, 2, shape, 0.0, 1.0);
    const W2wOp op = {
        .kind = W2W_OP_LINEAR, .out = {1, 1, 5, 48}, .in = {{1, 1, 5, 64}}, .weight = {weight}};
    const gboolean shares = !g_str_equal(w2w_device_get_name(device), "reference");
    g_autoptr(GError) error = NULL;
    W2wKernel *kernels[3];
    gsize n_bytes[3];

    for (gint n = 0; n < 3; n++) {
        w2w_device_begin_measuring(device);
        for (gint i = 0; i < n; i++) {
            kernels[i] = w2w_kernel_prepare(device, &op, &error);
            g_assert_no_error(error);
        }
        for (gint i = 0; i < n; i++)
            w2w_kernel_free(kernels[i]);
        w2w_device_end_measuring(device, &n_bytes[n]);
    }
    g_assert_cmpuint(n_bytes[0], ==, 0);
    g_assert_cmpuint(n_bytes[1], >=, 48 * 64 * w2w_dtype_size(device->element_type));
    g_assert_cmpuint(n_bytes[2], ==, n_bytes[1] * (shares ? 1 : 2));

    kernels[0] = w2w_kernel_prepare(device, &op, &error);
    g_assert_no_error(error);
    w2w_device_begin_measuring(device);
    kernels[1] = w2w_kernel_prepare(device, &op, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(kernels[1]->scratch_size, ==, kernels[0]->scratch_size);
    w2w_kernel_free(kernels[1]);
    w2w_device_end_measuring(device, &n_bytes[2]);
    g_assert_cmpuint(n_bytes[2], ==, shares ? 0 : n_bytes[1]); /* the device has it */
    w2w_kernel_free(kernels[0]);
}

/* What was measured leaves nothing behind: a kernel that is prepared after it computes. */
static void check_after_measuring(W2wDevice *device, const char *label, gpointer data)
{
    const W2wOpCase *test = data;
    g_autoptr(GError) error = NULL;
    g_autofree float *before = w2w_op_case_run(test, device), *after = NULL;
    W2wKernel *kernel;
    gsize n_bytes;

    w2w_device_begin_measuring(device);
    kernel = w2w_kernel_prepare(device, &test->op, &error);
    g_assert_no_error(error);
    w2w_kernel_free(kernel);
    w2w_device_end_measuring(device, &n_bytes);
    after = w2w_op_case_run(test, device);
    g_assert_cmpmem(before, w2w_shape_n_elements(test->op.out) * sizeof(float), after,
                    w2w_shape_n_elements(test->op.out) * sizeof(float));
}

static void test_measuring(void)
{
    const gint64 shape[] = {9, 7, 3, 3};
    g_autoptr(GRand) random = g_rand_new_with_seed(81);
    g_autoptr(W2wOpCase) test = w2w_op_case_new(W2W_OP_CONV2D, "measured");

    test->op.out = (W2wShape){1, 5, 6, 9};
    test->op.params.conv2d.kernel_h = test->op.params.conv2d.kernel_w = 3;
    test->op.params.conv2d.stride = 1;
    test->op.params.conv2d.pad_top = test->op.params.conv2d.pad_left = 1;
    test->op.weight[W2W_WEIGHT] = w2w_random_array(random, W2W_DTYPE_F32, 4, shape, 0.0, 0.3);
    w2w_op_case_random_input(test, W2W_SLOT_X, (W2wShape){1, 5, 6, 7}, random, 0.0, 1.0);
    w2w_op_test_each_device(check_measuring, NULL);
    w2w_op_test_each_device(check_after_measuring, test);
}

static void test_each_device(void)
{
    w2w_op_test_each_device(check_name, NULL);
    w2w_device_free(NULL);
    w2w_kernel_free(NULL);
}

static void test_unknown_device(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_device_new("abacus", NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "abacus"));
    for (gsize i = 0; w2w_device_names[i] != NULL; i++)
        g_assert_nonnull(strstr(error->message, w2w_device_names[i]));
}

/* float64 is the reference's alone; auto is never what a device says of itself. */
static void test_compute_types(void)
{
    const W2wDeviceOptions f64 = {.compute_type = W2W_COMPUTE_F64}, automatic = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDevice) reference = w2w_device_new("reference", &f64, &error);

    g_assert_no_error(error);
    g_assert_cmpint(w2w_device_get_compute_type(reference), ==, W2W_COMPUTE_F64);
    g_assert_null(w2w_device_new("cpu", &f64, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "f64"));
    g_assert_nonnull(strstr(error->message, "bf16"));
    for (gsize i = 0; w2w_device_names[i] != NULL; i++) {
        g_autoptr(GError) failure = NULL;
        g_autoptr(W2wDevice) device = w2w_device_new(w2w_device_names[i], &automatic, &failure);

        g_assert_no_error(failure);
        g_assert_cmpint(w2w_device_get_compute_type(device), !=, W2W_COMPUTE_AUTO);
    }
}

/* A device may lack an op; its class then has no function for it. */
static void test_missing_op(void)
{
    const W2wDeviceClass klass = {.name = "half"};
    W2wDevice device = {.klass = &klass};
    const W2wOp op = {.kind = W2W_OP_GROUP_NORM};
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_kernel_prepare(&device, &op, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, "half"));
    g_assert_nonnull(strstr(error->message, "group_norm"));
}

static void test_names(void)
{
    for (gint i = 0; i < W2W_N_OPS; i++)
        for (gint j = 0; j < i; j++)
            g_assert_cmpstr(w2w_op_kind_name(i), !=, w2w_op_kind_name(j));
    g_assert_cmpstr(w2w_op_kind_name(W2W_OP_CONV2D), ==, "conv2d");
}

/* Counted by hand. */
static void test_flops(void)
{
    const gint64 one[] = {1};
    const float zero = 0.0f;
    g_autoptr(W2wArray) bias = w2w_array_new_f32(1, one, &zero, NULL);
    W2wOp conv2d = {.kind = W2W_OP_CONV2D, .out = {2, 4, 5, 7}, .in = {{2, 4, 5, 3}}};
    W2wOp linear = {.kind = W2W_OP_LINEAR, .out = {1, 1, 10, 6}, .in = {{1, 1, 10, 8}}};
    W2wOp attention = {.kind = W2W_OP_ATTENTION,
                       .out = {1, 1, 4, 6},
                       .in = {{1, 1, 4, 6}, {1, 1, 4, 6}, {1, 1, 4, 6}}};
    double all, half;

    conv2d.params.conv2d.kernel_h = conv2d.params.conv2d.kernel_w = 3;
    g_assert_cmpfloat(w2w_op_flops(&conv2d), ==, 2.0 * (2 * 4 * 5 * 7) * (3 * 3 * 3));
    conv2d.weight[W2W_BIAS] = bias;
    conv2d.in[W2W_SLOT_RESIDUAL] = conv2d.out;
    g_assert_cmpfloat(w2w_op_flops(&conv2d), ==, (2 * 4 * 5 * 7) * (2.0 * 3 * 3 * 3 + 2.0));

    g_assert_cmpfloat(w2w_op_flops(&linear), ==, 2.0 * 10 * 6 * 8);
    linear.in[W2W_SLOT_LORA_A] = (W2wShape){1, 1, 2, 8};
    linear.in[W2W_SLOT_LORA_B] = (W2wShape){1, 1, 6, 2};
    g_assert_cmpfloat(w2w_op_flops(&linear), ==, 2.0 * 10 * (6 * 8 + 2 * 8 + 6 * 2));

    attention.params.attention.n_heads = 2;
    all = w2w_op_flops(&attention);
    attention.params.attention.causal = TRUE;
    half = w2w_op_flops(&attention);
    g_assert_cmpfloat_with_epsilon(half / all, 10.0 / 16.0, 1e-12); /* pairs: 1 + 2 + 3 + 4 */
    g_assert_cmpfloat(all, >=, 4.0 * 4 * 4 * 6);
}

void w2w_add_tests_device(void)
{
    g_test_add_func("/ops/device/each-device", test_each_device);
    g_test_add_func("/ops/device/unknown-device", test_unknown_device);
    g_test_add_func("/ops/device/compute-types", test_compute_types);
    g_test_add_func("/ops/device/missing-op", test_missing_op);
    g_test_add_func("/ops/device/measuring", test_measuring);
    g_test_add_func("/ops/device/names", test_names);
    g_test_add_func("/ops/device/flops", test_flops);
}
