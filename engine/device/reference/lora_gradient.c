/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lora_gradient: of y = … + lora_scale · B (A x), summed over all rows: d_A = lora_scale · Bᵀ
 * d_outᵀ x, (rank, in), then d_B = lora_scale · d_outᵀ (x Aᵀ), (out, rank). PyTorch: what autograd
 * gives for PEFT's LoRA linear layer, whose scale is alpha / rank.
 */
#include "engine/device/reference/reference.h"

#include <string.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const gint64 n_rows = w2w_shape_n_rows(op->in[W2W_SLOT_X]);
    const gint n_in = op->in[W2W_SLOT_X].c, n_out = op->in[W2W_SLOT_D_OUT].c;
    const gint rank = op->in[W2W_SLOT_LORA_A].w;
    const double scale = op->params.linear.lora_scale;
    const double *x = in[W2W_SLOT_X], *d_out = in[W2W_SLOT_D_OUT];
    double *d_a = out, *d_b = out + (gint64)rank * n_in;

    memset(out, 0, (gsize)w2w_shape_n_elements(op->out) * sizeof *out);
    for (gint64 row = 0; row < n_rows; row++, x += n_in, d_out += n_out)
        for (gint r = 0; r < rank; r++) {
            const double *a = in[W2W_SLOT_LORA_A] + (gint64)r * n_in;
            const double *b = in[W2W_SLOT_LORA_B] + r;
            double a_x = 0.0, b_d_out = 0.0;

            for (gint i = 0; i < n_in; i++)
                a_x += a[i] * x[i];
            for (gint o = 0; o < n_out; o++)
                b_d_out += b[(gint64)o * rank] * d_out[o];
            for (gint i = 0; i < n_in; i++)
                d_a[(gint64)r * n_in + i] += scale * b_d_out * x[i];
            for (gint o = 0; o < n_out; o++)
                d_b[(gint64)o * rank + r] += scale * d_out[o] * a_x;
        }
}

W2wKernel *w2w_reference_prepare_lora_gradient(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_kernel_new(device, op, run, 0, error);
}
