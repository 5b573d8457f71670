/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The VAE: an encoder that halves the picture at every level but the last, a decoder that
 * doubles it again, attention at the coarsest level of both.
 *
 * As with the UNet, opening records both ways once, so that every error of a folder
 * comes from there.
 */
#include "engine/models/vae.h"

#include "engine/error.h"
#include "engine/models/blocks.h"
#include "engine/models/part_files.h"
#include "engine/models/vae_config.h"

#define EPS 1e-6f /* of every norm; not configurable in this model */

struct _W2wVae {
    W2wVaeConfig config;
    W2wWeights *weights;
};

/* A recording under way: of "encoder" or of "decoder". */
typedef struct {
    W2wRecorder recorder;
    const W2wVaeConfig *config;
    W2wResnetParams resnet;
    const char *side;
} Recording;

static Recording begin(W2wVae *vae, const char *side, gboolean inspect)
{
    return (Recording){
        .recorder = {.graph = w2w_graph_new(), .weights = vae->weights, .inspect = inspect},
        .config = &vae->config,
        .resnet = {vae->config.n_groups, EPS, vae->config.activation},
        .side = side,
    };
}

static W2wTensor *record_conv_in(Recording *recording, W2wTensor *h, gint n_channels)
{
    g_autofree char *path = w2w_module_path(recording->side, "conv_in");

    h = w2w_layer_conv2d(&recording->recorder, h, "", path, n_channels, &w2w_conv_3x3);
    w2w_layer_end(&recording->recorder, h, path);
    return h;
}

static W2wTensor *record_resnets(Recording *recording, W2wTensor *h, const char *block, guint first,
                                 guint n, gint n_channels)
{
    for (guint i = first; i < first + n; i++) {
        g_autofree char *path = w2w_module_path_at(block, "resnets", i);

        h = w2w_block_resnet(&recording->recorder, h, NULL, path, n_channels, &recording->resnet);
    }
    return h;
}

static W2wTensor *record_mid(Recording *recording, W2wTensor *h)
{
    const gint n_channels = w2w_tensor_get_shape(h).c;
    g_autofree char *block = w2w_module_path(recording->side, "mid_block");
    g_autofree char *attention = w2w_module_path_at(block, "attentions", 0);

    h = record_resnets(recording, h, block, 0, 1, n_channels);
    if (recording->config->mid_attention)
        h = w2w_block_image_attention(&recording->recorder, h, attention,
                                      recording->config->n_groups, EPS);
    h = record_resnets(recording, h, block, 1, 1, n_channels);
    w2w_layer_end(&recording->recorder, h, block);
    return h;
}

static W2wTensor *record_conv_out(Recording *recording, W2wTensor *h, gint n_out)
{
    W2wRecorder *recorder = &recording->recorder;

    h = w2w_layer_group_norm(recorder, h, recording->side, "conv_norm_out",
                             recording->config->n_groups, EPS);
    /* SiLU whatever act_fn says, as in diffusers. */
    h = w2w_activation(recorder->graph, h, W2W_ACTIVATION_SILU);
    return w2w_layer_conv2d(recorder, h, recording->side, "conv_out", n_out, &w2w_conv_3x3);
}

/* quant_conv, post_quant_conv: they mix channels only. */
static W2wTensor *record_quant(Recording *recording, W2wTensor *h, const char *path)
{
    h = w2w_layer_linear(&recording->recorder, h, "", path, w2w_tensor_get_shape(h).c,
                         W2W_LINEAR_CONV);
    w2w_layer_end(&recording->recorder, h, path);
    return h;
}

static W2wGraph *record_encode(W2wVae *vae, gint batch, gint height, gint width, gboolean inspect)
{
    const W2wVaeConfig *config = &vae->config;
    Recording recording = begin(vae, "encoder", inspect);
    W2wRecorder *recorder = &recording.recorder;
    W2wTensor *h = w2w_graph_input(recorder->graph, "image", (W2wShape){batch, height, width, 3});

    h = record_conv_in(&recording, h, config->channels[0]);
    for (guint i = 0; i < config->n_levels; i++) {
        g_autofree char *block = w2w_module_path_at(recording.side, "down_blocks", i);
        g_autofree char *sampler = w2w_module_path_at(block, "downsamplers", 0);

        h = record_resnets(&recording, h, block, 0, (guint)config->n_layers, config->channels[i]);
        if (i + 1 < config->n_levels)
            h = w2w_block_downsample(recorder, h, sampler, 0);
        w2w_layer_end(recorder, h, block);
    }
    h = record_mid(&recording, h);
    h = record_conv_out(&recording, h, 2 * config->latent_channels);
    if (config->quant_conv)
        h = record_quant(&recording, h, "quant_conv");
    w2w_graph_output(recorder->graph, "moments", h);
    return recorder->graph;
}

