/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reference device from the inside: the definition of every op, written to be read.
 *
 * One file per op, whose head names the equation and the PyTorch layer. Naive loops, sums
 * in double precision, weights converted to double once, one thread: what another device
 * computes is wrong when it differs from this by more than float32 rounding explains.
 * Never used for real work.
 */
#pragma once

#include "engine/device/device.h"

G_BEGIN_DECLS

/* "reference" has no options. W2W_ERROR_MEMORY is possible in its kernels only. */
W2wDevice *w2w_reference_device_new(const W2wDeviceOptions *options, GError **error);
char *w2w_reference_device_describe(const W2wDevice *device);

/* All of the device's kernels: the op's description, its weights as doubles in PyTorch's layout. */
typedef struct {
    W2wKernel parent;
    W2wOp op;
    double *weight[W2W_N_WEIGHTS]; /* NULL where the op has none */
} W2wReferenceKernel;

/* Converts the weights; W2W_ERROR_MEMORY. scratch_size in bytes. */
W2wKernel *w2w_reference_kernel_new(W2wDevice *device, const W2wOp *op,
                                    void (*run)(const W2wKernel *, const W2wOperands *),
                                    gsize scratch_size, GError **error);

/* Every access to an activation goes through the next two. */
static inline double w2w_reference_get(const void *activation, gint64 element)
{
    return ((const float *)activation)[element];
}

static inline void w2w_reference_set(void *activation, gint64 element, double value)
{
    ((float *)activation)[element] = (float)value;
}

/* Element (n,y,x,c) of an activation of this shape. */
static inline gint64 w2w_reference_at(W2wShape shape, gint n, gint y, gint x, gint c)
{
    return (((gint64)n * shape.h + y) * shape.w + x) * shape.c + c;
}

/* activation(x) of one number; GEGLU is none of these. */
double w2w_reference_activate(W2wActivation activation, double x);

/*
 * The end of a convolution or linear layer. `sums` (columns) is what the weights gave for
 * one row of the output, n_columns = out.c, or 2 out.c where GEGLU follows: adds the bias,
 * then the residual and the image bias, which have as many columns, applies the activation
 * and writes the row.
 */
void w2w_reference_finish_row(const W2wReferenceKernel *kernel, const W2wOperands *operands,
                              gint64 row, double *sums);

/* Columns before the activation: out.c, twice that for GEGLU. */
gint w2w_reference_n_columns(const W2wOp *op);

W2wKernel *w2w_reference_prepare_activation(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_add(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_attention(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_concat(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_conv2d(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_geglu(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_group_norm(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_layer_norm(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_linear(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_timestep_embedding(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_token_embedding(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_upsample(W2wDevice *, const W2wOp *, GError **);

G_END_DECLS
