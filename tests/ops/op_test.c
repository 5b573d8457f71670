/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Cases, and running them between guards; see op_test.h. */
#include "tests/ops/op_test.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"

/* All bits set: a NaN in every float format, as it is in memory, and nothing a kernel computes. */
#define POISON      0xff
#define GUARD_BYTES 1024
G_STATIC_ASSERT(GUARD_BYTES % 64 == 0);

W2wOpCase *w2w_op_case_new(W2wOpKind kind, const char *name)
{
    W2wOpCase *test = g_new0(W2wOpCase, 1);

    test->op.kind = kind;
    test->name = g_strdup(name);
    return test;
}

void w2w_op_case_free(W2wOpCase *test)
{
    for (gint i = 0; i < W2W_N_WEIGHTS; i++)
        w2w_array_unref(test->op.weight[i]);
    for (gint i = 0; i < W2W_N_SLOTS; i++)
        g_free(test->in[i]);
    g_free(test->name);
    g_free(test);
}

void w2w_op_case_take_input(W2wOpCase *test, gint slot, W2wShape shape, float *values)
{
    test->op.in[slot] = shape;
    test->in[slot] = values;
}

float *w2w_random_normal(GRand *random, gint64 n, double mean, double deviation)
{
    float *values = g_new(float, n);

    for (gint64 i = 0; i < n; i++) {
        const double radius = sqrt(-2.0 * log(1.0 - g_rand_double(random)));

        values[i] = (float)(mean + deviation * radius * cos(2.0 * G_PI * g_rand_double(random)));
    }
    return values;
}

void w2w_op_case_random_input(W2wOpCase *test, gint slot, W2wShape shape, GRand *random,
                              double mean, double deviation)
{
    w2w_op_case_take_input(test, slot, shape,
                           w2w_random_normal(random, w2w_shape_n_elements(shape), mean, deviation));
}

static void store(W2wDType dtype, float value, guint8 *bytes)
{
    const double f64 = (double)value * (1.0 + 0x1p-30); /* not a float32 */
    const guint16 f16 = w2w_f32_to_f16(value);
    guint32 bits;
    guint16 bf16;

    memcpy(&bits, &value, sizeof bits);
    bf16 = (guint16)(bits >> 16);
    switch (dtype) {
    case W2W_DTYPE_F64:
        memcpy(bytes, &f64, sizeof f64);
        break;
    case W2W_DTYPE_F16:
        memcpy(bytes, &f16, sizeof f16);
        break;
    case W2W_DTYPE_BF16:
        memcpy(bytes, &bf16, sizeof bf16);
        break;
    default:
        g_assert(dtype == W2W_DTYPE_F32);
        memcpy(bytes, &value, sizeof value);
    }
}

W2wArray *w2w_random_array(GRand *random, W2wDType dtype, guint n_dims, const gint64 *shape,
                           double mean, double deviation)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) owner = NULL;
    g_autofree float *values = NULL;
    const gsize size = w2w_dtype_size(dtype);
    W2wArray *array;
    guint8 *bytes;
    gint64 n = 1;

    for (guint i = 0; i < n_dims; i++)
        n *= shape[i];
    values = w2w_random_normal(random, n, mean, deviation);
    bytes = g_malloc(1 + n * size);
    bytes[0] = POISON;
    for (gint64 i = 0; i < n; i++)
        store(dtype, values[i], bytes + 1 + i * size);
    owner = g_bytes_new_take(bytes, 1 + n * size);
    array = w2w_array_new_view(dtype, n_dims, shape, NULL, owner, 1, "a test's weight", &error);
    g_assert_no_error(error);
    return array;
}

W2wArray *w2w_array_new_transposed_view(const W2wArray *matrix)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) owner = NULL;
    const gint64 n_rows = matrix->shape[0], n_columns = matrix->shape[1];
    const gint64 stride[] = {1, n_rows};
    float *values = g_new(float, n_rows *n_columns);
    W2wArray *view;

    g_assert(matrix->n_dims == 2);
    for (gint64 i = 0; i < n_rows; i++)
        for (gint64 j = 0; j < n_columns; j++)
            values[j * n_rows + i] = (float)w2w_array_get(matrix, i * n_columns + j);
    owner = g_bytes_new_take(values, n_rows * n_columns * sizeof *values);
    view = w2w_array_new_view(W2W_DTYPE_F32, 2, matrix->shape, stride, owner, 0, "a view", &error);
    g_assert_no_error(error);
    return view;
}

