/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gradients of ops: which op computes them, put together here from op.h alone (the engine's own
 * engine/graph is another answer to the same question), and central differences of the forward op.
 */
#include <math.h>

#include "tests/ops/op_test.h"

static void copy_input(const W2wOpCase *from, gint from_slot, W2wOpCase *to, gint to_slot)
{
    const W2wShape shape = from->op.in[from_slot];

    if (from->in[from_slot] != NULL)
        w2w_op_case_take_input(
            to, to_slot, shape,
            g_memdup2(from->in[from_slot], w2w_shape_n_elements(shape) * sizeof(float)));
}

static void take_d_out(const W2wOpCase *forward, const float *d_out, W2wOpCase *to, gint slot)
{
    w2w_op_case_take_input(to, slot, forward->op.out,
                           g_memdup2(d_out, w2w_shape_n_elements(forward->op.out) * sizeof(float)));
}

static void copy_weights(const W2wOpCase *from, W2wOpCase *to)
{
    for (gint i = 0; i < W2W_N_WEIGHTS; i++)
        if (from->op.weight[i] != NULL)
            to->op.weight[i] = w2w_array_ref(from->op.weight[i]);
}

/* (1,1,R,C) → (1,1,C,R) */
static void transpose_input(const W2wOpCase *from, gint from_slot, W2wOpCase *to, gint to_slot)
{
    const W2wShape shape = from->op.in[from_slot];
    float *values = g_new(float, w2w_shape_n_elements(shape));

    for (gint r = 0; r < shape.w; r++)
        for (gint c = 0; c < shape.c; c++)
            values[(gsize)c * shape.w + r] = from->in[from_slot][(gsize)r * shape.c + c];
    w2w_op_case_take_input(to, to_slot, (W2wShape){1, 1, shape.c, shape.w}, values);
}

/* --- one per kind --- */

static void of_conv2d(const W2wOpCase *forward, const float *d_out, W2wOpCase *to)
{
    to->op.kind = W2W_OP_CONV2D;
    to->op.weight[W2W_WEIGHT] = w2w_array_ref(forward->op.weight[W2W_WEIGHT]);
    to->op.params = forward->op.params;
    to->op.params.conv2d.rotated = TRUE;
    to->op.params.conv2d.stride = 1;
    if (forward->op.params.conv2d.stride > 1)
        to->op.params.conv2d.zeros_between = forward->op.params.conv2d.stride;
    to->op.params.conv2d.pad_top =
        forward->op.params.conv2d.kernel_h - 1 - forward->op.params.conv2d.pad_top;
    to->op.params.conv2d.pad_left =
        forward->op.params.conv2d.kernel_w - 1 - forward->op.params.conv2d.pad_left;
    take_d_out(forward, d_out, to, W2W_SLOT_X);
}

static gint64 of_linear(const W2wOpCase *forward, gint slot, const float *d_out, W2wOpCase *to)
{
    const W2wShape x = forward->op.in[W2W_SLOT_X];
    const gint rank = forward->op.in[W2W_SLOT_LORA_A].w;

    to->op.params = forward->op.params;
    if (slot == W2W_SLOT_X) {
        to->op.kind = W2W_OP_LINEAR;
        to->op.params.linear.transposed = TRUE;
        to->op.weight[W2W_WEIGHT] = w2w_array_ref(forward->op.weight[W2W_WEIGHT]);
        take_d_out(forward, d_out, to, W2W_SLOT_X);
        if (rank > 0) {
            transpose_input(forward, W2W_SLOT_LORA_B, to, W2W_SLOT_LORA_A);
            transpose_input(forward, W2W_SLOT_LORA_A, to, W2W_SLOT_LORA_B);
        }
        return 0;
    }
    g_assert(slot == W2W_SLOT_LORA_A || slot == W2W_SLOT_LORA_B);
    to->op.kind = W2W_OP_LORA_GRADIENT;
    to->op.out = (W2wShape){1, 1, 1, rank * (x.c + forward->op.out.c)};
    copy_input(forward, W2W_SLOT_X, to, W2W_SLOT_X);
    take_d_out(forward, d_out, to, W2W_SLOT_D_OUT);
    copy_input(forward, W2W_SLOT_LORA_A, to, W2W_SLOT_LORA_A);
    copy_input(forward, W2W_SLOT_LORA_B, to, W2W_SLOT_LORA_B);
    return slot == W2W_SLOT_LORA_A ? 0 : (gint64)rank * x.c;
}

