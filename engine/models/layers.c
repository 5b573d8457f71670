/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One module of the file, one op of the graph. */
#include "engine/models/layers.h"

#include "engine/graph/gradient.h"
#include "engine/models/unet.h"

char *w2w_module_path(const char *parent, const char *name)
{
    return parent[0] != '\0' ? g_strconcat(parent, ".", name, NULL) : g_strdup(name);
}

char *w2w_module_path_at(const char *parent, const char *name, guint i)
{
    return g_strdup_printf("%s%s%s.%u", parent, parent[0] != '\0' ? "." : "", name, i);
}

static W2wArray *vector(W2wRecorder *recorder, const char *path, const char *which, gint n)
{
    g_autofree char *name = w2w_module_path(path, which);

    return w2w_weights_get(recorder->weights, name, n, -1);
}

W2wTensor *w2w_layer_conv2d(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                            const char *name, gint n_out, const W2wConv2dParams *params)
{
    g_autofree char *path = w2w_module_path(parent, name);
    g_autofree char *weight_name = w2w_module_path(path, "weight");
    W2wArray *weight =
        w2w_weights_get(recorder->weights, weight_name, n_out, w2w_tensor_get_shape(x).c,
                        params->kernel, params->kernel, -1);

    return w2w_conv2d(recorder->graph, x, weight, vector(recorder, path, "bias", n_out), params);
}

static W2wArray *matrix(W2wRecorder *recorder, const char *path, gint n_out, gint n_in,
                        W2wLinearForm form)
{
    g_autofree char *name = w2w_module_path(path, "weight");

    if (form == W2W_LINEAR_CONV)
        return w2w_weights_get(recorder->weights, name, n_out, n_in, 1, 1, -1);
    return w2w_weights_get(recorder->weights, name, n_out, n_in, -1);
}

W2wTensor *w2w_layer_linear(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                            const char *name, gint n_out, W2wLinearForm form)
{
    g_autofree char *path = w2w_module_path(parent, name);
    W2wArray *weight = matrix(recorder, path, n_out, w2w_tensor_get_shape(x).c, form);
    W2wArray *bias = form == W2W_LINEAR_NO_BIAS ? NULL : vector(recorder, path, "bias", n_out);

    return w2w_linear(recorder->graph, x, weight, bias);
}

static W2wTensor *factor(W2wRecorder *recorder, const char *name, W2wShape shape)
{
    return recorder->lora_changes ? w2w_graph_input(recorder->graph, name, shape)
                                  : w2w_graph_kept_input(recorder->graph, name, shape);
}

W2wTensor *w2w_layer_projection(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                                const char *name, gint n_out, W2wLinearForm form)
{
    const gint n_in = w2w_tensor_get_shape(x).c;
    const gint rank = recorder->lora_rank;
    g_autofree char *path = w2w_module_path(parent, name);
    g_autofree char *name_a = w2w_module_path(path, "lora_A");
    g_autofree char *name_b = w2w_module_path(path, "lora_B");
    W2wArray *weight, *bias;
    W2wTensor *lora_a, *lora_b;

    if (recorder->lora_targets != NULL) {
        const W2wLoraTarget target = {g_strdup(path), n_in, n_out};

        g_array_append_val(recorder->lora_targets, target);
    }
    if (recorder->lora_paths == NULL || !g_hash_table_contains(recorder->lora_paths, path))
        return w2w_layer_linear(recorder, x, parent, name, n_out, form);

    weight = matrix(recorder, path, n_out, n_in, form);
    bias = form == W2W_LINEAR_NO_BIAS ? NULL : vector(recorder, path, "bias", n_out);
    lora_a = factor(recorder, name_a, (W2wShape){1, 1, rank, n_in});
    lora_b = factor(recorder, name_b, (W2wShape){1, 1, n_out, rank});
    return w2w_linear_lora(recorder->graph, x, weight, bias, lora_a, lora_b, recorder->lora_scale);
}

W2wTensor *w2w_layer_group_norm(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                                const char *name, gint n_groups, float eps)
{
    const gint n_channels = w2w_tensor_get_shape(x).c;
    g_autofree char *path = w2w_module_path(parent, name);

    return w2w_group_norm(recorder->graph, x, vector(recorder, path, "weight", n_channels),
                          vector(recorder, path, "bias", n_channels), n_groups, eps);
}

W2wTensor *w2w_layer_layer_norm(W2wRecorder *recorder, W2wTensor *x, const char *parent,
                                const char *name, float eps)
{
    const gint n_channels = w2w_tensor_get_shape(x).c;
    g_autofree char *path = w2w_module_path(parent, name);

    return w2w_layer_norm(recorder->graph, x, vector(recorder, path, "weight", n_channels),
                          vector(recorder, path, "bias", n_channels), eps);
}

void w2w_layer_end(W2wRecorder *recorder, W2wTensor *x, const char *path)
{
    g_autofree char *name = g_strconcat("inside.", path, NULL);

    w2w_graph_end_block(recorder->graph, x);
    if (recorder->inspect)
        w2w_graph_output(recorder->graph, name, x);
}