/* --- memory of a device between guards --- */

typedef struct {
    W2wDevice *device;
    guint8 *memory; /* before, n_bytes, GUARD_BYTES */
    gsize before, n_bytes;
} Guarded;

/* `values` NULL: poison. The data lies this many bytes behind an aligned address. */
static Guarded guarded_new(W2wDevice *device, gsize n_bytes, const void *values, gsize shift)
{
    g_autoptr(GError) error = NULL;
    const gsize before = GUARD_BYTES + shift, total = before + n_bytes + GUARD_BYTES;
    g_autofree guint8 *host = g_malloc(total);
    Guarded buffer = {device, NULL, before, n_bytes};

    memset(host, POISON, total);
    if (values != NULL)
        memcpy(host + before, values, n_bytes);
    buffer.memory = device->klass->alloc(device, total, "a test", &error);
    g_assert_no_error(error);
    device->klass->upload(device, buffer.memory, host, total);
    return buffer;
}

static void *guarded_data(const Guarded *buffer)
{
    return buffer->memory + buffer->before;
}

/* Downloads and looks at the guards. */
static guint8 *guarded_get(const Guarded *buffer, const char *what)
{
    const gsize total = buffer->before + buffer->n_bytes + GUARD_BYTES;
    g_autofree guint8 *host = g_malloc(total);

    buffer->device->klass->download(buffer->device, host, buffer->memory, total);
    for (gsize i = 0; i < total; i++)
        if (host[i] != POISON && (i < buffer->before || i >= buffer->before + buffer->n_bytes)) {
            g_test_message("%s: something was written just outside of its memory.", what);
            g_test_fail();
            break;
        }
    return g_memdup2(host + buffer->before, buffer->n_bytes);
}

static void guarded_free(Guarded *buffer)
{
    if (buffer->memory != NULL)
        buffer->device->klass->free(buffer->device, buffer->memory);
}

/* --- what a device keeps in its memory --- */

static void *to_device_type(W2wDType type, const float *values, gint64 n)
{
    void *converted = g_malloc0((gsize)n * w2w_dtype_size(type));

    for (gint64 i = 0; i < n; i++)
        switch (type) {
        case W2W_DTYPE_F64:
            ((double *)converted)[i] = values[i];
            break;
        case W2W_DTYPE_BF16:
            ((guint16 *)converted)[i] = w2w_f32_to_bf16(values[i]);
            break;
        default:
            g_assert(type == W2W_DTYPE_F32);
            ((float *)converted)[i] = values[i];
        }
    return converted;
}

static float from_device_type(W2wDType type, const void *values, gint64 i)
{
    switch (type) {
    case W2W_DTYPE_F64:
        return (float)((const double *)values)[i];
    case W2W_DTYPE_BF16:
        return w2w_bf16_to_f32(((const guint16 *)values)[i]);
    default:
        return ((const float *)values)[i];
    }
}

/* The input as the device has it. Caller frees. */
static void *device_input(const W2wOpCase *test, W2wDevice *device, gint slot, gsize *n_bytes)
{
    const W2wDType type = w2w_device_get_input_type(device, test->op.kind, slot);
    const gint64 n = w2w_shape_n_elements(test->op.in[slot]);

    *n_bytes = (gsize)n * w2w_dtype_size(type);
    return to_device_type(type, test->in[slot], n);
}

/* A kernel with all that it runs on. */
typedef struct {
    W2wKernel *kernel;
    Guarded in[W2W_N_SLOTS], out, scratch;
    W2wOperands operands;
} Loaded;

static gboolean may_refuse(const W2wOpCase *test, const W2wDevice *device)
{
    return test->may_be_refused ||
           (test->float32_only && w2w_device_get_compute_type(device) == W2W_COMPUTE_BF16);
}

/*
 * FALSE where the device refuses the op, which it may. `shift`: elements between an aligned address
 * and inputs and output: they may be slices.
 */
