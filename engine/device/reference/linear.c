/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * linear: y = f(W x + lora_scale · B (A x) + bias + residual + image_bias) for every row x; Wᵀ x
 * where the op is transposed, which is how a linear layer's gradient is one (op.h). PyTorch:
 * nn.Linear (or nn.Conv2d with a 1×1 kernel); PEFT's LoRA linear layer, whose scale is
 * alpha / rank.
 */
#include "engine/device/reference/reference.h"

#include <string.h>

static void run(const W2wReferenceKernel *kernel, const double *const *in, double *out,
                double *scratch)
{
    const W2wOp *op = &kernel->op;
    const double *x = in[W2W_SLOT_X];
    const double *lora_a = in[W2W_SLOT_LORA_A]; /* (rank, in) */
    const double *lora_b = in[W2W_SLOT_LORA_B]; /* (out, rank) */
    const gint64 n_rows = w2w_shape_n_rows(op->out);
    const gint n_in = op->in[W2W_SLOT_X].c, n_out = w2w_reference_n_columns(op);
    const gint rank = lora_a != NULL ? op->in[W2W_SLOT_LORA_A].w : 0;
    double *sums = scratch, *a_x = sums + n_out; /* (out), (rank) */

    for (gint64 row = 0; row < n_rows; row++, x += n_in) {
        memset(sums, 0, (gsize)n_out * sizeof *sums);
        w2w_reference_add_product(kernel->weight[W2W_WEIGHT], n_in, n_out, x, sums);
        for (gint r = 0; r < rank; r++) {
            a_x[r] = 0.0;
            for (gint i = 0; i < n_in; i++)
                a_x[r] += lora_a[(gint64)r * n_in + i] * x[i];
        }
        for (gint o = 0; o < n_out; o++) {
            double b_a_x = 0.0;

            for (gint r = 0; r < rank; r++)
                b_a_x += lora_b[(gint64)o * rank + r] * a_x[r];
            sums[o] += op->params.linear.lora_scale * b_a_x;
        }
        w2w_reference_finish_row(kernel, in, row, sums, out);
    }
}

W2wKernel *w2w_reference_prepare_linear(W2wDevice *device, const W2wOp *op, GError **error)
{
    return w2w_reference_product_new(device, op, run, op->in[W2W_SLOT_LORA_A].w, error);
}
