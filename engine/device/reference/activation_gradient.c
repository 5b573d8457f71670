/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * activation_gradient: d_x = f'(x) · d_out, element by element. With s = sigmoid(x): SiLU's slope
 * is s (1 + x (1 − s)); quick GELU's the same of 1.702 x; GELU's is Φ(x) + x φ(x). PyTorch: what
 * autograd gives for nn.SiLU, nn.GELU(approximate='none') and CLIP's quick GELU.
 */
#include "engine/device/reference/reference.h"

#include <math.h>

static double sigmoid_slope(double x)
{
    const double s = 1.0 / (1.0 + exp(-x)), rest = 1.0 / (1.0 + exp(x)); /* rest: 1 − s */

    return s * (1.0 + x * rest);
}

double w2w_reference_activation_slope(W2wActivation activation, double x)
{
    switch (activation) {
    case W2W_ACTIVATION_NONE:
        return 1.0;
    case W2W_ACTIVATION_SILU:
        return sigmoid_slope(x);
    case W2W_ACTIVATION_GELU:
        return 0.5 * erfc(-x * M_SQRT1_2) + x * exp(-0.5 * x * x) / sqrt(2.0 * G_PI);
    case W2W_ACTIVATION_QUICK_GELU:
        return sigmoid_slope(1.702 * x);
    case W2W_ACTIVATION_GEGLU: /* of two columns: geglu_gradient.c */
        break;
    }
    g_assert_not_reached();
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n = w2w_shape_n_elements(op->out);

    for (gint64 i = 0; i < n; i++)
        out[i] = w2w_reference_activation_slope(op->activation, in[W2W_SLOT_X][i]) *
                 in[W2W_SLOT_D_OUT][i];
}

W2wKernel *w2w_reference_prepare_activation_gradient(W2wDevice *device, const W2wOp *op,
                                                     GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
