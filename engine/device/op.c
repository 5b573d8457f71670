/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of the ops, and how much arithmetic each of them is. */
#include "engine/device/op.h"

static const char *const names[W2W_N_OPS] = {
    [W2W_OP_CONV2D] = "conv2d",
    [W2W_OP_LINEAR] = "linear",
    [W2W_OP_GROUP_NORM] = "group_norm",
    [W2W_OP_LAYER_NORM] = "layer_norm",
    [W2W_OP_ATTENTION] = "attention",
    [W2W_OP_GEGLU] = "geglu",
    [W2W_OP_ACTIVATION] = "activation",
    [W2W_OP_ADD] = "add",
    [W2W_OP_CONCAT] = "concat",
    [W2W_OP_UPSAMPLE] = "upsample",
    [W2W_OP_TOKEN_EMBEDDING] = "token_embedding",
    [W2W_OP_TIMESTEP_EMBEDDING] = "timestep_embedding",
    [W2W_OP_GROUP_NORM_GRADIENT] = "group_norm_gradient",
    [W2W_OP_LAYER_NORM_GRADIENT] = "layer_norm_gradient",
    [W2W_OP_ATTENTION_GRADIENT] = "attention_gradient",
    [W2W_OP_GEGLU_GRADIENT] = "geglu_gradient",
    [W2W_OP_ACTIVATION_GRADIENT] = "activation_gradient",
    [W2W_OP_UPSAMPLE_GRADIENT] = "upsample_gradient",
    [W2W_OP_LORA_GRADIENT] = "lora_gradient",
    [W2W_OP_MASKED_MSE] = "masked_mse",
    [W2W_OP_MASKED_MSE_GRADIENT] = "masked_mse_gradient",
    [W2W_OP_COLUMNS] = "columns",
    [W2W_OP_TRANSPOSE] = "transpose",
    [W2W_OP_SUM] = "sum",
    [W2W_OP_SLICE] = "slice",
};

const char *w2w_op_kind_name(W2wOpKind kind)
{
    return names[kind];
}

/* Per element, an exponential or error function counted as one operation. */
#define FLOPS_ACTIVATION 4.0
#define FLOPS_NORM       8.0 /* mean 1, variance 3, normalise and scale 4 */
#define FLOPS_SOFTMAX    4.0 /* largest, difference, exponential, sum */

static double flops_activation(const W2wOp *op)
{
    switch (op->activation) {
    case W2W_ACTIVATION_NONE:
        return 0.0;
    case W2W_ACTIVATION_GEGLU:
        return (FLOPS_ACTIVATION + 1.0) * (double)w2w_shape_n_elements(op->out);
    default:
        return FLOPS_ACTIVATION * (double)w2w_shape_n_elements(op->out);
    }
}

/* What conv2d and linear share: `per_output` multiply-adds and what is added to every sum. */
static double flops_of_sums(const W2wOp *op, double per_output)
{
    const double n_columns = op->activation == W2W_ACTIVATION_GEGLU ? 2.0 * op->out.c : op->out.c;
    const double n_sums = (double)w2w_shape_n_rows(op->out) * n_columns;
    const gint n_added = (op->weight[W2W_BIAS] != NULL) + (op->in[W2W_SLOT_RESIDUAL].n > 0) +
                         (op->in[W2W_SLOT_IMAGE_BIAS].n > 0);

    return n_sums * (2.0 * per_output + n_added) + flops_activation(op);
}

static double flops_conv2d(const W2wOp *op)
{
    double n_taps = (double)op->params.conv2d.kernel_h * op->params.conv2d.kernel_w;

    if (op->params.conv2d.rotated && op->params.conv2d.upsampled_h > 0)
        n_taps *= (double)op->params.conv2d.upsampled_h * op->params.conv2d.upsampled_w /
                  ((double)op->out.h * op->out.w);
    if (op->params.conv2d.zeros_between > 1) /* of those that do not meet a zero */
        n_taps /= (double)op->params.conv2d.zeros_between * op->params.conv2d.zeros_between;
    return flops_of_sums(op, n_taps * op->in[W2W_SLOT_X].c);
}

