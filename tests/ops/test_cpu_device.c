/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cpu device itself: which instruction set it takes, and who shares a packed weight. */
#include <string.h>

#include "engine/device/cpu/packed_weight.h"
#include "engine/error.h"

/* What device_new() asks for. */
static W2wComputeType compute_type;

static W2wDevice *device_new(const char *instruction_set, guint n_threads, GError **error)
{
    const W2wDeviceOptions options = {.n_threads = n_threads, .compute_type = compute_type};
    W2wDevice *device;

    if (instruction_set != NULL)
        g_setenv("W2W_CPU_INSTRUCTION_SET", instruction_set, TRUE);
    else
        g_unsetenv("W2W_CPU_INSTRUCTION_SET");
    device = w2w_device_new("cpu", &options, error);
    g_unsetenv("W2W_CPU_INSTRUCTION_SET");
    return device;
}

static char *describe(const char *instruction_set, guint n_threads)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDevice) device = device_new(instruction_set, n_threads, &error);

    g_assert_no_error(error);
    return w2w_device_describe(device);
}

static void test_instruction_set_by_name(void)
{
    g_autofree char *baseline = describe("baseline", 1), *any_case = describe("BASELINE", 1);
    g_autofree char *best = describe(NULL, 1), *empty = describe("", 1);

    g_assert_cmpstr(baseline, ==, "cpu: 1 thread, baseline, f32");
    g_assert_cmpstr(any_case, ==, baseline);
    g_assert_cmpstr(empty, ==, best);
}

static void test_unknown_instruction_set(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDevice) device = device_new("mmx", 1, &error);

    g_assert_null(device);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_assert_nonnull(strstr(error->message, "\"mmx\""));
    g_assert_nonnull(strstr(error->message, "baseline"));
}

static void test_describes_threads(void)
{
    g_autofree char *two = describe("baseline", 2);

    g_assert_cmpstr(two, ==, "cpu: 2 threads, baseline, f32");
}

/* bfloat16 on request everywhere, and by itself only where the processor has instructions for it.
 */
static void test_bfloat16(void)
{
    g_autofree char *automatic = NULL, *asked = NULL, *best = NULL, *by_name = NULL;

    automatic = describe("baseline", 1);
    best = describe(NULL, 1);
    compute_type = W2W_COMPUTE_BF16;
    asked = describe("baseline", 1);
    by_name = describe(NULL, 1);
    compute_type = W2W_COMPUTE_AUTO;
    g_assert_nonnull(strstr(automatic, "f32"));
    g_assert_nonnull(strstr(asked, "baseline, bf16"));
    g_assert_null(strstr(by_name, "pairs")); /* for tests only */
    g_assert_cmpint(strstr(best, "bf16") != NULL, ==, strstr(by_name, "AVX512-BF16") != NULL);
}

/* --- packed weights --- */

static guint n_packed;

/* The first number, and a mark that the caller chooses. */
static void pack(const W2wArray *source, void *packed, gconstpointer pack_data)
{
    const float values[] = {(float)w2w_array_get(source, 0), *(const float *)pack_data};

    memcpy(packed, values, sizeof values);
    n_packed++;
}

static W2wPackedWeight *get(W2wDevice *device, W2wArray *source, const char *layout, float mark)
{
    g_autoptr(GError) error = NULL;
    W2wPackedWeight *weight = w2w_packed_weight_get((W2wCpuDevice *)device, source, layout,
                                                    2 * sizeof(float), pack, &mark, &error);

    g_assert_no_error(error);
    return weight;
}

static W2wArray *array_new(float value)
{
    g_autoptr(GError) error = NULL;
    const gint64 shape[] = {1};
    W2wArray *array = w2w_array_new_f32(1, shape, &value, &error);

    g_assert_no_error(error);
    return array;
}

static void check(const W2wPackedWeight *weight, float value, float mark)
{
    const float *data = w2w_packed_weight_get_data(weight);

    g_assert_cmpfloat(data[0], ==, value);
    g_assert_cmpfloat(data[1], ==, mark);
}

static void test_packs_once_per_layout(void)
{
    g_autoptr(W2wDevice) device = device_new(NULL, 1, NULL);
    g_autoptr(W2wArray) array = array_new(3.0f), other = array_new(4.0f);
    g_autofree char *same_layout = g_strdup("rows"); /* equal, at another address */
    W2wPackedWeight *rows, *again, *columns, *of_other;

    n_packed = 0;
    rows = get(device, array, "rows", 1.0f);
    again = get(device, array, same_layout, 2.0f);
    g_assert_true(rows == again);
    g_assert_cmpuint(n_packed, ==, 1);
    columns = get(device, array, "columns", 5.0f);
    of_other = get(device, other, "rows", 6.0f);
    g_assert_cmpuint(n_packed, ==, 3);
    check(rows, 3.0f, 1.0f);
    check(columns, 3.0f, 5.0f);
    check(of_other, 4.0f, 6.0f);

    w2w_packed_weight_unref(rows);
    check(again, 3.0f, 1.0f); /* one user is left */
    w2w_packed_weight_unref(again);
    w2w_packed_weight_unref(columns);
    w2w_packed_weight_unref(of_other);
    w2w_packed_weight_unref(NULL);

    /* Nobody used it any more: packed anew. */
    again = get(device, array, "rows", 7.0f);
    g_assert_cmpuint(n_packed, ==, 4);
    check(again, 3.0f, 7.0f);
    w2w_packed_weight_unref(again);
}

