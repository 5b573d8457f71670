/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Resnets, attentions and samplers of UNet and VAE. */
#include "engine/models/blocks.h"

const W2wConv2dParams w2w_conv_3x3 = {.kernel = 3, .stride = 1, .padding = 1};

W2wTensor *w2w_block_resnet(W2wRecorder *recorder, W2wTensor *x, W2wTensor *time, const char *path,
                            gint n_out, const W2wResnetParams *params)
{
    W2wGraph *graph = recorder->graph;
    W2wTensor *shortcut = x, *h;

    /* First: what it reads, the joined input of an up block, is wide and dies after it. */
    if (w2w_tensor_get_shape(x).c != n_out)
        shortcut = w2w_layer_linear(recorder, x, path, "conv_shortcut", n_out, W2W_LINEAR_CONV);
    h = w2w_layer_group_norm(recorder, x, path, "norm1", params->n_groups, params->eps);
    h = w2w_activation(graph, h, params->activation);
    if (time != NULL) {
        W2wTensor *bias =
            w2w_layer_linear(recorder, time, path, "time_emb_proj", n_out, W2W_LINEAR_PLAIN);

        h = w2w_layer_conv2d(recorder, h, path, "conv1", n_out, &w2w_conv_3x3);
        h = w2w_add(graph, h, bias);
    } else {
        h = w2w_layer_conv2d(recorder, h, path, "conv1", n_out, &w2w_conv_3x3);
    }
    h = w2w_layer_group_norm(recorder, h, path, "norm2", params->n_groups, params->eps);
    h = w2w_activation(graph, h, params->activation);
    h = w2w_layer_conv2d(recorder, h, path, "conv2", n_out, &w2w_conv_3x3);
    h = w2w_add(graph, h, shortcut);
    w2w_layer_end(recorder, h, path);
    return h;
}

/* x (N,.,.,C) asks, context (N,.,.,any) answers; `bias` of to_q, to_k, to_v; to_out always has one.
 */
static W2wTensor *attend(W2wRecorder *recorder, W2wTensor *x, W2wTensor *context, const char *path,
                         gint n_heads, W2wLinearForm form)
{
    const gint n_channels = w2w_tensor_get_shape(x).c;
    W2wTensor *query = w2w_layer_projection(recorder, x, path, "to_q", n_channels, form);
    W2wTensor *key = w2w_layer_projection(recorder, context, path, "to_k", n_channels, form);
    W2wTensor *value = w2w_layer_projection(recorder, context, path, "to_v", n_channels, form);
    W2wTensor *h = w2w_attention(recorder->graph, query, key, value, n_heads, FALSE);

    return w2w_layer_projection(recorder, h, path, "to_out.0", n_channels, W2W_LINEAR_PLAIN);
}

static W2wTensor *transformer_block(W2wRecorder *recorder, W2wTensor *x, W2wTensor *text,
                                    const char *path, const W2wTransformerParams *params)
{
    const float eps = 1e-5f; /* not configurable in a UNet */
    const gint n_channels = w2w_tensor_get_shape(x).c;
    g_autofree char *attn1 = w2w_module_path(path, "attn1");
    g_autofree char *attn2 = w2w_module_path(path, "attn2");
    W2wGraph *graph = recorder->graph;
    W2wTensor *h;

    h = w2w_layer_layer_norm(recorder, x, path, "norm1", eps);
    h = attend(recorder, h, params->only_cross_attention ? text : h, attn1, params->n_heads,
               W2W_LINEAR_NO_BIAS);
    x = w2w_add(graph, h, x);
    h = w2w_layer_layer_norm(recorder, x, path, "norm2", eps);
    h = attend(recorder, h, text, attn2, params->n_heads, W2W_LINEAR_NO_BIAS);
    x = w2w_add(graph, h, x);
    h = w2w_layer_layer_norm(recorder, x, path, "norm3", eps);
    h = w2w_layer_linear(recorder, h, path, "ff.net.0.proj", 8 * n_channels, W2W_LINEAR_PLAIN);
    h = w2w_geglu(graph, h);
    h = w2w_layer_linear(recorder, h, path, "ff.net.2", n_channels, W2W_LINEAR_PLAIN);
    return w2w_add(graph, h, x);
}

W2wTensor *w2w_block_transformer(W2wRecorder *recorder, W2wTensor *x, W2wTensor *text,
                                 const char *path, const W2wTransformerParams *params)
{
    const float eps = 1e-6f; /* not configurable in a UNet */
    const gint n_channels = w2w_tensor_get_shape(x).c;
    const W2wLinearForm form = params->linear_projection ? W2W_LINEAR_PLAIN : W2W_LINEAR_CONV;
    W2wTensor *h = w2w_layer_group_norm(recorder, x, path, "norm", params->n_groups, eps);

    h = w2w_layer_linear(recorder, h, path, "proj_in", n_channels, form);
    for (gint i = 0; i < params->n_layers; i++) {
        g_autofree char *block = w2w_module_path_at(path, "transformer_blocks", (guint)i);

        h = transformer_block(recorder, h, text, block, params);
    }
    h = w2w_layer_linear(recorder, h, path, "proj_out", n_channels, form);
    h = w2w_add(recorder->graph, h, x);
    w2w_layer_end(recorder, h, path);
    return h;
}

W2wTensor *w2w_block_image_attention(W2wRecorder *recorder, W2wTensor *x, const char *path,
                                     gint n_groups, float eps)
{
    W2wTensor *h = w2w_layer_group_norm(recorder, x, path, "group_norm", n_groups, eps);

    h = attend(recorder, h, h, path, 1, W2W_LINEAR_PLAIN);
    h = w2w_add(recorder->graph, h, x);
    w2w_layer_end(recorder, h, path);
    return h;
}

W2wTensor *w2w_block_downsample(W2wRecorder *recorder, W2wTensor *x, const char *path, gint padding)
{
    const W2wConv2dParams params = {
        .kernel = 3, .stride = 2, .padding = padding, .asymmetric = padding == 0};
    W2wTensor *h = w2w_layer_conv2d(recorder, x, path, "conv", w2w_tensor_get_shape(x).c, &params);

    w2w_layer_end(recorder, h, path);
    return h;
}

W2wTensor *w2w_block_upsample(W2wRecorder *recorder, W2wTensor *x, const char *path, gint height,
                              gint width)
{
    W2wTensor *h = w2w_upsample(recorder->graph, x, height, width);

    h = w2w_layer_conv2d(recorder, h, path, "conv", w2w_tensor_get_shape(x).c, &w2w_conv_3x3);
    w2w_layer_end(recorder, h, path);
    return h;
}
