/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reference device from the inside: the definition of every op, written to be read.
 *
 * One file per op, whose head names the equation and the PyTorch layer. Naive loops, sums
 * in double precision, weights converted to double once, one thread: what another device
 * computes is wrong when it differs from this by more than float32 rounding explains.
 * Never used for real work.
 *
 * An op sees doubles only. What lies between ops is the compute type's: float64 (the
 * definition of a whole network), float32, or bf16: float32 again, but every op's output is rounded
 * to bfloat16 (to nearest, ties to even), and nothing else is: neither inputs nor weights. That is
 * the yardstick of what bfloat16 between ops must cost.
 */
#pragma once

#include "engine/device/device.h"

G_BEGIN_DECLS

/* f32 (auto), f64 or bf16. W2W_ERROR_MEMORY is possible in its kernels only. */
W2wDevice *w2w_reference_device_new(const W2wDeviceOptions *options, GError **error);
char *w2w_reference_device_describe(const W2wDevice *device);

typedef struct _W2wReferenceKernel W2wReferenceKernel;

/* One run of one op; in: as the op's input slots, NULL where absent. Shapes are in kernel->op. */
typedef void (*W2wReferenceRunFunc)(const W2wReferenceKernel *kernel, const double *const *in,
                                    double *out, double *scratch);

/* All of the device's kernels: the op's description, its weights as doubles in PyTorch's layout. */
struct _W2wReferenceKernel {
    W2wKernel parent;
    W2wOp op;
    double *weight[W2W_N_WEIGHTS]; /* NULL where the op has none */
    W2wReferenceRunFunc run;
    gsize n_scratch;
};

/* Converts the weights; W2W_ERROR_MEMORY. n_scratch: doubles that a run needs for itself. */
W2wKernel *w2w_reference_kernel_new(W2wDevice *device, const W2wOp *op, W2wReferenceRunFunc run,
                                    gsize n_scratch, GError **error);

/*
 * The same for conv2d and linear: room for `out` sums comes before n_scratch, and W2W_WEIGHT is
 * turned round to (kh,kw,in,out), so that the inner loop of a product goes through memory in order.
 * `in` and `out` are the op's: of a rotated or transposed weight they are its `out` and `in`.
 */
W2wKernel *w2w_reference_product_new(W2wDevice *device, const W2wOp *op, W2wReferenceRunFunc run,
                                     gsize n_scratch, GError **error);

/* sums[o] += Σ_i weight[i][o] x[i]: one tap of a product. */
void w2w_reference_add_product(const double *weight, gint n_in, gint n_out, const double *x,
                               double *sums);

/* Element (n,y,x,c) of an activation of this shape. */
static inline gint64 w2w_reference_at(W2wShape shape, gint n, gint y, gint x, gint c)
{
    return (((gint64)n * shape.h + y) * shape.w + x) * shape.c + c;
}

/* activation(x) of one number, and d activation(x) / d x; GEGLU is none of these. */
double w2w_reference_activate(W2wActivation activation, double x);
double w2w_reference_activation_slope(W2wActivation activation, double x);

/*
 * The end of a convolution or linear layer. `sums` (columns) is what the weights gave for
 * one row of the output, n_columns = out.c, or 2 out.c where GEGLU follows: adds the bias,
 * then the residual and the image bias, which have as many columns, applies the activation
 * and writes the row.
 */
void w2w_reference_finish_row(const W2wReferenceKernel *kernel, const double *const *in, gint64 row,
                              double *sums, double *out);

/* Columns before the activation: out.c, twice that for GEGLU. */
gint w2w_reference_n_columns(const W2wOp *op);

W2wKernel *w2w_reference_prepare_activation(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_activation_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_add(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_attention(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_attention_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_columns(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_concat(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_conv2d(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_geglu(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_geglu_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_group_norm(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_group_norm_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_layer_norm(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_layer_norm_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_linear(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_lora_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_masked_mse(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_masked_mse_gradient(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_sum(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_timestep_embedding(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_token_embedding(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_transpose(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_upsample(W2wDevice *, const W2wOp *, GError **);
W2wKernel *w2w_reference_prepare_upsample_gradient(W2wDevice *, const W2wOp *, GError **);

G_END_DECLS