static void of_one_input(const W2wOpCase *forward, W2wOpKind kind, const float *d_out,
                         W2wOpCase *to)
{
    to->op.kind = kind;
    to->op.params = forward->op.params;
    to->op.activation = forward->op.activation;
    copy_weights(forward, to);
    copy_input(forward, W2W_SLOT_X, to, W2W_SLOT_X);
    take_d_out(forward, d_out, to, W2W_SLOT_D_OUT);
}

static void of_attention(const W2wOpCase *forward, gint slot, const float *d_out, W2wOpCase *to)
{
    const W2wShape shape = forward->op.in[slot];

    to->op.kind = W2W_OP_ATTENTION_GRADIENT;
    to->op.params = forward->op.params;
    to->op.params.attention.wanted[slot] = TRUE;
    to->op.out = (W2wShape){1, 1, (gint)w2w_shape_n_rows(shape), shape.c};
    for (gint i = W2W_SLOT_QUERY; i <= W2W_SLOT_VALUE; i++)
        copy_input(forward, i, to, i);
    take_d_out(forward, d_out, to, W2W_SLOT_ATTENTION_D_OUT);
}

W2wOpCase *w2w_op_case_new_gradient(const W2wOpCase *forward, gint slot, const float *d_out,
                                    gint64 *first)
{
    W2wOpCase *to = w2w_op_case_new(W2W_N_OPS, forward->name);

    *first = 0;
    to->op.out = forward->op.in[slot];
    to->float32_only = TRUE;
    switch (forward->op.kind) {
    case W2W_OP_CONV2D:
        of_conv2d(forward, d_out, to);
        to->float32_only = FALSE;
        break;
    case W2W_OP_LINEAR:
        *first = of_linear(forward, slot, d_out, to);
        to->float32_only = to->op.kind != W2W_OP_LINEAR;
        break;
    case W2W_OP_GROUP_NORM:
        of_one_input(forward, W2W_OP_GROUP_NORM_GRADIENT, d_out, to);
        break;
    case W2W_OP_LAYER_NORM:
        of_one_input(forward, W2W_OP_LAYER_NORM_GRADIENT, d_out, to);
        break;
    case W2W_OP_GEGLU:
        of_one_input(forward, W2W_OP_GEGLU_GRADIENT, d_out, to);
        break;
    case W2W_OP_ACTIVATION:
        of_one_input(forward, W2W_OP_ACTIVATION_GRADIENT, d_out, to);
        break;
    case W2W_OP_ATTENTION:
        of_attention(forward, slot, d_out, to);
        break;
    case W2W_OP_UPSAMPLE:
        to->op.kind = W2W_OP_UPSAMPLE_GRADIENT;
        take_d_out(forward, d_out, to, W2W_SLOT_X);
        break;
    case W2W_OP_MASKED_MSE:
        g_assert(slot == W2W_SLOT_PREDICTION);
        to->op.kind = W2W_OP_MASKED_MSE_GRADIENT;
        for (gint i = W2W_SLOT_PREDICTION; i <= W2W_SLOT_MASK; i++)
            copy_input(forward, i, to, i);
        take_d_out(forward, d_out, to, W2W_SLOT_D_LOSS);
        break;
    case W2W_OP_CONCAT:
        to->op.kind = W2W_OP_COLUMNS;
        if (slot == W2W_SLOT_SECOND)
            to->op.params.columns.first = forward->op.in[W2W_SLOT_FIRST].c;
        take_d_out(forward, d_out, to, W2W_SLOT_X);
        break;
    case W2W_OP_ADD:
        to->op.kind = W2W_OP_SUM;
        take_d_out(forward, d_out, to, W2W_SLOT_X);
        break;
    default:
        g_assert_not_reached();
    }
    return to;
}