static gboolean loaded_init(Loaded *loaded, const W2wOpCase *test, W2wDevice *device, gint shift)
{
    g_autoptr(GError) error = NULL;
    const gsize size = w2w_dtype_size(device->element_type);

    memset(loaded, 0, sizeof *loaded);
    loaded->kernel = w2w_kernel_prepare(device, &test->op, &error);
    if (may_refuse(test, device) && g_error_matches(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED)) {
        g_test_message("%s on %s: refused. %s", test->name, w2w_device_get_name(device),
                       error->message);
        return FALSE;
    }
    g_assert_no_error(error);
    for (gint i = 0; i < W2W_N_SLOTS; i++)
        if (test->in[i] != NULL) {
            gsize n_bytes;
            g_autofree void *values = device_input(test, device, i, &n_bytes);

            loaded->in[i] = guarded_new(
                device, n_bytes, values,
                shift * w2w_dtype_size(w2w_device_get_input_type(device, test->op.kind, i)));
            loaded->operands.in[i] = guarded_data(&loaded->in[i]);
        }
    loaded->out =
        guarded_new(device, w2w_shape_n_elements(test->op.out) * size, NULL, shift * size);
    loaded->operands.out = guarded_data(&loaded->out);
    loaded->scratch = guarded_new(device, loaded->kernel->scratch_size, NULL, 0);
    loaded->operands.scratch = guarded_data(&loaded->scratch);
    return TRUE;
}

static void loaded_clear(Loaded *loaded)
{
    for (gint i = 0; i < W2W_N_SLOTS; i++)
        guarded_free(&loaded->in[i]);
    guarded_free(&loaded->out);
    guarded_free(&loaded->scratch);
    w2w_kernel_free(loaded->kernel);
}

static void run_once(const Loaded *loaded)
{
    W2wDevice *device = loaded->kernel->device;

    w2w_kernel_run(loaded->kernel, &loaded->operands);
    if (device->klass->synchronize != NULL)
        device->klass->synchronize(device);
}

/* On addresses that are aligned to elements only: the same bits. */
static void check_shifted(const W2wOpCase *test, W2wDevice *device, const guint8 *expected)
{
    g_autofree guint8 *out = NULL;
    Loaded loaded;

    if (!loaded_init(&loaded, test, device, 1))
        g_assert_not_reached(); /* it was prepared before */
    run_once(&loaded);
    out = guarded_get(&loaded.out, "output");
    if (memcmp(out, expected, loaded.out.n_bytes) != 0) {
        g_test_message("%s: slices of memory gave other numbers.", test->name);
        g_test_fail();
    }
    loaded_clear(&loaded);
}

float *w2w_op_case_run(const W2wOpCase *test, W2wDevice *device)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);
    const gsize size = w2w_dtype_size(device->element_type);
    g_autofree guint8 *poison = g_malloc(n * size);
    g_autofree guint8 *first = NULL, *second = NULL, *scratch = NULL;
    g_autofree float *result = g_new(float, n);
    Loaded loaded;

    memset(poison, POISON, n * size);
    if (!loaded_init(&loaded, test, device, 0))
        return NULL;
    run_once(&loaded);
    first = guarded_get(&loaded.out, "output");
    for (gint64 i = 0; i < n; i++)
        if (memcmp(first + i * size, poison, size) == 0) {
            g_test_message("%s: element %" G_GINT64_FORMAT " of the output was never written, or "
                           "computed from memory that was never written.",
                           test->name, i);
            g_test_fail();
            break;
        }

    /* A replay, with whatever the first one left behind in its scratch memory. */
    device->klass->upload(device, loaded.operands.out, poison, n * size);
    run_once(&loaded);
    second = guarded_get(&loaded.out, "output");
    if (memcmp(first, second, n * size) != 0) {
        g_test_message("%s: running it again gave other numbers.", test->name);
        g_test_fail();
    }

    scratch = guarded_get(&loaded.scratch, "scratch");
    for (gint i = 0; i < W2W_N_SLOTS; i++)
        if (test->in[i] != NULL) {
            gsize n_bytes;
            g_autofree void *before = device_input(test, device, i, &n_bytes);
            g_autofree guint8 *after = guarded_get(&loaded.in[i], "input");

            g_assert_cmpmem(after, loaded.in[i].n_bytes, before, n_bytes);
        }
    loaded_clear(&loaded);
    check_shifted(test, device, first);
    for (gint64 i = 0; i < n; i++)
        result[i] = from_device_type(device->element_type, first, i);
    return g_steal_pointer(&result);
}

