/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recording: nodes in the order in which a model makes them. */
#include "engine/graph/graph_internal.h"

#include <string.h>

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

void w2w_graph_count_uses(W2wGraph *graph)
{
    for (guint i = 0; i < graph->tensors->len; i++) {
        W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        tensor->n_uses = tensor->is_output ? 1 : 0;
    }
    /* Backwards, so that a node that nothing needs does not count as a user either. */
    for (guint i = graph->tensors->len; i-- > 0;) {
        W2wTensor *tensor = g_ptr_array_index(graph->tensors, i);

        tensor->dead = tensor->dead || (tensor->n_uses == 0 && tensor->input_name == NULL);
        for (guint slot = 0; slot < W2W_N_SLOTS && !tensor->dead; slot++)
            if (tensor->in[slot] != NULL)
                tensor->in[slot]->n_uses++;
    }
}