/* --- central differences on the reference, in float64 from one end to the other --- */

typedef struct {
    W2wDevice *device;
    W2wKernel *kernel;
    double *in[W2W_N_SLOTS], *out;
    void *scratch;
    W2wOperands operands;
} Doubles;

static void doubles_init(Doubles *doubles, const W2wOpCase *test)
{
    const W2wDeviceOptions options = {.compute_type = W2W_COMPUTE_F64};
    g_autoptr(GError) error = NULL;

    *doubles = (Doubles){0};
    doubles->device = w2w_device_new("reference", &options, &error);
    g_assert_no_error(error);
    doubles->kernel = w2w_kernel_prepare(doubles->device, &test->op, &error);
    g_assert_no_error(error);
    for (gint slot = 0; slot < W2W_N_SLOTS; slot++) {
        const gint64 n = w2w_shape_n_elements(test->op.in[slot]);

        if (test->in[slot] == NULL)
            continue;
        doubles->in[slot] = g_new(double, n);
        for (gint64 i = 0; i < n; i++)
            doubles->in[slot][i] = test->in[slot][i];
        doubles->operands.in[slot] = doubles->in[slot];
    }
    doubles->operands.out = doubles->out = g_new(double, w2w_shape_n_elements(test->op.out));
    doubles->operands.scratch = doubles->scratch = g_malloc(doubles->kernel->scratch_size);
}

static void doubles_clear(Doubles *doubles)
{
    for (gint slot = 0; slot < W2W_N_SLOTS; slot++)
        g_free(doubles->in[slot]);
    g_free(doubles->out);
    g_free(doubles->scratch);
    w2w_kernel_free(doubles->kernel);
    w2w_device_free(doubles->device);
}

/* Σ d_out · out with one number of one input moved by this much. */
static double loss_at(Doubles *doubles, double *moved, double by, const float *d_out, gint64 n)
{
    const double before = *moved;
    double loss = 0.0;

    *moved = before + by;
    w2w_kernel_run(doubles->kernel, &doubles->operands);
    *moved = before;
    for (gint64 i = 0; i < n; i++)
        loss += d_out[i] * doubles->out[i];
    return loss;
}

void w2w_op_case_check_gradient(const W2wOpCase *forward, gint slot, GRand *random)
{
    const gint64 n = w2w_shape_n_elements(forward->op.in[slot]);
    const gint64 n_out = w2w_shape_n_elements(forward->op.out);
    const gint64 step = (n + W2W_OP_MAX_DIFFERENCES - 1) / W2W_OP_MAX_DIFFERENCES;
    const double h = 0x1p-10;
    g_autofree float *d_out = w2w_random_normal(random, n_out, 0.1, 1.0);
    gint64 first;
    g_autoptr(W2wOpCase) gradient = w2w_op_case_new_gradient(forward, slot, d_out, &first);
    Doubles there, back;
    double sum = 0.0, bound, largest = 0.0;

    doubles_init(&there, forward);
    doubles_init(&back, gradient);
    w2w_kernel_run(back.kernel, &back.operands);
    for (gint64 i = 0; i < n; i++)
        sum += pow(back.out[first + i], 2.0);
    bound = W2W_OP_DIFFERENCE * (1.0 + sqrt(sum / (double)n));
    for (gint64 i = 0; i < n; i += step) {
        double *x = &there.in[slot][i];
        const double near =
            loss_at(&there, x, h, d_out, n_out) - loss_at(&there, x, -h, d_out, n_out);
        const double far =
            loss_at(&there, x, 2.0 * h, d_out, n_out) - loss_at(&there, x, -2.0 * h, d_out, n_out);
        const double slope = (8.0 * near - far) / (12.0 * h); /* exact to h⁴ */
        const double error = fabs(slope - back.out[first + i]);

        if (!(error <= bound)) {
            g_test_message("%s: the gradient of element %" G_GINT64_FORMAT " of input %d is %.12g, "
                           "but central differences give %.12g (accepted: %.3g apart).",
                           forward->name, i, slot, back.out[first + i], slope, bound);
            g_test_fail();
            break;
        }
        largest = MAX(largest, error / bound);
    }
    g_test_message("%s, input %d: central differences are up to %.3f of what is accepted away",
                   forward->name, slot, largest);
    doubles_clear(&back);
    doubles_clear(&there);
}