/* --- against the reference --- */

/* What there is to test. 3 threads: an uneven share of nearly everything. */
static const struct {
    const char *name;
    guint n_threads;
    W2wComputeType compute_type;
} variants[] = {
    {"reference", 1, W2W_COMPUTE_F32}, {"reference", 1, W2W_COMPUTE_F64},
    {"cpu", 1, W2W_COMPUTE_F32},       {"cpu", 3, W2W_COMPUTE_F32},
    {"cpu", 1, W2W_COMPUTE_BF16},      {"cpu", 3, W2W_COMPUTE_BF16},
};

/* AVX2-pairs is an instruction set for bfloat16 alone. */
static gboolean exists(const char *device, W2wComputeType compute_type)
{
    return compute_type == W2W_COMPUTE_BF16 || g_str_equal(device, "reference") ||
           g_strcmp0(g_getenv("W2W_CPU_INSTRUCTION_SET"), "AVX2-pairs") != 0;
}

void w2w_op_test_each_device(void (*func)(W2wDevice *device, const char *label, gpointer data),
                             gpointer data)
{
    for (gsize i = 0; w2w_device_names[i] != NULL; i++) {
        guint n_variants = 0;

        for (gsize j = 0; j < G_N_ELEMENTS(variants); j++) {
            const W2wDeviceOptions options = {.n_threads = variants[j].n_threads,
                                              .compute_type = variants[j].compute_type};
            g_autofree char *description = NULL;
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wDevice) device = NULL;

            if (!g_str_equal(w2w_device_names[i], variants[j].name) ||
                !exists(variants[j].name, variants[j].compute_type))
                continue;
            device = w2w_device_new(variants[j].name, &options, &error);
            g_assert_no_error(error);
            description = w2w_device_describe(device);
            func(device, description, data);
            n_variants++;
        }
        g_assert_cmpuint(n_variants, >, 0); /* a device that nobody tests */
    }
}

static W2wDevice *reference_new(void)
{
    g_autoptr(GError) error = NULL;
    W2wDevice *reference = w2w_device_new("reference", NULL, &error);

    g_assert_no_error(error);
    return reference;
}

/* How fast, for people: the best of as many runs as fit into a fifth of a second. */
static void bench(const W2wOpCase *test, W2wDevice *device, const char *label)
{
    const gint64 start = g_get_monotonic_time();
    gint64 best = G_MAXINT64;
    gint n_repeats = 1;
    Loaded loaded;

    if (!loaded_init(&loaded, test, device, 0))
        return;
    while (g_get_monotonic_time() - start < G_USEC_PER_SEC / 5) {
        const gint64 from = g_get_monotonic_time();

        for (gint i = 0; i < n_repeats; i++)
            run_once(&loaded);
        best = MIN(best, (g_get_monotonic_time() - from) * 1000 / n_repeats);
        if (g_get_monotonic_time() - from < 1000) /* too short for this clock */
            n_repeats *= 2, best = G_MAXINT64;
    }
    loaded_clear(&loaded);
    g_print("# bench %-28s %-26s %10.2f us %8.2f GFLOP/s\n", test->name, label, best / 1e3,
            w2w_op_flops(&test->op) / (double)best);
}

typedef struct {
    const W2wOpCase *test;
    const float *expected;
    const double *magnitude;
    W2wOpMagnitudeFunc find_magnitude; /* NULL: exact */
} Check;

