/* SPDX-License-Identifier: GPL-3.0-or-later */
/* linear on the cpu: the product of gemm.h with one tap; the LoRA is part of the epilogue. */
#include "engine/device/cpu/gemm.h"

static void find_rows(const W2wKernel *base, const w2w_element *x, gint phase, gint64 first, gint n,
                      W2wGemmTile *tile)
{
    const gint n_channels = ((const W2wGemmKernel *)base)->n_channels;

    tile->n_taps = 1;
    tile->n_channels = n_channels;
    for (gint i = 0; i < n; i++) {
        tile->rows[i] = x + (first + i) * n_channels;
        tile->out[i] = first + i;
    }
}

static void free_linear(W2wKernel *base)
{
    W2W_CPU_SYMBOL(gemm_clear)((W2wGemmKernel *)base);
    g_free(base);
}

W2wKernel *W2W_CPU_SYMBOL(prepare_linear)(W2wDevice *device, const W2wOp *op, GError **error)
{
    W2wGemmKernel *kernel = g_new0(W2wGemmKernel, 1);

    kernel->parent.free = free_linear;
    kernel->rows_func = find_rows;
    if (!W2W_CPU_SYMBOL(gemm_init)(kernel, device, op,
                                   op->params.linear.transposed ? W2W_GEMM_TURNED : W2W_GEMM_PLAIN,
                                   error)) {
        free_linear(&kernel->parent);
        return NULL;
    }
    return &kernel->parent;
}
