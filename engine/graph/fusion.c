/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fusion: a producer that only one op reads becomes part of that op.
 *
 * The merged op always takes the place of the *later* of the two, so that everything else
 * that it reads has been computed by then. Models record plain ops; what a device can do in one
 * kernel is known here and nowhere else.
 */
#include "engine/graph/graph_internal.h"

/* Is `tensor` made by an op of this kind, for one reader only? */
static gboolean is_private(const W2wTensor *tensor, W2wOpKind kind)
{
    return tensor->input_name == NULL && !tensor->dead && tensor->op.kind == kind &&
           tensor->n_uses == 1 && !tensor->is_output;
}

/* A matrix product whose epilogue is still free of an activation. */
static gboolean is_open_product(const W2wTensor *tensor)
{
    return (is_private(tensor, W2W_OP_CONV2D) || is_private(tensor, W2W_OP_LINEAR)) &&
           tensor->op.activation == W2W_ACTIVATION_NONE;
}

/* `user` becomes `producer`'s op, at the user's place; its weights' references move along. */
static void take_over(W2wTensor *user, W2wTensor *producer)
{
    const W2wShape out = user->op.out;

    user->op = producer->op;
    user->op.out = out;
    for (guint i = 0; i < W2W_N_WEIGHTS; i++)
        producer->op.weight[i] = NULL;
    for (guint slot = 0; slot < W2W_N_SLOTS; slot++)
        user->in[slot] = producer->in[slot];
    producer->dead = TRUE;
}

static void set_input(W2wTensor *tensor, guint slot, W2wTensor *input)
{
    tensor->in[slot] = input;
    tensor->op.in[slot] = input->shape;
}

/* The gradient of a norm + tensor: what came round the norm, along the residual connection. */
static gboolean fuse_add_to_gradient(W2wTensor *add)
{
    for (guint i = 0; i < 2; i++) {
        W2wTensor *gradient = add->in[i], *other = add->in[1 - i];

        if ((is_private(gradient, W2W_OP_GROUP_NORM_GRADIENT) ||
             is_private(gradient, W2W_OP_LAYER_NORM_GRADIENT)) &&
            gradient->in[W2W_SLOT_D_RESIDUAL] == NULL &&
            w2w_shape_equal(other->shape, add->shape) &&
            w2w_shape_equal(gradient->shape, add->shape)) {
            take_over(add, gradient);
            set_input(add, W2W_SLOT_D_RESIDUAL, other);
            return TRUE;
        }
    }
    return FALSE;
}

/* conv2d or linear + tensor: the tensor is added in the epilogue. */
static gboolean fuse_add(W2wTensor *add)
{
    for (guint i = 0; i < 2; i++) {
        W2wTensor *product = add->in[i], *other = add->in[1 - i];
        const gboolean same_shape = w2w_shape_equal(other->shape, add->shape);
        const gboolean per_image = other->shape.h == 1 && other->shape.w == 1 &&
                                   other->shape.n == add->shape.n &&
                                   other->shape.c == add->shape.c && !same_shape;
        const guint slot = same_shape ? W2W_SLOT_RESIDUAL : W2W_SLOT_IMAGE_BIAS;

        if (!is_open_product(product) || !w2w_shape_equal(product->shape, add->shape) ||
            !(same_shape || per_image) || product->in[slot] != NULL)
            continue;
        take_over(add, product);
        set_input(add, slot, other);
        return TRUE;
    }
    return fuse_add_to_gradient(add);
}

static gboolean fuse_activation(W2wTensor *activation)
{
    W2wTensor *x = activation->in[W2W_SLOT_X];
    const W2wActivation function = activation->op.activation;
    const gboolean norm = is_private(x, W2W_OP_GROUP_NORM) &&
                          x->op.activation == W2W_ACTIVATION_NONE &&
                          function == W2W_ACTIVATION_SILU;

    if (!norm && !is_open_product(x))
        return FALSE;
    take_over(activation, x);
    activation->op.activation = function;
    return TRUE;
}

/*
 * linear → GEGLU. The device packs value and gate columns side by side; sums into the wide
 * output would need the same care, and no model has them: such a linear stays apart.
 */
static gboolean fuse_geglu(W2wTensor *geglu)
{
    W2wTensor *x = geglu->in[W2W_SLOT_X];

    if (!is_open_product(x) || x->op.kind != W2W_OP_LINEAR)
        return FALSE;
    for (guint slot = W2W_SLOT_RESIDUAL; slot < W2W_N_SLOTS; slot++)
        if (x->in[slot] != NULL)
            return FALSE;
    take_over(geglu, x);
    geglu->op.activation = W2W_ACTIVATION_GEGLU;
    return TRUE;
}

