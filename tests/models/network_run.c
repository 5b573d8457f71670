/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PyTorch's arrays in and out of the engine's plans. */
#include "tests/models/network_run.h"

#include <string.h>

const char *const network_run_devices[] = {"cpu", "reference", "reference-f64", NULL};

/* "reference-f64": the device and its compute type, which is float32 where none is named. */
static W2wDevice *device_new(const char *name, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(name, "-", 2);
    W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F32};

    if (parts[1] != NULL) {
        gint i = 0;

        while (!g_str_equal(parts[1], w2w_compute_type_names[i]))
            i++;
        options.compute_type = (W2wComputeType)i;
    }
    return w2w_device_new(parts[0], &options, error);
}

W2wDevice *network_run_device(const char *name)
{
    static GHashTable *devices;
    g_autoptr(GError) error = NULL;
    W2wDevice *device;

    if (devices == NULL)
        devices = g_hash_table_new(g_str_hash, g_str_equal);
    device = g_hash_table_lookup(devices, name);
    if (device == NULL) {
        device = device_new(name, &error);
        if (device == NULL)
            g_error("%s", error->message);
        g_hash_table_insert(devices, g_strdup(name), device);
    }
    return device;
}

W2wPlan *network_run_plan(W2wGraph *graph, const char *device_name, const char *what)
{
    g_autoptr(GError) error = NULL;
    W2wPlan *plan = w2w_plan_new(graph, network_run_device(device_name), W2W_PLAN_DEFAULT, &error);

    if (plan == NULL)
        g_error("%s: %s", what, error->message);
    return plan;
}

/* The engine's shape of `array`. */
static W2wShape shape_of(const W2wArray *array)
{
    const gint64 *s = array->shape;

    switch (array->n_dims) {
    case 2:
        return (W2wShape){(gint)s[0], 1, 1, (gint)s[1]};
    case 3:
        return (W2wShape){(gint)s[0], 1, (gint)s[1], (gint)s[2]};
    case 4:
        return (W2wShape){(gint)s[0], (gint)s[2], (gint)s[3], (gint)s[1]};
    default:
        g_error("A golden array of %u dimensions is no activation.", array->n_dims);
    }
}

gint network_run_batch(const W2wArray *array)
{
    return shape_of(array).n;
}

gint network_run_height(const W2wArray *array)
{
    return shape_of(array).h;
}

gint network_run_width(const W2wArray *array)
{
    return shape_of(array).w;
}

void network_run_set(W2wPlan *plan, const char *input, const W2wArray *array, gint first)
{
    const W2wShape have = shape_of(array);
    const W2wShape want = w2w_plan_get_input_shape(plan, input);
    const gint64 n_pixels = (gint64)have.h * have.w, n_per_image = n_pixels * have.c;
    g_autofree float *values = g_new(float, array->n_elements);
    g_autofree float *nhwc = g_new(float, array->n_elements);

    if (have.h != want.h || have.w != want.w || have.c != want.c || first + want.n > have.n)
        g_error("The input %s takes (%d, %d, %d, %d), not (%d, %d, %d, %d).", input, want.n, want.h,
                want.w, want.c, have.n, have.h, have.w, have.c);
    w2w_array_to_f32(array, values);
    if (array->n_dims == 4)
        w2w_transpose_f32(values, have.n, have.c, n_pixels, nhwc);
    else
        memcpy(nhwc, values, (gsize)array->n_elements * sizeof(float));
    w2w_plan_set_input(plan, input, nhwc + first * n_per_image);
}

void network_run_fill(W2wPlan *plan, const char *input, float value)
{
    const gint64 n = w2w_shape_n_elements(w2w_plan_get_input_shape(plan, input));
    g_autofree float *values = g_new(float, n);

    for (gint64 i = 0; i < n; i++)
        values[i] = value;
    w2w_plan_set_input(plan, input, values);
}

float *network_run_get(W2wPlan *plan, const char *output, const W2wArray *expected)
{
    const W2wShape want = shape_of(expected);
    const W2wShape have = w2w_plan_get_output_shape(plan, output);
    const gint64 n_pixels = (gint64)have.h * have.w;
    float *values = g_new(float, expected->n_elements);
    g_autofree float *nhwc = g_new(float, expected->n_elements);

    if (!w2w_shape_equal(want, have))
        g_error("The output %s is (%d, %d, %d, %d); (%d, %d, %d, %d) was expected.", output, have.n,
                have.h, have.w, have.c, want.n, want.h, want.w, want.c);
    w2w_plan_get_output(plan, output, nhwc);
    if (expected->n_dims == 4)
        w2w_transpose_f32(nhwc, have.n, n_pixels, have.c, values);
    else
        memcpy(values, nhwc, (gsize)expected->n_elements * sizeof(float));
    return values;
}

void network_run_compare(W2wPlan *plan, const char *output, W2wGolden *golden, const char *file,
                         const char *key)
{
    const W2wArray *expected = w2w_golden_get(golden, file, key);
    g_autofree float *values = network_run_get(plan, output, expected);

    w2w_golden_compare(golden, file, key, expected, values);
}

gboolean network_run_has_inside(W2wSafetensors *file, const char *what)
{
    const char *const *keys = w2w_safetensors_get_keys(file);
    g_autofree char *prefix = g_strconcat(what, ".inside.", NULL);

    for (guint i = 0; keys[i] != NULL; i++)
        if (g_str_has_prefix(keys[i], prefix))
            return TRUE;
    return FALSE;
}

/* --- test cases, named by what the files hold --- */

typedef struct {
    NetworkCase network_case;
    NetworkTest test;
} Registered;

static void run_registered(gconstpointer data)
{
    const Registered *registered = data;

    registered->test(&registered->network_case);
}

static void registered_free(gpointer data)
{
    Registered *registered = data;

    g_free((char *)registered->network_case.what);
    g_free(registered);
}

void network_run_add(const char *name, const char *what, NetworkTest test)
{
    for (guint i = 0; network_run_devices[i] != NULL; i++) {
        g_autofree char *path = g_strdup_printf("/%s/%s/%s", name, network_run_devices[i], what);
        Registered *registered = g_new0(Registered, 1);

        registered->network_case.device = network_run_devices[i];
        registered->network_case.what = g_strdup(what);
        registered->test = test;
        g_test_add_data_func_full(path, registered, run_registered, registered_free);
    }
}
