/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * geglu_gradient: of geglu's 2C columns u, g and d_out of C: d_u = d_out · gelu(g),
 * d_g = d_out · u · gelu'(g). PyTorch: what autograd gives for u * F.gelu(g).
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint n_channels = op->out.c / 2;

    for (gint64 row = 0; row < n_rows; row++)
        for (gint c = 0; c < n_channels; c++) {
            const gint64 i = row * 2 * n_channels + c;
            const double u = in[W2W_SLOT_X][i], g = in[W2W_SLOT_X][i + n_channels];
            const double d_out = in[W2W_SLOT_D_OUT][row * n_channels + c];

            out[i] = d_out * w2w_reference_activate(W2W_ACTIVATION_GELU, g);
            out[i + n_channels] =
                d_out * u * w2w_reference_activation_slope(W2W_ACTIVATION_GELU, g);
        }
}

W2wKernel *w2w_reference_prepare_geglu_gradient(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