/* The same values with inputs and the weights of products in bfloat16; what counts stays. */
static W2wOpCase *rounded_case(const W2wOpCase *test, W2wDevice *device)
{
    g_autoptr(GError) error = NULL;
    W2wOpCase *copy = w2w_op_case_new(test->op.kind, test->name);
    const gboolean product = test->op.kind == W2W_OP_CONV2D || test->op.kind == W2W_OP_LINEAR;

    copy->op = test->op;
    copy->float32_only = test->float32_only;
    for (gint slot = 0; slot < W2W_N_SLOTS; slot++) {
        const W2wDType type = w2w_device_get_input_type(device, test->op.kind, slot);
        const gint64 n = w2w_shape_n_elements(test->op.in[slot]);

        if (test->in[slot] == NULL)
            continue;
        copy->in[slot] = g_memdup2(test->in[slot], n * sizeof(float));
        for (gint64 i = 0; i < n && type == W2W_DTYPE_BF16; i++)
            copy->in[slot][i] = w2w_bf16_to_f32(w2w_f32_to_bf16(test->in[slot][i]));
    }
    for (gint i = 0; i < W2W_N_WEIGHTS; i++) {
        W2wArray *weight = test->op.weight[i];

        if (weight == NULL)
            continue;
        if (product && i == W2W_WEIGHT) {
            g_autofree float *values = g_new(float, weight->n_elements);

            w2w_array_to_f32(weight, values);
            for (gint64 j = 0; j < weight->n_elements; j++)
                values[j] = w2w_bf16_to_f32(w2w_f32_to_bf16(values[j]));
            copy->op.weight[i] = w2w_array_new_f32(weight->n_dims, weight->shape, values, &error);
            g_assert_no_error(error);
        } else {
            copy->op.weight[i] = w2w_array_ref(weight);
        }
    }
    return copy;
}

static float to_bf16(double value)
{
    return w2w_bf16_to_f32(w2w_f32_to_bf16((float)value));
}

static void check_bf16(const Check *check, W2wDevice *device, const char *label)
{
    const W2wOpCase *test = check->test;
    const gint64 n = w2w_shape_n_elements(test->op.out);
    g_autofree float *actual = w2w_op_case_run(test, device);
    g_autoptr(W2wOpCase) rounded = rounded_case(test, device);
    g_autoptr(W2wDevice) reference = reference_new();
    g_autofree float *expected = w2w_op_case_run(rounded, reference);
    g_autofree double *magnitude = g_new0(double, n);
    gint64 n_wrong = 0;

    if (actual == NULL)
        return;
    if (check->find_magnitude != NULL)
        check->find_magnitude(rounded, expected, magnitude);
    for (gint64 i = 0; i < n; i++) {
        const double units = W2W_OP_MAX * 0x1p-24 + (test->sums_weights ? 0x1p-8 : 0.0);
        const double around = units * magnitude[i];
        const float from = to_bf16(expected[i] - around), to = to_bf16(expected[i] + around);

        if (!(actual[i] >= from && actual[i] <= to) && n_wrong++ == 0) {
            g_test_message("%s on %s: element %" G_GINT64_FORMAT " is %.9g, which is not between "
                           "%.9g and %.9g, from %.9g give or take %.3g in bfloat16.",
                           test->name, label, i, actual[i], from, to, expected[i], around);
            g_test_fail();
        }
    }
    g_test_message("%s on %s: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " wrong", test->name,
                   label, n_wrong, n);
    if (g_strcmp0(g_getenv("W2W_OP_BENCH"), "1") == 0)
        bench(test, device, label);
}

static void check_device(W2wDevice *device, const char *label, gpointer data)
{
    const Check *check = data;
    const W2wOpCase *test = check->test;
    const gint64 n = w2w_shape_n_elements(test->op.out);
    g_autofree float *actual = NULL;
    double sum = 0.0, largest = 0.0, rms;
    gint64 worst = 0;

    if (g_str_equal(w2w_device_get_name(device), "reference"))
        return;
    if (w2w_device_get_compute_type(device) == W2W_COMPUTE_BF16) {
        check_bf16(check, device, label);
        return;
    }
    actual = w2w_op_case_run(test, device);
    if (actual == NULL)
        return;
    for (gint64 i = 0; i < n; i++) {
        const double difference = fabs((double)actual[i] - check->expected[i]);
        const double unit = 0x1p-24 * check->magnitude[i];
        double error = difference / unit;

        if (difference == 0.0)
            error = 0.0;
        if (!(error <= largest)) { /* NaN too */
            largest = isnan(error) ? INFINITY : error;
            worst = i;
        }
        sum += error * error;
    }
    rms = sqrt(sum / (double)n);
    g_test_message("%s on %s: rms %.2f, largest %.2f units", test->name, label, rms, largest);
    if (!(rms <= W2W_OP_RMS && largest <= W2W_OP_MAX)) {
        g_test_message("%s on %s: element %" G_GINT64_FORMAT " is %.9g, not %.9g; accepted are rms "
                       "%.2f and largest %.2f in units of 2^-24 of the accumulated %.3g.",
                       test->name, label, worst, actual[worst], check->expected[worst], W2W_OP_RMS,
                       W2W_OP_MAX, check->magnitude[worst]);
        g_test_fail();
    }
    if (g_strcmp0(g_getenv("W2W_OP_BENCH"), "1") == 0)
        bench(test, device, label);
}

