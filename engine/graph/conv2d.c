/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records a convolution; one that only mixes channels (1×1) is recorded as the linear layer it is.
 */
#include "engine/graph/graph_internal.h"

W2wTensor *w2w_conv2d(W2wGraph *graph, W2wTensor *x, W2wArray *weight, W2wArray *bias,
                      const W2wConv2dParams *params)
{
    const W2wShape in = w2w_tensor_get_shape(x);
    const gint padding = 2 * params->padding + (params->asymmetric ? 1 : 0); /* of both sides */
    W2wOp op = {.kind = W2W_OP_CONV2D, .weight = {[W2W_WEIGHT] = weight, [W2W_BIAS] = bias}};
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = x};

    g_assert(weight != NULL && weight->n_dims == 4 && weight->shape[1] == in.c);
    g_assert(weight->shape[2] == params->kernel && weight->shape[3] == params->kernel);
    g_assert(bias == NULL || bias->n_elements == weight->shape[0]);
    g_assert(params->stride > 0 && (!params->asymmetric || params->padding == 0));
    g_assert(in.h + padding >= params->kernel && in.w + padding >= params->kernel);
    if (params->kernel == 1 && params->stride == 1 && padding == 0)
        return w2w_linear(graph, x, weight, bias);

    op.out =
        (W2wShape){in.n, (in.h + padding - params->kernel) / params->stride + 1,
                   (in.w + padding - params->kernel) / params->stride + 1, (gint)weight->shape[0]};
    op.params.conv2d.kernel_h = params->kernel;
    op.params.conv2d.kernel_w = params->kernel;
    op.params.conv2d.stride = params->stride;
    op.params.conv2d.pad_top = params->padding;
    op.params.conv2d.pad_left = params->padding;
    return w2w_graph_append(graph, &op, inputs);
}

/*
 * d_x[i] = Σ d_out[o] W[k] over s·o − pad + k = i. With the kernel turned round, k' = K − 1 − k,
 * and d_out spread s-fold that is a convolution of stride 1 with padding K − 1 − pad.
 */
void w2w_conv2d_vjp(W2wGradient *walk, W2wTensor *node, W2wTensor *d_out)
{
    W2wTensor *x = node->in[W2W_SLOT_X];
    W2wTensor *const inputs[W2W_N_SLOTS] = {[W2W_SLOT_X] = d_out};
    W2wOp op = {.kind = W2W_OP_CONV2D,
                .out = x->shape,
                .weight = {[W2W_WEIGHT] = node->op.weight[W2W_WEIGHT]},
                .params.conv2d = node->op.params.conv2d};

    g_assert(!op.params.conv2d.rotated && op.params.conv2d.upsampled_h == 0);
    op.params.conv2d.rotated = TRUE;
    op.params.conv2d.zeros_between = op.params.conv2d.stride > 1 ? op.params.conv2d.stride : 0;
    op.params.conv2d.stride = 1;
    op.params.conv2d.pad_top = op.params.conv2d.kernel_h - 1 - op.params.conv2d.pad_top;
    op.params.conv2d.pad_left = op.params.conv2d.kernel_w - 1 - op.params.conv2d.pad_left;
    w2w_gradient_add(walk, x, w2w_graph_append(w2w_gradient_get_graph(walk), &op, inputs));
}
