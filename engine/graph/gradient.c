/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The walk of reverse mode, and which blocks it computes a second time. */
#include "engine/graph/gradient.h"

#include "engine/graph/graph_internal.h"

struct _W2wGradient {
    W2wGraph *graph;
    guint n_forward;      /* tensors of the forward pass */
    gboolean *wanted;     /* (n_forward): depends on a source */
    gboolean *kept;       /* (n_forward): lives between replays, in memory of its own */
    gboolean *recomputed; /* (n_forward): inside of a block that is */
    W2wTensor **again;    /* (n_forward): the second recording, or NULL */
    W2wTensor **d;        /* (n_forward): the sum of what has come in so far, or NULL */
};

/* By W2wOpKind; NULL: there is no way back through it. */
static const W2wVjpFunc vjps[W2W_N_OPS] = {
    [W2W_OP_CONV2D] = w2w_conv2d_vjp,         [W2W_OP_LINEAR] = w2w_linear_vjp,
    [W2W_OP_GROUP_NORM] = w2w_group_norm_vjp, [W2W_OP_LAYER_NORM] = w2w_layer_norm_vjp,
    [W2W_OP_ATTENTION] = w2w_attention_vjp,   [W2W_OP_GEGLU] = w2w_geglu_vjp,
    [W2W_OP_ACTIVATION] = w2w_activation_vjp, [W2W_OP_ADD] = w2w_add_vjp,
    [W2W_OP_CONCAT] = w2w_concat_vjp,         [W2W_OP_UPSAMPLE] = w2w_upsample_vjp,
    [W2W_OP_MASKED_MSE] = w2w_masked_mse_vjp,
};

W2wGraph *w2w_gradient_get_graph(const W2wGradient *walk)
{
    return walk->graph;
}

gboolean w2w_gradient_wants(const W2wGradient *walk, const W2wTensor *tensor)
{
    return tensor != NULL && walk->wanted[tensor->id];
}

void w2w_gradient_add(W2wGradient *walk, W2wTensor *tensor, W2wTensor *d)
{
    W2wTensor **sum = &walk->d[tensor->id];

    g_assert(w2w_shape_equal(tensor->shape, d->shape));
    /* The newer one first: fusion then adds the sum in the epilogue of what has just been made. */
    *sum = *sum == NULL ? d : w2w_add(walk->graph, d, *sum);
}

W2wTensor *w2w_gradient_value(W2wGradient *walk, W2wTensor *tensor)
{
    W2wTensor *inputs[W2W_N_SLOTS] = {NULL};
    W2wTensor *again;

    if (!walk->recomputed[tensor->id])
        return tensor;
    if (walk->again[tensor->id] != NULL)
        return walk->again[tensor->id];
    for (guint slot = 0; slot < W2W_N_SLOTS; slot++)
        if (tensor->in[slot] != NULL)
            inputs[slot] = w2w_gradient_value(walk, tensor->in[slot]);
    again = w2w_graph_append(walk->graph, &tensor->op, inputs);
    again->original = tensor;
    return walk->again[tensor->id] = again;
}

W2wTensor *w2w_gradient_of_x(W2wGradient *walk, const W2wOp *op, W2wTensor *x, W2wTensor *d_out)
{
    W2wTensor *const inputs[W2W_N_SLOTS] = {
        [W2W_SLOT_X] = w2w_gradient_value(walk, x), [W2W_SLOT_D_OUT] = d_out};

    return w2w_graph_append(walk->graph, op, inputs);
}

/* --- which blocks --- */

typedef struct {
    guint first, end; /* tensors; the last one, its output, is not part of the inside */
    gint64 n_elements;
} Inside;

static gint by_decreasing_elements(gconstpointer a, gconstpointer b)
{
    const Inside *first = a, *second = b;

    if (first->n_elements != second->n_elements)
        return first->n_elements > second->n_elements ? -1 : 1;
    return first->first < second->first ? -1 : first->first > second->first;
}

static void choose_blocks(W2wGradient *walk, guint n_recomputed)
{
    const GPtrArray *ends = walk->graph->block_ends;
    g_autoptr(GArray) insides = g_array_new(FALSE, FALSE, sizeof(Inside));

    for (guint i = 0; i < ends->len; i++) {
        const guint end = ((const W2wTensor *)ends->pdata[i])->id;
        Inside inside = {.first = i > 0 ? ((const W2wTensor *)ends->pdata[i - 1])->id + 1 : 0,
                         .end = end};

        for (guint id = inside.first; id < end; id++) {
            const W2wTensor *tensor = walk->graph->tensors->pdata[id];

            inside.n_elements += w2w_shape_n_elements(tensor->shape);
        }
        g_array_append_val(insides, inside);
    }
    g_array_sort(insides, by_decreasing_elements);
    for (guint i = 0; i < MIN(n_recomputed, insides->len); i++) {
        const Inside *inside = &g_array_index(insides, Inside, i);

        for (guint id = inside->first; id < inside->end; id++) {
            const W2wTensor *tensor = walk->graph->tensors->pdata[id];

            walk->recomputed[id] =
                tensor->input_name == NULL && !tensor->is_output && !walk->kept[id];
        }
    }
}

/* --- the walk --- */

void w2w_graph_differentiate(W2wGraph *graph, W2wTensor *output, W2wTensor *d_output,
                             W2wTensor *const *sources, guint n_sources, guint n_recomputed,
                             W2wTensor **d_sources)
{
    const guint n = graph->tensors->len;
    g_autofree gboolean *wanted = g_new0(gboolean, n);
    g_autofree gboolean *recomputed = g_new0(gboolean, n);
    g_autofree gboolean *kept = w2w_graph_find_kept(graph);
    g_autofree W2wTensor **again = g_new0(W2wTensor *, n);
    g_autofree W2wTensor **d = g_new0(W2wTensor *, n);
    W2wGradient walk = {graph, n, wanted, kept, recomputed, again, d};

    for (guint i = 0; i < n_sources; i++)
        wanted[sources[i]->id] = TRUE;
    for (guint id = 0; id < n; id++) {
        const W2wTensor *tensor = graph->tensors->pdata[id];

        for (guint slot = 0; slot < W2W_N_SLOTS; slot++)
            wanted[id] |= tensor->in[slot] != NULL && wanted[tensor->in[slot]->id];
    }
    choose_blocks(&walk, n_recomputed);
    if (wanted[output->id])
        w2w_gradient_add(&walk, output, d_output);
    for (guint id = n; id-- > 0;) {
        W2wTensor *tensor = graph->tensors->pdata[id];

        if (d[id] == NULL || tensor->input_name != NULL)
            continue;
        if (vjps[tensor->op.kind] == NULL)
            g_error("there is no gradient of the op %s", w2w_op_kind_name(tensor->op.kind));
        vjps[tensor->op.kind](&walk, tensor, d[id]);
    }
    for (guint i = 0; i < n_sources; i++)
        d_sources[i] = d[sources[i]->id];
}