void w2w_op_case_check(const W2wOpCase *test, W2wOpMagnitudeFunc magnitude)
{
    const gint64 n = w2w_shape_n_elements(test->op.out);
    g_autoptr(W2wDevice) reference = reference_new();
    g_autofree float *expected = w2w_op_case_run(test, reference);
    g_autofree double *m = g_new0(double, n);
    Check check = {test, expected, m, magnitude};

    for (gint64 i = 0; i < n; i++)
        g_assert_true(isfinite(expected[i])); /* or the case says nothing */
    if (magnitude != NULL)
        magnitude(test, expected, m);
    w2w_op_test_each_device(check_device, &check);
}

/* --- what an op accumulates --- */

double w2w_op_magnitude_of_activation(double x)
{
    /* Below −16 all of them are 0 to float32; above, 1 + erf(x) costs up to half a unit of |x|. */
    return x < 0.0 ? MIN(-x, 16.0) : x;
}

double w2w_op_magnitude_of_slope(double x)
{
    return 1.0 + MIN(fabs(x), 16.0); /* all of them end in 0 and 1 there */
}

/* The case without its activation, of absolute values where `absolute`: its sums. */
static float *sums_of(const W2wOpCase *test, gboolean absolute)
{
    g_autoptr(W2wDevice) reference = reference_new();
    g_autoptr(W2wOpCase) copy = w2w_op_case_new(test->op.kind, test->name);
    g_autoptr(GError) error = NULL;

    copy->op = test->op;
    copy->op.activation = W2W_ACTIVATION_NONE;
    if (test->op.activation == W2W_ACTIVATION_GEGLU)
        copy->op.out.c *= 2;
    if (absolute && (test->op.kind == W2W_OP_LINEAR || test->op.kind == W2W_OP_LORA_GRADIENT))
        copy->op.params.linear.lora_scale = fabsf(test->op.params.linear.lora_scale);
    for (gint i = 0; i < W2W_N_SLOTS; i++)
        if (test->in[i] != NULL) {
            const gint64 n = w2w_shape_n_elements(test->op.in[i]);

            copy->in[i] = g_memdup2(test->in[i], n * sizeof(float));
            for (gint64 j = 0; absolute && j < n; j++)
                copy->in[i][j] = fabsf(copy->in[i][j]);
        }
    for (gint i = 0; i < W2W_N_WEIGHTS; i++)
        if (test->op.weight[i] != NULL) {
            const W2wArray *weight = test->op.weight[i];
            g_autofree float *values = g_new(float, weight->n_elements);

            w2w_array_to_f32(weight, values);
            for (gint64 j = 0; absolute && j < weight->n_elements; j++)
                values[j] = fabsf(values[j]);
            copy->op.weight[i] = w2w_array_new_f32(weight->n_dims, weight->shape, values, &error);
            g_assert_no_error(error);
        }
    return w2w_op_case_run(copy, reference);
}

void w2w_op_magnitude_of_sums(const W2wOpCase *test, const float *expected, double *magnitude)
{
    g_autofree float *of_sums = sums_of(test, TRUE);
    const gint64 n = w2w_shape_n_elements(test->op.out);

    if (test->op.activation == W2W_ACTIVATION_GEGLU) { /* a product: u dg + du g */
        g_autofree float *sums = sums_of(test, FALSE);
        const gint c = test->op.out.c;

        for (gint64 i = 0; i < n; i++) {
            const gint64 u = i / c * 2 * c + i % c, g = u + c;
            const double gelu = sums[u] != 0.0f ? expected[i] / sums[u] : 0.0;

            magnitude[i] = fabs((double)sums[u]) * of_sums[g] + of_sums[u] * fabs(gelu);
        }
    } else { /* no activation's slope is above 1.13 */
        for (gint64 i = 0; i < n; i++)
            magnitude[i] = of_sums[i];
    }
}