/* A file may hold a matrix and its transpose, or another shape of it, as views of one storage. */
static void test_views_of_one_storage(void)
{
    g_autoptr(W2wDevice) device = device_new(NULL, 1, NULL);
    const float values[] = {1.0f, 2.0f, 3.0f, 4.0f};
    g_autoptr(GBytes) storage = g_bytes_new(values, sizeof values);
    const gint64 square[] = {2, 2}, flat[] = {1, 4}, transposed[] = {1, 2};
    g_autoptr(W2wArray) array =
        w2w_array_new_view(W2W_DTYPE_F32, 2, square, NULL, storage, 0, "A matrix", NULL);
    g_autoptr(W2wArray) same =
        w2w_array_new_view(W2W_DTYPE_F32, 2, square, NULL, storage, 0, "A matrix", NULL);
    g_autoptr(W2wArray) transpose =
        w2w_array_new_view(W2W_DTYPE_F32, 2, square, transposed, storage, 0, "A transpose", NULL);
    g_autoptr(W2wArray) row =
        w2w_array_new_view(W2W_DTYPE_F32, 2, flat, NULL, storage, 0, "A row", NULL);
    W2wPackedWeight *weights[] = {get(device, array, "rows", 1.0f), get(device, same, "rows", 2.0f),
                                  get(device, transpose, "rows", 3.0f),
                                  get(device, row, "rows", 4.0f)};

    g_assert_true(weights[1] == weights[0]);
    check(weights[0], 1.0f, 1.0f);
    check(weights[2], 1.0f, 3.0f);
    check(weights[3], 1.0f, 4.0f);
    for (guint i = 0; i < G_N_ELEMENTS(weights); i++)
        w2w_packed_weight_unref(weights[i]);
}

/* A layer and its gradient are made of one square array, and each packs it for itself. */
static void test_layer_and_its_gradient(void)
{
    g_autoptr(W2wDevice) device = NULL;
    const float values[] = {1.0f, 2.0f, 3.0f, 4.0f}, x[] = {1.0f, 0.0f};
    const float expected[2][2] = {{1.0f, 3.0f}, {1.0f, 2.0f}}; /* a column, a row */
    const gint64 shape[] = {2, 2};
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wArray) weight = w2w_array_new_f32(2, shape, values, &error);
    W2wOp op = {
        .kind = W2W_OP_LINEAR, .out = {1, 1, 1, 2}, .in = {{1, 1, 1, 2}}, .weight = {weight}};
    W2wKernel *kernels[2];

    g_assert_no_error(error);
    compute_type = W2W_COMPUTE_F32;
    device = device_new(NULL, 1, NULL);
    compute_type = W2W_COMPUTE_AUTO;
    for (gint i = 0; i < 2; i++) {
        op.params.linear.transposed = i == 1;
        kernels[i] = w2w_kernel_prepare(device, &op, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(kernels[i]->scratch_size, ==, 0);
    }
    for (gint i = 0; i < 2; i++) {
        float out[2];
        const W2wOperands operands = {.in = {x}, .out = out};

        w2w_kernel_run(kernels[i], &operands);
        g_assert_cmpfloat(out[0], ==, expected[i][0]);
        g_assert_cmpfloat(out[1], ==, expected[i][1]);
    }
    for (gint i = 0; i < 2; i++)
        w2w_kernel_free(kernels[i]);
}

/* Else a new array at the old one's address would be taken for it. */
static void test_keeps_source_alive(void)
{
    g_autoptr(W2wDevice) device = device_new(NULL, 1, NULL);
    W2wArray *array = array_new(3.0f);
    W2wPackedWeight *weight = get(device, array, "rows", 1.0f);

    g_assert_true(g_atomic_ref_count_compare(&array->ref_count, 2));
    w2w_packed_weight_unref(weight);
    g_assert_true(g_atomic_ref_count_compare(&array->ref_count, 1));
    w2w_array_unref(array);
}

static void test_no_memory_is_an_error(void)
{
    g_autoptr(W2wDevice) device = device_new(NULL, 1, NULL);
    g_autoptr(W2wArray) array = array_new(3.0f);
    g_autoptr(GError) error = NULL;
    W2wPackedWeight *weight = w2w_packed_weight_get((W2wCpuDevice *)device, array, "rows",
                                                    G_MAXSIZE / 2, pack, NULL, &error);

    g_assert_null(weight);
    g_assert_error(error, W2W_ERROR, W2W_ERROR_MEMORY);
    g_assert_true(g_atomic_ref_count_compare(&array->ref_count, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpu-device/instruction-set-by-name", test_instruction_set_by_name);
    g_test_add_func("/cpu-device/unknown-instruction-set", test_unknown_instruction_set);
    g_test_add_func("/cpu-device/describes-threads", test_describes_threads);
    g_test_add_func("/cpu-device/bfloat16", test_bfloat16);
    g_test_add_func("/cpu-device/packed-weight/packs-once-per-layout", test_packs_once_per_layout);
    g_test_add_func("/cpu-device/packed-weight/views-of-one-storage", test_views_of_one_storage);
    g_test_add_func("/cpu-device/packed-weight/layer-and-its-gradient",
                    test_layer_and_its_gradient);
    g_test_add_func("/cpu-device/packed-weight/keeps-source-alive", test_keeps_source_alive);
    g_test_add_func("/cpu-device/packed-weight/no-memory-is-an-error", test_no_memory_is_an_error);
    return g_test_run();
}