static W2wGraph *record_decode(W2wVae *vae, gint batch, gint height, gint width, gboolean inspect)
{
    const W2wVaeConfig *config = &vae->config;
    Recording recording = begin(vae, "decoder", inspect);
    W2wRecorder *recorder = &recording.recorder;
    W2wTensor *h = w2w_graph_input(recorder->graph, "latents",
                                   (W2wShape){batch, height, width, config->latent_channels});

    if (config->post_quant_conv)
        h = record_quant(&recording, h, "post_quant_conv");
    h = record_conv_in(&recording, h, config->channels[config->n_levels - 1]);
    h = record_mid(&recording, h);
    for (guint i = 0; i < config->n_levels; i++) {
        const gint n_channels = config->channels[config->n_levels - 1 - i];
        const W2wShape size = w2w_tensor_get_shape(h);
        g_autofree char *block = w2w_module_path_at(recording.side, "up_blocks", i);
        g_autofree char *sampler = w2w_module_path_at(block, "upsamplers", 0);

        h = record_resnets(&recording, h, block, 0, (guint)config->n_layers + 1, n_channels);
        if (i + 1 < config->n_levels)
            h = w2w_block_upsample(recorder, h, sampler, 2 * size.h, 2 * size.w);
        w2w_layer_end(recorder, h, block);
    }
    h = record_conv_out(&recording, h, 3);
    w2w_graph_output(recorder->graph, "image", h);
    return recorder->graph;
}

/* --- opening --- */

W2wVae *w2w_vae_open(const char *path, GError **error)
{
    g_autoptr(W2wConfig) file = NULL;
    g_autoptr(W2wVae) vae = NULL;
    gint downscale;

    vae = g_new0(W2wVae, 1);
    if (!w2w_part_open(path, W2W_PART_VAE, &file, &vae->weights, error) ||
        !w2w_vae_config_read(file, &vae->config, error))
        return NULL;
    downscale = w2w_vae_get_downscale(vae);
    w2w_graph_free(record_encode(vae, 1, downscale, downscale, FALSE));
    w2w_graph_free(record_decode(vae, 1, 1, 1, FALSE));
    if (!w2w_weights_check(vae->weights, file, w2w_vae_config_shape_fields, error))
        return NULL;
    return g_steal_pointer(&vae);
}

void w2w_vae_free(W2wVae *vae)
{
    if (vae == NULL)
        return;
    w2w_weights_free(vae->weights);
    g_free(vae);
}

gint w2w_vae_get_latent_channels(const W2wVae *vae)
{
    return vae->config.latent_channels;
}

double w2w_vae_get_scaling_factor(const W2wVae *vae)
{
    return vae->config.scaling_factor;
}

gint w2w_vae_get_downscale(const W2wVae *vae)
{
    return 1 << (vae->config.n_levels - 1);
}

const char *w2w_vae_get_fingerprint(W2wVae *vae)
{
    return w2w_weights_get_fingerprint(vae->weights);
}

/* --- recording for use --- */

static gboolean check_size(gint batch, gint height, gint width, gint min, gint max, GError **error)
{
    if (batch >= 1 && batch <= W2W_VAE_MAX_BATCH && height >= min && height <= max &&
        width >= min && width <= max)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "The VAE cannot work on %d at once of %d × %d; 1 to %d of widths and heights from "
                "%d to %d are possible.",
                batch, width, height, W2W_VAE_MAX_BATCH, min, max);
    return FALSE;
}

W2wGraph *w2w_vae_record_decode(W2wVae *vae, gint batch, gint height, gint width, gboolean inspect,
                                GError **error)
{
    const gint max = W2W_VAE_MAX_SIZE / w2w_vae_get_downscale(vae);

    if (!check_size(batch, height, width, 1, max, error))
        return NULL;
    return record_decode(vae, batch, height, width, inspect);
}

W2wGraph *w2w_vae_record_encode(W2wVae *vae, gint batch, gint height, gint width, gboolean inspect,
                                GError **error)
{
    const gint min = w2w_vae_get_downscale(vae);

    if (!check_size(batch, height, width, min, W2W_VAE_MAX_SIZE, error))
        return NULL;
    return record_encode(vae, batch, height, width, inspect);
}
