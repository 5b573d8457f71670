/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of devices, and the calls that go through a device's class. */
#include "engine/device/device.h"

#include "engine/device/cpu/cpu.h"
#include "engine/device/reference/reference.h"
#include "engine/error.h"

/* In the order of `devices`. */
const char *const w2w_device_names[] = {"cpu", "reference", NULL};

/* In the order of W2wComputeType. */
const char *const w2w_compute_type_names[] = {"auto", "f32", "bf16", "f64", NULL};

G_STATIC_ASSERT(G_N_ELEMENTS(w2w_compute_type_names) == W2W_N_COMPUTE_TYPES + 1);

static const struct {
    W2wDevice *(*create)(const W2wDeviceOptions *options, GError **error);
    char *(*describe)(const W2wDevice *device);
} devices[] = {
    {w2w_cpu_device_new, w2w_cpu_device_describe},
    {w2w_reference_device_new, w2w_reference_device_describe},
};

G_STATIC_ASSERT(G_N_ELEMENTS(w2w_device_names) == G_N_ELEMENTS(devices) + 1);

W2wDevice *w2w_device_new(const char *name, const W2wDeviceOptions *options, GError **error)
{
    const W2wDeviceOptions defaults = {0};
    W2wDevice *device;
    g_autofree char *known = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(devices); i++)
        if (g_str_equal(name, w2w_device_names[i])) {
            options = options != NULL ? options : &defaults;
            device = devices[i].create(options, error);
            if (device != NULL)
                device->options = *options;
            return device;
        }
    known = g_strjoinv(", ", (char **)w2w_device_names);
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "There is no device \"%s\" in this program; the devices are: %s.", name, known);
    return NULL;
}

void w2w_device_free(W2wDevice *device)
{
    if (device != NULL)
        device->klass->destroy(device);
}

const char *w2w_device_get_name(const W2wDevice *device)
{
    return device->klass->name;
}

W2wComputeType w2w_device_get_compute_type(const W2wDevice *device)
{
    return device->compute_type;
}

W2wDType w2w_device_get_input_type(const W2wDevice *device, W2wOpKind kind, gint slot)
{
    const gboolean counts =
        slot == W2W_SLOT_X && (kind == W2W_OP_TOKEN_EMBEDDING || kind == W2W_OP_TIMESTEP_EMBEDDING);

    return counts && device->element_type == W2W_DTYPE_BF16 ? W2W_DTYPE_F32 : device->element_type;
}

char *w2w_device_describe(const W2wDevice *device)
{
    for (gsize i = 0; i < G_N_ELEMENTS(devices); i++)
        if (g_str_equal(device->klass->name, w2w_device_names[i]))
            return devices[i].describe(device);
    g_assert_not_reached();
}

void w2w_device_begin_measuring(W2wDevice *device)
{
    g_assert(!device->measuring);
    device->measuring = TRUE;
    device->measured_bytes = 0;
}

void w2w_device_end_measuring(W2wDevice *device, gsize *n_bytes)
{
    g_assert(device->measuring);
    device->measuring = FALSE;
    *n_bytes = device->measured_bytes;
}

W2wKernel *w2w_kernel_prepare(W2wDevice *device, const W2wOp *op, GError **error)
{
    const W2wPrepareFunc prepare = device->klass->prepare[op->kind];

    if (prepare == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The device \"%s\" cannot compute the operation \"%s\" in %s.",
                    device->klass->name, w2w_op_kind_name(op->kind),
                    w2w_compute_type_names[device->compute_type]);
        return NULL;
    }
    return prepare(device, op, error);
}

void w2w_kernel_free(W2wKernel *kernel)
{
    if (kernel != NULL)
        kernel->free(kernel);
}