static double flops_linear(const W2wOp *op)
{
    const double n_rows = (double)w2w_shape_n_rows(op->out);
    const double rank = op->in[W2W_SLOT_LORA_A].w;

    return flops_of_sums(op, op->in[W2W_SLOT_X].c + rank) +
           2.0 * n_rows * rank * op->in[W2W_SLOT_X].c;
}

static double flops_attention(const W2wOp *op)
{
    const W2wShape key = op->in[W2W_SLOT_KEY];
    const double n_queries = (double)op->out.h * op->out.w, n_keys = (double)key.h * key.w;
    double n_pairs = n_queries * n_keys; /* per image and head */

    if (op->params.attention.causal) {
        const double n = MIN(n_queries, n_keys);

        n_pairs = n * (n + 1.0) / 2.0 + (n_queries - n) * n_keys;
    }
    return op->out.n * n_pairs * (4.0 * op->out.c + FLOPS_SOFTMAX * op->params.attention.n_heads);
}

/* Scores and their gradients again, and two products for what is wanted of each. */
static double flops_attention_gradient(const W2wOp *op)
{
    const W2wShape query = op->in[W2W_SLOT_QUERY], key = op->in[W2W_SLOT_KEY];
    const double n_pairs = (double)w2w_shape_n_rows(query) * key.h * key.w;
    const gboolean *wanted = op->params.attention.wanted;
    const gint n_products = 2 + (wanted[0] != 0) + (wanted[1] != 0) + (wanted[2] != 0);

    return n_pairs *
           (2.0 * n_products * query.c + (FLOPS_SOFTMAX + 4.0) * op->params.attention.n_heads);
}

double w2w_op_flops(const W2wOp *op)
{
    const double n_elements = (double)w2w_shape_n_elements(op->out);

    switch (op->kind) {
    case W2W_OP_CONV2D:
        return flops_conv2d(op);
    case W2W_OP_LINEAR:
        return flops_linear(op);
    case W2W_OP_ATTENTION:
        return flops_attention(op);
    case W2W_OP_GROUP_NORM:
    case W2W_OP_LAYER_NORM:
        return FLOPS_NORM * n_elements + flops_activation(op);
    case W2W_OP_GEGLU:
        return (FLOPS_ACTIVATION + 1.0) * n_elements;
    case W2W_OP_ACTIVATION:
        return flops_activation(op);
    case W2W_OP_ADD:
    case W2W_OP_TOKEN_EMBEDDING:
    case W2W_OP_TIMESTEP_EMBEDDING:
        return n_elements;
    case W2W_OP_GROUP_NORM_GRADIENT:
    case W2W_OP_LAYER_NORM_GRADIENT:
        return 2.0 * FLOPS_NORM * n_elements + 2.0 * flops_activation(op);
    case W2W_OP_ATTENTION_GRADIENT:
        return flops_attention_gradient(op);
    case W2W_OP_GEGLU_GRADIENT:
    case W2W_OP_ACTIVATION_GRADIENT:
        return 2.0 * FLOPS_ACTIVATION * n_elements;
    case W2W_OP_UPSAMPLE_GRADIENT:
    case W2W_OP_SUM:
        return (double)w2w_shape_n_elements(op->in[W2W_SLOT_X]);
    case W2W_OP_LORA_GRADIENT: /* A x and Bᵀ d_out, then both products with them */
        return 4.0 * (double)w2w_shape_n_rows(op->in[W2W_SLOT_X]) * n_elements;
    case W2W_OP_MASKED_MSE:
    case W2W_OP_MASKED_MSE_GRADIENT:
        return 4.0 * (double)w2w_shape_n_elements(op->in[W2W_SLOT_PREDICTION]);
    case W2W_OP_CONCAT:
    case W2W_OP_UPSAMPLE:
    case W2W_OP_COLUMNS:
    case W2W_OP_TRANSPOSE:
    case W2W_OP_SLICE:
    case W2W_N_OPS:
        break;
    }
    return 0.0;
}
