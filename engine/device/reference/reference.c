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

/*
 * To bfloat16's 8 bits, straight from double (by way of float32 would be two roundings). Below
 * 2^-126 more bits are kept than bfloat16 has.
 */
static double round_to_bf16(double value)
{
    guint64 bits;

    memcpy(&bits, &value, sizeof bits);
    bits += (G_GUINT64_CONSTANT(1) << 44) - 1 + (bits >> 45 & 1); /* to nearest, ties to even */
    bits &= ~((G_GUINT64_CONSTANT(1) << 45) - 1);
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* Between ops and doubles: every activation of the device passes here. */
static void run_on_doubles(const W2wKernel *parent, const W2wOperands *operands)
{
    const W2wReferenceKernel *kernel = (const W2wReferenceKernel *)parent;
    const W2wComputeType type = parent->device->compute_type;
    const gint64 n_out = w2w_shape_n_elements(kernel->op.out);
    const double *in[W2W_N_SLOTS] = {NULL};
    double *next;
    float *out = operands->out;

    if (type == W2W_COMPUTE_F64) {
        for (gint slot = 0; slot < W2W_N_SLOTS; slot++)
            in[slot] = operands->in[slot];
        kernel->run(kernel, in, operands->out, operands->scratch);
        return;
    }
    next = (double *)operands->scratch + kernel->n_scratch;
    for (gint slot = 0; slot < W2W_N_SLOTS; slot++) {
        const float *from = operands->in[slot];
        const gint64 n = w2w_shape_n_elements(kernel->op.in[slot]);

        if (from == NULL)
            continue;
        in[slot] = next;
        for (gint64 i = 0; i < n; i++)
            *next++ = from[i];
    }
    kernel->run(kernel, in, next, operands->scratch);
    for (gint64 i = 0; i < n_out; i++)
        out[i] = (float)(type == W2W_COMPUTE_BF16 ? round_to_bf16(next[i]) : next[i]);
}

W2wKernel *w2w_reference_kernel_new(W2wDevice *device, const W2wOp *op, W2wReferenceRunFunc run,
                                    gsize n_scratch, GError **error)
{
    W2wReferenceKernel *kernel = g_new0(W2wReferenceKernel, 1);
    gint64 n_doubles = (gint64)n_scratch;

    if (device->compute_type != W2W_COMPUTE_F64) {
        n_doubles += w2w_shape_n_elements(op->out);
        for (gint slot = 0; slot < W2W_N_SLOTS; slot++)
            n_doubles += w2w_shape_n_elements(op->in[slot]);
    }
    kernel->parent.device = device;
    kernel->parent.run = run_on_doubles;
    kernel->parent.free = kernel_free;
    kernel->parent.scratch_size = (gsize)n_doubles * sizeof(double);
    kernel->run = run;
    kernel->n_scratch = n_scratch;
    kernel->op = *op;
    for (gint i = 0; i < W2W_N_WEIGHTS; i++) {
        if (op->weight[i] == NULL)
            continue;
        if (device->measuring) {
            device->measured_bytes += (gsize)op->weight[i]->n_elements * sizeof(double);
            continue;
        }
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

/*
 * (out, in, taps) → (taps, in, out). Where the op reads what the weight's own layer writes, it is
 * that layer's `out` that comes in, and its taps are in the opposite order: (taps, out, in).
 */
static gboolean turn_weight(W2wReferenceKernel *kernel, GError **error)
{
    const W2wOp *op = &kernel->op;
    const W2wArray *weight = op->weight[W2W_WEIGHT];
    const gboolean backwards =
        op->kind == W2W_OP_CONV2D ? op->params.conv2d.rotated : op->params.linear.transposed;
    const gint64 n_out = weight->shape[0], n_in = weight->shape[1];
    const gint64 n_taps = weight->n_elements / MAX(n_out * n_in, 1);
    const double *from = kernel->weight[W2W_WEIGHT];
    double *to = w2w_aligned_alloc((gsize)weight->n_elements, sizeof(double),
                                   "a weight of the reference device", error);

    if (to == NULL)
        return FALSE;
    for (gint64 o = 0; o < n_out; o++)
        for (gint64 i = 0; i < n_in; i++)
            for (gint64 tap = 0; tap < n_taps; tap++)
                if (backwards)
                    to[((n_taps - 1 - tap) * n_out + o) * n_in + i] = *from++;
                else
                    to[(tap * n_in + i) * n_out + o] = *from++;
    w2w_aligned_free(kernel->weight[W2W_WEIGHT]);
    kernel->weight[W2W_WEIGHT] = to;
    return TRUE;
}

W2wKernel *w2w_reference_product_new(W2wDevice *device, const W2wOp *op, W2wReferenceRunFunc run,
                                     gsize n_scratch, GError **error)
{
    W2wKernel *kernel = w2w_reference_kernel_new(
        device, op, run, (gsize)w2w_reference_n_columns(op) + n_scratch, error);

    if (kernel != NULL && !device->measuring && !turn_weight((W2wReferenceKernel *)kernel, error))
        g_clear_pointer(&kernel, kernel_free);
    return kernel;
}

void w2w_reference_add_product(const double *restrict weight, gint n_in, gint n_out,
                               const double *restrict x, double *restrict sums)
{
    for (gint i = 0; i < n_in; i++, weight += n_out)
        for (gint o = 0; o < n_out; o++)
            sums[o] += weight[o] * x[i];
}

gint w2w_reference_n_columns(const W2wOp *op)
{
    return op->activation == W2W_ACTIVATION_GEGLU ? 2 * op->out.c : op->out.c;
}

void w2w_reference_finish_row(const W2wReferenceKernel *kernel, const double *const *in, gint64 row,
                              double *sums, double *out)
{
    const W2wOp *op = &kernel->op;
    const gint n_columns = w2w_reference_n_columns(op);
    const gint64 image = row / ((gint64)op->out.h * op->out.w);
    const double *bias = kernel->weight[W2W_BIAS];
    const double *residual = in[W2W_SLOT_RESIDUAL];     /* (N,H,W,columns) */
    const double *image_bias = in[W2W_SLOT_IMAGE_BIAS]; /* (N,1,1,columns) */

    for (gint i = 0; i < n_columns; i++) {
        if (bias != NULL)
            sums[i] += bias[i];
        if (residual != NULL)
            sums[i] += residual[row * n_columns + i];
        if (image_bias != NULL)
            sums[i] += image_bias[image * n_columns + i];
    }
    for (gint c = 0; c < op->out.c; c++) {
        double y;

        if (op->activation == W2W_ACTIVATION_GEGLU)
            y = sums[c] * w2w_reference_activate(W2W_ACTIVATION_GELU, sums[op->out.c + c]);
        else
            y = w2w_reference_activate(op->activation, sums[c]);
        out[row * op->out.c + c] = y;
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
            [W2W_OP_GROUP_NORM_GRADIENT] = w2w_reference_prepare_group_norm_gradient,
            [W2W_OP_LAYER_NORM_GRADIENT] = w2w_reference_prepare_layer_norm_gradient,
            [W2W_OP_ATTENTION_GRADIENT] = w2w_reference_prepare_attention_gradient,
            [W2W_OP_GEGLU_GRADIENT] = w2w_reference_prepare_geglu_gradient,
            [W2W_OP_ACTIVATION_GRADIENT] = w2w_reference_prepare_activation_gradient,
            [W2W_OP_UPSAMPLE_GRADIENT] = w2w_reference_prepare_upsample_gradient,
            [W2W_OP_LORA_GRADIENT] = w2w_reference_prepare_lora_gradient,
            [W2W_OP_MASKED_MSE] = w2w_reference_prepare_masked_mse,
            [W2W_OP_MASKED_MSE_GRADIENT] = w2w_reference_prepare_masked_mse_gradient,
            [W2W_OP_COLUMNS] = w2w_reference_prepare_columns,
            [W2W_OP_TRANSPOSE] = w2w_reference_prepare_transpose,
            [W2W_OP_SUM] = w2w_reference_prepare_sum,
        },
};

W2wDevice *w2w_reference_device_new(const W2wDeviceOptions *options, GError **error)
{
    W2wDevice *device = g_new0(W2wDevice, 1);

    device->klass = &reference_class;
    device->compute_type =
        options->compute_type == W2W_COMPUTE_AUTO ? W2W_COMPUTE_F32 : options->compute_type;
    device->element_type = device->compute_type == W2W_COMPUTE_F64 ? W2W_DTYPE_F64 : W2W_DTYPE_F32;
    return device;
}

char *w2w_reference_device_describe(const W2wDevice *device)
{
    return g_strdup_printf(
        "reference: plain loops in double precision, %s between ops, 1 thread, for tests only",
        w2w_compute_type_names[device->compute_type]);
}
