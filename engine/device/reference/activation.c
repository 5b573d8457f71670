/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * activation: y = f(x), element by element. PyTorch: nn.SiLU, nn.GELU(approximate='none'),
 * and the quick GELU of OpenAI's CLIP, x sigmoid(1.702 x).
 */
#include "engine/device/reference/reference.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

double w2w_reference_activate(W2wActivation activation, double x)
{
    switch (activation) {
    case W2W_ACTIVATION_NONE:
        return x;
    case W2W_ACTIVATION_SILU:
        return x * sigmoid(x);
    case W2W_ACTIVATION_GELU:
        return x * 0.5 * erfc(-x * M_SQRT1_2); /* erfc: 1 + erf(x) has no digits left far below 0 */
    case W2W_ACTIVATION_QUICK_GELU:
        return x * sigmoid(1.702 * x);
    case W2W_ACTIVATION_GEGLU: /* of two columns: w2w_reference_finish_row(), geglu.c */
        break;
    }
    g_assert_not_reached();
}

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n = w2w_shape_n_elements(op->out);

    for (gint64 i = 0; i < n; i++) {
        const double x = in[W2W_SLOT_X][i];

        out[i] = w2w_reference_activate(op->activation, x);
    }
}

W2wKernel *w2w_reference_prepare_activation(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
