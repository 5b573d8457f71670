/* SPDX-License-Identifier: GPL-3.0-or-later */
/* linear on the cpu: the product of gemm.h with one tap; the LoRA is part of the epilogue. */
#include "engine/device/cpu/gemm.h"

static void find_rows(const W2wKernel *base, const float *x, gint64 first, gint n,
                      const float **rows)
{
    const gint n_channels = ((const W2wGemmKernel *)base)->n_channels;

    for (gint i = 0; i < n; i++)
        rows[i] = x + (first + i) * n_channels;
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
    if (!W2W_CPU_SYMBOL(gemm_init)(kernel, device, op, error)) {
        free_linear(&kernel->parent);
        return NULL;
    }
    return &kernel->parent;
}