void w2w_op_case_check_gradient_on_devices(const W2wOpCase *forward, gint slot, GRand *random,
                                           W2wOpMagnitudeFunc magnitude)
{
    g_autofree float *d_out =
        w2w_random_normal(random, w2w_shape_n_elements(forward->op.out), 0.1, 1.0);
    gint64 first;
    g_autoptr(W2wOpCase) gradient = w2w_op_case_new_gradient(forward, slot, d_out, &first);

    w2w_op_case_check(gradient, magnitude);
}

/* --- norms --- */

/* What is normalised together: a group of an image, or a row. */
typedef struct {
    gint64 first, n_rows; /* its first element, and how often its channels come again */
    gint first_channel, width;
    double eps;
} Group;

/*
 * d_x = (g − mean g − x̂ mean(g x̂)) / sqrt(variance + eps) + d_residual: x̂ is off by the roundings
 * of x and of the mean, in units of the deviation; g by those of its own product, and by what
 * SiLU's slope makes of x̂'s.
 */
static void accumulate_group(const W2wOpCase *test, const Group *group, double *magnitude)
{
    const gint step = test->op.out.c;
    const double count = (double)group->n_rows * group->width;
    const gsize n = (gsize)group->n_rows * group->width;
    g_autofree double *normal = g_new(double, n), *of_normal = g_new(double, n);
    g_autofree double *g = g_new(double, n), *of_g = g_new(double, n);
    const float *x = test->in[W2W_SLOT_X] + group->first;
    const float *d_out = test->in[W2W_SLOT_D_OUT] + group->first;
    double mean = 0.0, of_mean = 0.0, variance = 0.0, scale;
    double of_mean_g = 0.0, mean_g_x = 0.0, of_mean_g_x = 0.0;

    for (gsize i = 0; i < n; i++) {
        const double value = x[i / group->width * step + i % group->width];

        mean += value / count;
        of_mean += fabs(value) / count;
    }
    for (gsize i = 0; i < n; i++)
        variance += pow(x[i / group->width * step + i % group->width] - mean, 2.0) / count;
    scale = 1.0 / sqrt(variance + group->eps);
    for (gsize i = 0; i < n; i++) {
        const gsize at = i / group->width * step + i % group->width;
        const gint channel = group->first_channel + (gint)(i % group->width);
        const double weight = w2w_array_get(test->op.weight[W2W_WEIGHT], channel);
        const double bias = w2w_array_get(test->op.weight[W2W_BIAS], channel);
        const double y = (x[at] - mean) * scale * weight + bias;

        normal[i] = (x[at] - mean) * scale;
        of_normal[i] = (fabs((double)x[at]) + of_mean) * scale;
        g[i] = fabs(d_out[at] * weight);
        of_g[i] = g[i];
        if (test->op.activation == W2W_ACTIVATION_SILU) /* whose second derivative is below ½ */
            of_g[i] += g[i] * (w2w_op_magnitude_of_slope(y) +
                               0.5 * (of_normal[i] * fabs(weight) + fabs(bias)));
        of_mean_g += of_g[i] / count;
        mean_g_x += g[i] * fabs(normal[i]) / count;
        of_mean_g_x += (of_g[i] * fabs(normal[i]) + g[i] * of_normal[i]) / count;
    }
    for (gsize i = 0; i < n; i++) {
        const gint64 at = group->first + (gint64)(i / group->width * step + i % group->width);

        magnitude[at] =
            scale * (of_g[i] + of_mean_g + fabs(normal[i]) * of_mean_g_x + of_normal[i] * mean_g_x);
        if (test->in[W2W_SLOT_D_RESIDUAL] != NULL)
            magnitude[at] += fabs((double)test->in[W2W_SLOT_D_RESIDUAL][at]);
    }
}

