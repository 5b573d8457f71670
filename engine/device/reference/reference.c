/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reference device: its class, its one kind of kernel, and what ends conv2d and linear. */
#include "engine/device/reference/reference.h"

#include <string.h>

#include "engine/memory.h"

static void kernel_free(W2wKernel *parent)
{
    W2wReferenceKernel *kernel = (W2wReferenceKernel *)parent;

    for (gint i = 0; i < W2W_N_WEIGHTS; i++)
        w2w_aligned_free(kernel->weight[i]);
    g_free(kernel);
}

W2wKernel *w2w_reference_kernel_new(W2wDevice *device, const W2wOp *op,
                                    void (*run)(const W2wKernel *, const W2wOperands *),
                                    gsize scratch_size, GError **error)
{
    W2wReferenceKernel *kernel = g_new0(W2wReferenceKernel, 1);

    kernel->parent.device = device;
    kernel->parent.run = run;
    kernel->parent.free = kernel_free;
    kernel->parent.scratch_size = scratch_size;
    kernel->op = *op;
    for (gint i = 0; i < W2W_N_WEIGHTS; i++) {
        if (op->weight[i] == NULL)
            continue;
        kernel->weight[i] = w2w_aligned_alloc((gsize)op->weight[i]->n_elements, sizeof(double),
                                              "a weight of the reference device", error);
        if (kernel->weight[i] == NULL) {
            kernel_free(&kernel->parent);
            return NULL;
        }
        w2w_array_to_f64(op->weight[i], kernel->weight[i]);
    }
    return &kernel->parent;
}

gint w2w_reference_n_columns(const W2wOp *op)
{
    return op->activation == W2W_ACTIVATION_GEGLU ? 2 * op->out.c : op->out.c;
}

void w2w_reference_finish_row(const W2wReferenceKernel *kernel, const W2wOperands *operands,
                              gint64 row, double *sums)
{
    const W2wOp *op = &kernel->op;
    const gint n_columns = w2w_reference_n_columns(op);
    const gint64 image = row / ((gint64)op->out.h * op->out.w);
    const double *bias = kernel->weight[W2W_BIAS];
    const void *residual = operands->in[W2W_SLOT_RESIDUAL];     /* (N,H,W,columns) */
    const void *image_bias = operands->in[W2W_SLOT_IMAGE_BIAS]; /* (N,1,1,columns) */

    for (gint i = 0; i < n_columns; i++) {
        if (bias != NULL)
            sums[i] += bias[i];
        if (residual != NULL)
            sums[i] += w2w_reference_get(residual, row * n_columns + i);
        if (image_bias != NULL)
            sums[i] += w2w_reference_get(image_bias, image * n_columns + i);
    }
    for (gint c = 0; c < op->out.c; c++) {
        double y;

        if (op->activation == W2W_ACTIVATION_GEGLU)
            y = sums[c] * w2w_reference_activate(W2W_ACTIVATION_GELU, sums[op->out.c + c]);
        else
            y = w2w_reference_activate(op->activation, sums[c]);
        w2w_reference_set(operands->out, row * op->out.c + c, y);
    }
}

static void *device_alloc(W2wDevice *device, gsize n_bytes, const char *what, GError **error)
{
    return w2w_aligned_alloc(n_bytes, 1, what, error);
}

static void device_free(W2wDevice *device, void *memory)
{
    w2w_aligned_free(memory);
}

/* Upload and download: the device's memory is the host's. */
static void device_copy(W2wDevice *device, void *destination, const void *source, gsize n_bytes)
{
    if (n_bytes > 0)
        memcpy(destination, source, n_bytes);
}

static void device_destroy(W2wDevice *device)
{
    g_free(device);
}

static const W2wDeviceClass reference_class = {
    .name = "reference",
    .alloc = device_alloc,
    .free = device_free,
    .upload = device_copy,
    .download = device_copy,
    .destroy = device_destroy,
    .prepare =
        {
            [W2W_OP_CONV2D] = w2w_reference_prepare_conv2d,
            [W2W_OP_LINEAR] = w2w_reference_prepare_linear,
            [W2W_OP_GROUP_NORM] = w2w_reference_prepare_group_norm,
            [W2W_OP_LAYER_NORM] = w2w_reference_prepare_layer_norm,
            [W2W_OP_ATTENTION] = w2w_reference_prepare_attention,
            [W2W_OP_GEGLU] = w2w_reference_prepare_geglu,
            [W2W_OP_ACTIVATION] = w2w_reference_prepare_activation,
            [W2W_OP_ADD] = w2w_reference_prepare_add,
            [W2W_OP_CONCAT] = w2w_reference_prepare_concat,
            [W2W_OP_UPSAMPLE] = w2w_reference_prepare_upsample,
            [W2W_OP_TOKEN_EMBEDDING] = w2w_reference_prepare_token_embedding,
            [W2W_OP_TIMESTEP_EMBEDDING] = w2w_reference_prepare_timestep_embedding,
        },
};

W2wDevice *w2w_reference_device_new(const W2wDeviceOptions *options, GError **error)
{
    W2wDevice *device = g_new0(W2wDevice, 1);

    device->klass = &reference_class;
    return device;
}

char *w2w_reference_device_describe(const W2wDevice *device)
{
    return g_strdup("reference: plain loops in double precision, 1 thread, for tests only");
}
