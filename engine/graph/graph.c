/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recording: nodes in the order in which a model makes them. */
#include <string.h>

#include "engine/graph/gradient.h"
#include "engine/graph/graph_internal.h"

static void tensor_free(gpointer data)
{
    W2wTensor *tensor = data;

    for (guint i = 0; i < W2W_N_WEIGHTS; i++)
        w2w_array_unref(tensor->op.weight[i]);
    g_free(tensor);
}

W2wGraph *w2w_graph_new(void)
{
    W2wGraph *graph = g_new0(W2wGraph, 1);

    graph->tensors = g_ptr_array_new_with_free_func(tensor_free);
    graph->inputs = g_ptr_array_new_with_free_func(g_free);
    graph->input_tensors = g_ptr_array_new();
    graph->outputs = g_ptr_array_new_with_free_func(g_free);
    graph->output_tensors = g_ptr_array_new();
    graph->block_ends = g_ptr_array_new();
    return graph;
}

void w2w_graph_free(W2wGraph *graph)
{
    if (graph == NULL)
        return;
    g_ptr_array_unref(graph->tensors);
    g_ptr_array_unref(graph->inputs);
    g_ptr_array_unref(graph->input_tensors);
    g_ptr_array_unref(graph->outputs);
    g_ptr_array_unref(graph->output_tensors);
    g_ptr_array_unref(graph->block_ends);
    g_free(graph);
}

W2wShape w2w_tensor_get_shape(const W2wTensor *tensor)
{
    return tensor->shape;
}

static W2wTensor *append_tensor(W2wGraph *graph, W2wShape shape)
{
    W2wTensor *tensor = g_new0(W2wTensor, 1);

    g_assert(shape.n > 0 && shape.h > 0 && shape.w > 0 && shape.c > 0);
    tensor->id = graph->tensors->len;
    tensor->shape = shape;
    g_ptr_array_add(graph->tensors, tensor);
    return tensor;
}

W2wTensor *w2w_graph_input(W2wGraph *graph, const char *name, W2wShape shape)
{
    W2wTensor *tensor = append_tensor(graph, shape);

    g_assert(!g_ptr_array_find_with_equal_func(graph->inputs, name, g_str_equal, NULL));
    tensor->input_name = g_strdup(name);
    g_ptr_array_add(graph->inputs, (gpointer)tensor->input_name);
    g_ptr_array_add(graph->input_tensors, tensor);
    return tensor;
}

W2wTensor *w2w_graph_kept_input(W2wGraph *graph, const char *name, W2wShape shape)
{
    W2wTensor *tensor = w2w_graph_input(graph, name, shape);

    tensor->is_kept_input = TRUE;
    return tensor;
}

void w2w_graph_output(W2wGraph *graph, const char *name, W2wTensor *tensor)
{
    g_assert(!g_ptr_array_find_with_equal_func(graph->outputs, name, g_str_equal, NULL));
    tensor->is_output = TRUE;
    g_ptr_array_add(graph->outputs, g_strdup(name));
    g_ptr_array_add(graph->output_tensors, tensor);
}

W2wTensor *w2w_graph_append(W2wGraph *graph, const W2wOp *op, W2wTensor *const inputs[W2W_N_SLOTS])
{
    W2wTensor *tensor = append_tensor(graph, op->out);

    tensor->op = *op;
    for (guint i = 0; i < W2W_N_WEIGHTS; i++)
        if (op->weight[i] != NULL)
            w2w_array_ref(op->weight[i]);
    for (guint i = 0; i < W2W_N_SLOTS; i++) {
        tensor->in[i] = inputs[i];
        tensor->op.in[i] = inputs[i] != NULL ? inputs[i]->shape : (W2wShape){0};
    }
    return tensor;
}

static W2wTensor *find_by_name(const GPtrArray *names, const GPtrArray *tensors, const char *name)
{
    for (guint i = 0; i < names->len; i++)
        if (g_str_equal(names->pdata[i], name))
            return tensors->pdata[i];
    g_error("a graph has no input or output '%s'", name);
}

W2wTensor *w2w_graph_get_input(const W2wGraph *graph, const char *name)
{
    return find_by_name(graph->inputs, graph->input_tensors, name);
}

W2wTensor *w2w_graph_get_output(const W2wGraph *graph, const char *name)
{
    return find_by_name(graph->outputs, graph->output_tensors, name);
}

void w2w_graph_end_block(W2wGraph *graph, W2wTensor *output)
{
    const GPtrArray *ends = graph->block_ends;

    /* A block may end with the last one inside of it. */
    if (ends->len == 0 || ends->pdata[ends->len - 1] != output)
        g_ptr_array_add(graph->block_ends, output);
}

guint w2w_graph_get_n_blocks(const W2wGraph *graph)
{
    return graph->block_ends->len;
}

gboolean *w2w_graph_find_kept(const W2wGraph *graph)
{
    gboolean *kept = g_new0(gboolean, graph->tensors->len);

    for (guint i = 0; i < graph->tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        kept[i] = tensor->input_name == NULL || tensor->is_kept_input;
        for (guint slot = 0; slot < W2W_N_SLOTS; slot++)
            if (tensor->in[slot] != NULL)
                kept[i] = kept[i] && kept[tensor->in[slot]->id];
    }
    return kept;
}

void w2w_graph_count_uses(W2wGraph *graph)
{
    for (guint i = 0; i < graph->tensors->len; i++) {
        W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        tensor->n_uses = tensor->is_output ? 1 : 0;
        tensor->is_read_by_gradient = FALSE;
    }
    /* Backwards, so that a node that nothing needs does not count as a user either. */
    for (guint i = graph->tensors->len; i-- > 0;) {
        W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        tensor->dead = tensor->dead || (tensor->n_uses == 0 && tensor->input_name == NULL);
        for (guint slot = 0; slot < W2W_N_SLOTS && !tensor->dead; slot++)
            if (tensor->in[slot] != NULL) {
                tensor->in[slot]->n_uses++;
                tensor->in[slot]->is_read_by_gradient |= tensor->original == NULL;
            }
    }
    /*
     * What is computed a second time counts as read by what reads the second one: it must not be
     * fused otherwise than without recomputing, or the last bits could differ.
     */
    for (guint i = 0; i < graph->tensors->len; i++) {
        const W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        if (tensor->original != NULL && !tensor->dead && tensor->is_read_by_gradient)
            tensor->original->n_uses++;
    }
}