static void accumulated_by_norm(const W2wOpCase *test, const float *expected, double *magnitude)
{
    const W2wShape out = test->op.out;
    const gint64 n_rows = w2w_shape_n_rows(out), n_pixels = (gint64)out.h * out.w;

    if (test->op.kind == W2W_OP_LAYER_NORM_GRADIENT) {
        for (gint64 row = 0; row < n_rows; row++)
            accumulate_group(test,
                             &(Group){row * out.c, 1, 0, out.c, test->op.params.layer_norm.eps},
                             magnitude);
        return;
    }
    for (gint n = 0; n < out.n; n++)
        for (gint i = 0; i < test->op.params.group_norm.n_groups; i++) {
            const gint width = out.c / test->op.params.group_norm.n_groups;
            const Group group = {n * n_pixels * out.c + i * width, n_pixels, i * width, width,
                                 test->op.params.group_norm.eps};

            accumulate_group(test, &group, magnitude);
        }
}

/* On the reference: what comes out with the residual's gradient is what does without, plus it. */
static void check_residual(W2wOpCase *gradient)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wDevice) reference = w2w_device_new("reference", NULL, &error);
    const gint64 n = w2w_shape_n_elements(gradient->op.out);
    const W2wShape shape = gradient->op.in[W2W_SLOT_D_RESIDUAL];
    float *residual = g_steal_pointer(&gradient->in[W2W_SLOT_D_RESIDUAL]);
    g_autofree float *without = NULL, *with = NULL;

    g_assert_no_error(error);
    gradient->op.in[W2W_SLOT_D_RESIDUAL] = (W2wShape){0};
    without = w2w_op_case_run(gradient, reference);
    w2w_op_case_take_input(gradient, W2W_SLOT_D_RESIDUAL, shape, residual);
    with = w2w_op_case_run(gradient, reference);
    for (gint64 i = 0; i < n; i++)
        g_assert_cmpfloat_with_epsilon(with[i], (double)without[i] + residual[i],
                                       0x1p-23 * (fabsf(without[i]) + fabsf(residual[i])));
}

void w2w_op_case_check_norm_gradient(const W2wOpCase *forward, gboolean residual, GRand *random)
{
    const gint64 n = w2w_shape_n_elements(forward->op.out);
    g_autofree float *d_out = w2w_random_normal(random, n, 0.1, 1.0);
    gint64 first;
    g_autoptr(W2wOpCase) gradient = w2w_op_case_new_gradient(forward, W2W_SLOT_X, d_out, &first);

    if (residual) {
        w2w_op_case_random_input(gradient, W2W_SLOT_D_RESIDUAL, gradient->op.out, random, 0.0, 2.0);
        check_residual(gradient);
    }
    w2w_op_case_check(gradient, accumulated_by_norm);
}

/* --- losses --- */

W2wOpCase *w2w_op_case_new_masked_mse(GRand *random, W2wShape shape, double deviation,
                                      W2wOpMaskKind mask)
{
    const W2wShape of_mask = {shape.n, shape.h, shape.w, 1};
    const gint64 n = w2w_shape_n_elements(of_mask);
    g_autofree char *name = g_strdup_printf("masked_mse %d x %d x %d x %d, mask %d", shape.n,
                                            shape.h, shape.w, shape.c, mask);
    W2wOpCase *test = w2w_op_case_new(W2W_OP_MASKED_MSE, name);
    float *values = g_new(float, n);

    for (gint64 i = 0; i < n; i++)
        switch (mask) {
        case W2W_OP_MASK_SOFT:
            values[i] = (float)g_rand_double(random);
            break;
        case W2W_OP_MASK_HARD:
            values[i] = g_rand_boolean(random) ? 1.0f : 0.0f;
            break;
        case W2W_OP_MASK_NOTHING:
            values[i] = 0.0f;
            break;
        }
    test->op.out = (W2wShape){shape.n, 1, 1, 1};
    test->float32_only = TRUE;
    w2w_op_case_random_input(test, W2W_SLOT_PREDICTION, shape, random, 0.0, deviation);
    w2w_op_case_random_input(test, W2W_SLOT_TARGET, shape, random, 0.0, deviation);
    w2w_op_case_take_input(test, W2W_SLOT_MASK, of_mask, values);
    return test;
}
