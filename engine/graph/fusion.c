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
    return FALSE;
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

void w2w_graph_fuse(W2wGraph *graph)
{
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
            default:
                more = FALSE;
            }
        }
    }
}
