/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * geglu: of 2C columns u, g → C columns u · gelu(g), gelu with erf. diffusers: GEGLU after its
 * linear layer; PyTorch: u, g = x.chunk(2, -1); u * F.gelu(g).
 */
#include "engine/device/reference/reference.h"

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint n_channels = op->out.c;

    for (gint64 row = 0; row < n_rows; row++)
        for (gint c = 0; c < n_channels; c++) {
            const gint64 i = row * 2 * n_channels + c;
            const double u = in[W2W_SLOT_X][i];
            const double g = in[W2W_SLOT_X][i + n_channels];

            out[row * n_channels + c] = u * w2w_reference_activate(W2W_ACTIVATION_GELU, g);
        }
}

W2wKernel *w2w_reference_prepare_geglu(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