/* upsample → conv2d: the enlarged picture is never written. */
static gboolean fuse_upsample(W2wTensor *conv2d)
{
    W2wTensor *x = conv2d->in[W2W_SLOT_X];

    if (!is_private(x, W2W_OP_UPSAMPLE) || conv2d->op.params.conv2d.upsampled_h != 0)
        return FALSE;
    conv2d->op.params.conv2d.upsampled_h = x->shape.h;
    conv2d->op.params.conv2d.upsampled_w = x->shape.w;
    set_input(conv2d, W2W_SLOT_X, x->in[W2W_SLOT_X]);
    x->dead = TRUE;
    return TRUE;
}

/*
 * The gradient of a convolution → that of enlarging twofold before it: a stride of 2 over larger
 * taps makes less than half as many multiplications. (Other factors are rare, and stay two ops.)
 */
static gboolean fuse_upsample_gradient(W2wTensor *gradient)
{
    W2wTensor *x = gradient->in[W2W_SLOT_X];
    const W2wOp *op = &x->op;

    if (!is_open_product(x) || op->kind != W2W_OP_CONV2D || !op->params.conv2d.rotated ||
        op->params.conv2d.upsampled_h != 0 || op->params.conv2d.zeros_between > 1 ||
        op->params.conv2d.kernel_h != 3 || op->params.conv2d.kernel_w != 3 ||
        op->params.conv2d.pad_top != 1 || op->params.conv2d.pad_left != 1 ||
        !w2w_shape_equal(op->in[W2W_SLOT_X],
                         (W2wShape){x->shape.n, x->shape.h, x->shape.w, op->in[W2W_SLOT_X].c}) ||
        x->shape.h != 2 * gradient->shape.h || x->shape.w != 2 * gradient->shape.w)
        return FALSE;
    for (guint slot = W2W_SLOT_RESIDUAL; slot < W2W_N_SLOTS; slot++)
        if (x->in[slot] != NULL)
            return FALSE;
    take_over(gradient, x);
    gradient->op.params.conv2d.upsampled_h = x->shape.h;
    gradient->op.params.conv2d.upsampled_w = x->shape.w;
    return TRUE;
}

/*
 * The gradient of a SiLU after a group norm → that of the norm, which reads the norm's input
 * anyway. Before everything else: the norm's output is then read by the SiLU alone.
 */
static void fuse_norm_gradient(W2wTensor *norm_gradient)
{
    W2wTensor *silu_gradient = norm_gradient->in[W2W_SLOT_D_OUT];
    const W2wTensor *norm;

    if (!is_private(silu_gradient, W2W_OP_ACTIVATION_GRADIENT) ||
        silu_gradient->op.activation != W2W_ACTIVATION_SILU)
        return;
    norm = silu_gradient->in[W2W_SLOT_X];
    if (norm->input_name != NULL || norm->op.kind != W2W_OP_GROUP_NORM ||
        norm->in[W2W_SLOT_X] != norm_gradient->in[W2W_SLOT_X] ||
        norm->op.weight[W2W_WEIGHT] != norm_gradient->op.weight[W2W_WEIGHT])
        return;
    norm_gradient->op.activation = W2W_ACTIVATION_SILU;
    set_input(norm_gradient, W2W_SLOT_D_OUT, silu_gradient->in[W2W_SLOT_D_OUT]);
    silu_gradient->dead = TRUE;
}

void w2w_graph_fuse(W2wGraph *graph)
{
    w2w_graph_count_uses(graph);
    for (guint i = 0; i < graph->tensors->len; i++) {
        W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        if (!tensor->dead && tensor->op.kind == W2W_OP_GROUP_NORM_GRADIENT &&
            tensor->input_name == NULL)
            fuse_norm_gradient(tensor);
    }
    w2w_graph_count_uses(graph);
    for (guint i = 0; i < graph->tensors->len; i++) {
        W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);
        gboolean more = !tensor->dead && tensor->input_name == NULL;

        /* An op that took another's place may take part in the next fusion: add, add, SiLU. */
        while (more) {
            switch (tensor->op.kind) {
            case W2W_OP_ADD:
                more = fuse_add(tensor);
                break;
            case W2W_OP_ACTIVATION:
                more = fuse_activation(tensor);
                break;
            case W2W_OP_GEGLU:
                more = fuse_geglu(tensor);
                break;
            case W2W_OP_CONV2D:
                more = fuse_upsample(tensor);
                break;
            case W2W_OP_UPSAMPLE_GRADIENT:
                more = fuse_upsample_gradient(tensor);
                break;
            default:
                more = FALSE;
            }
        }
    }
}
