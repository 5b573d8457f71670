/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The UNet: down, through the middle, and up again with the skips of the way down.
 *
 * Opening records the network once at its smallest size and throws the graph away: that
 * asks for every weight and meets every projection, so that all errors of a folder come
 * from opening it, and later recordings cannot meet one.
 */
#include "engine/models/unet.h"

#include <string.h>

#include "engine/error.h"
#include "engine/models/blocks.h"
#include "engine/models/part_files.h"
#include "engine/models/unet_config.h"

struct _W2wUnet {
    W2wUnetConfig config;
    W2wWeights *weights;
    GArray *lora_targets; /* W2wLoraTarget, sorted by path */
};

/* A recording under way. */
typedef struct {
    W2wRecorder recorder;
    const W2wUnetConfig *config;
    W2wResnetParams resnet;
    W2wTensor *time; /* (N,1,1,time width), activated once for all resnets */
    W2wTensor *text; /* (N,1,T,text width) */
    GPtrArray *skips;
} Recording;

static W2wTransformerParams transformer_params(const W2wUnetConfig *config,
                                               const W2wUnetLevel *level)
{
    return (W2wTransformerParams){
        .n_layers = level->n_transformer_layers,
        .n_heads = level->n_heads,
        .n_groups = config->n_groups,
        .linear_projection = config->linear_projection,
        .only_cross_attention = level->only_cross_attention,
    };
}

static W2wTensor *record_resnet(Recording *recording, W2wTensor *h, const char *block, guint i,
                                gint n_channels)
{
    g_autofree char *path = w2w_module_path_at(block, "resnets", i);

    return w2w_block_resnet(&recording->recorder, h, recording->time, path, n_channels,
                            &recording->resnet);
}

static W2wTensor *record_transformer(Recording *recording, W2wTensor *h, const char *block, guint i,
                                     const W2wTransformerParams *params)
{
    g_autofree char *path = w2w_module_path_at(block, "attentions", i);

    return w2w_block_transformer(&recording->recorder, h, recording->text, path, params);
}

static W2wTensor *record_time(Recording *recording, W2wTensor *timesteps)
{
    const W2wUnetConfig *config = recording->config;
    W2wRecorder *recorder = &recording->recorder;
    const char *module = "time_embedding";
    W2wTensor *h = w2w_timestep_embedding(recorder->graph, timesteps, config->level[0].n_channels,
                                          config->flip_sin_to_cos, config->freq_shift);

    h = w2w_layer_linear(recorder, h, module, "linear_1", config->time_width, W2W_LINEAR_PLAIN);
    h = w2w_activation(recorder->graph, h, config->activation);
    h = w2w_layer_linear(recorder, h, module, "linear_2", config->time_width, W2W_LINEAR_PLAIN);
    w2w_layer_end(recorder, h, module);
    return w2w_activation(recorder->graph, h, config->activation);
}

static W2wTensor *record_down(Recording *recording, W2wTensor *h, guint i)
{
    const W2wUnetConfig *config = recording->config;
    const W2wUnetLevel *level = &config->level[i];
    const W2wTransformerParams params = transformer_params(config, level);
    g_autofree char *block = w2w_module_path_at("", "down_blocks", i);

    for (guint j = 0; j < (guint)level->n_layers; j++) {
        h = record_resnet(recording, h, block, j, level->n_channels);
        if (level->down_attention)
            h = record_transformer(recording, h, block, j, &params);
        g_ptr_array_add(recording->skips, h);
    }
    if (i + 1 < config->n_levels) {
        g_autofree char *sampler = w2w_module_path_at(block, "downsamplers", 0);

        h = w2w_block_downsample(&recording->recorder, h, sampler, config->downsample_padding);
        g_ptr_array_add(recording->skips, h);
    }
    return h;
}

static W2wTensor *record_mid(Recording *recording, W2wTensor *h)
{
    const W2wUnetConfig *config = recording->config;
    const W2wUnetLevel *level = &config->level[config->n_levels - 1];
    W2wTransformerParams params = transformer_params(config, level);
    const char *block = "mid_block";

    if (config->mid == W2W_UNET_MID_NONE)
        return h;
    h = record_resnet(recording, h, block, 0, level->n_channels);
    if (config->mid == W2W_UNET_MID_CROSS_ATTENTION) {
        params.only_cross_attention = FALSE; /* diffusers does not hand it on to this block */
        h = record_transformer(recording, h, block, 0, &params);
        h = record_resnet(recording, h, block, 1, level->n_channels);
    }
    w2w_layer_end(&recording->recorder, h, block);
    return h;
}

static W2wTensor *take_skip(Recording *recording)
{
    return g_ptr_array_steal_index(recording->skips, recording->skips->len - 1);
}

static W2wTensor *record_up(Recording *recording, W2wTensor *h, guint i)
{
    const W2wUnetConfig *config = recording->config;
    const W2wUnetLevel *level = &config->level[config->n_levels - 1 - i];
    const W2wTransformerParams params = transformer_params(config, level);
    g_autofree char *block = w2w_module_path_at("", "up_blocks", i);

    for (guint j = 0; j < (guint)level->n_layers + 1; j++) {
        h = w2w_concat(recording->recorder.graph, h, take_skip(recording));
        h = record_resnet(recording, h, block, j, level->n_channels);
        if (level->up_attention)
            h = record_transformer(recording, h, block, j, &params);
    }
    if (i + 1 < config->n_levels) {
        const W2wTensor *next = g_ptr_array_index(recording->skips, recording->skips->len - 1);
        const W2wShape size = w2w_tensor_get_shape(next);
        g_autofree char *sampler = w2w_module_path_at(block, "upsamplers", 0);

        h = w2w_block_upsample(&recording->recorder, h, sampler, size.h, size.w);
    }
    return h;
}

static W2wConv2dParams same_size(gint kernel)
{
    return (W2wConv2dParams){.kernel = kernel, .stride = 1, .padding = (kernel - 1) / 2};
}

static W2wGraph *record(W2wUnet *unet, const W2wUnetRecordOptions *options, GHashTable *lora_paths,
                        GArray *lora_targets)
{
    const W2wUnetConfig *config = &unet->config;
    const W2wConv2dParams conv_in = same_size(config->conv_in_kernel);
    const W2wConv2dParams conv_out = same_size(config->conv_out_kernel);
    const gint n_channels = config->level[0].n_channels;
    g_autoptr(GPtrArray) skips = g_ptr_array_new();
    W2wGraph *graph = w2w_graph_new();
    Recording recording = {
        .recorder = {.graph = graph,
                     .weights = unet->weights,
                     .inspect = options->inspect,
                     .lora_paths = lora_paths,
                     .lora_rank = options->lora_rank,
                     .lora_scale = options->lora_scale,
                     .lora_changes = options->lora_changes,
                     .lora_targets = lora_targets},
        .config = config,
        .resnet = {config->n_groups, config->eps, config->activation},
        .skips = skips,
    };
    W2wRecorder *recorder = &recording.recorder;
    W2wTensor *h = w2w_graph_input(
        graph, "latents",
        (W2wShape){options->batch, options->height, options->width, config->n_channels});
    W2wTensor *timesteps = w2w_graph_input(graph, "timesteps", (W2wShape){options->batch, 1, 1, 1});

    recording.text = w2w_graph_kept_input(
        graph, "text_embedding",
        (W2wShape){options->batch, 1, options->text_length, config->text_width});
    recording.time = record_time(&recording, timesteps);
    h = w2w_layer_conv2d(recorder, h, "", "conv_in", n_channels, &conv_in);
    w2w_layer_end(recorder, h, "conv_in");
    g_ptr_array_add(skips, h);
    for (guint i = 0; i < config->n_levels; i++)
        h = record_down(&recording, h, i);
    h = record_mid(&recording, h);
    for (guint i = 0; i < config->n_levels; i++)
        h = record_up(&recording, h, i);
    h = w2w_layer_group_norm(recorder, h, "", "conv_norm_out", config->n_groups, config->eps);
    w2w_layer_end(recorder, h, "conv_norm_out");
    h = w2w_activation(graph, h, config->activation);
    h = w2w_layer_conv2d(recorder, h, "", "conv_out", config->n_channels, &conv_out);
    w2w_graph_output(graph, "noise_pred", h);
    return graph;
}

/* --- opening --- */

static void clear_target(gpointer data)
{
    g_free((char *)((W2wLoraTarget *)data)->path);
}

static gint compare_targets(gconstpointer a, gconstpointer b)
{
    return strcmp(((const W2wLoraTarget *)a)->path, ((const W2wLoraTarget *)b)->path);
}

/* The smallest latents that every level can halve, whatever the padding. */
static gint smallest_size(const W2wUnetConfig *config)
{
    return config->downsample_padding == 0 ? 1 << (config->n_levels - 1) : 1;
}

W2wUnet *w2w_unet_open(const char *path, GError **error)
{
    g_autoptr(W2wConfig) file = NULL;
    g_autoptr(W2wUnet) unet = NULL;
    W2wUnetRecordOptions options = {.batch = 1, .text_length = 1};

    unet = g_new0(W2wUnet, 1);
    unet->lora_targets = g_array_new(FALSE, FALSE, sizeof(W2wLoraTarget));
    g_array_set_clear_func(unet->lora_targets, clear_target);
    if (!w2w_part_open(path, W2W_PART_UNET, &file, &unet->weights, error) ||
        !w2w_unet_config_read(file, &unet->config, error))
        return NULL;
    options.height = options.width = smallest_size(&unet->config);
    w2w_graph_free(record(unet, &options, NULL, unet->lora_targets));
    g_array_sort(unet->lora_targets, compare_targets);
    if (!w2w_weights_check(unet->weights, file, w2w_unet_config_shape_fields, error))
        return NULL;
    return g_steal_pointer(&unet);
}

void w2w_unet_free(W2wUnet *unet)
{
    if (unet == NULL)
        return;
    g_array_unref(unet->lora_targets);
    w2w_weights_free(unet->weights);
    g_free(unet);
}

gint w2w_unet_get_latent_channels(const W2wUnet *unet)
{
    return unet->config.n_channels;
}

gint w2w_unet_get_text_width(const W2wUnet *unet)
{
    return unet->config.text_width;
}

gint w2w_unet_get_sample_size(const W2wUnet *unet)
{
    return unet->config.sample_size;
}

const char *w2w_unet_get_fingerprint(W2wUnet *unet)
{
    return w2w_weights_get_fingerprint(unet->weights);
}

gboolean w2w_unet_add_weight_delta(W2wUnet *unet, const char *name, const float *delta,
                                   GError **error)
{
    return w2w_weights_add_delta(unet->weights, name, delta, error);
}

void w2w_unet_clear_weight_deltas(W2wUnet *unet)
{
    w2w_weights_clear_deltas(unet->weights);
}

const W2wArray *w2w_unet_peek_weight(const W2wUnet *unet, const char *name)
{
    return w2w_weights_peek(unet->weights, name);
}

const W2wLoraTarget *w2w_unet_get_lora_targets(const W2wUnet *unet, guint *n_targets)
{
    *n_targets = unet->lora_targets->len;
    return (const W2wLoraTarget *)unet->lora_targets->data;
}

/* --- recording for use --- */

static gboolean check_range(const char *what, gint value, gint min, gint max, GError **error)
{
    if (value >= min && value <= max)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "The UNet cannot work with %s of %d; %d to %d are possible.", what, value, min,
                max);
    return FALSE;
}

static gboolean check_lora_path(const W2wUnet *unet, const char *path, GError **error)
{
    const W2wLoraTarget wanted = {.path = path};

    if (g_array_binary_search(unet->lora_targets, &wanted, compare_targets, NULL))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                "The LoRA belongs to another model: the UNet of %s has no projection \"%s\".",
                w2w_weights_get_path(unet->weights), path);
    return FALSE;
}

W2wGraph *w2w_unet_record(W2wUnet *unet, const W2wUnetRecordOptions *options, GError **error)
{
    g_autoptr(GHashTable) lora_paths = NULL;
    const gint smallest = smallest_size(&unet->config);

    if (!check_range("a batch", options->batch, 1, W2W_UNET_MAX_BATCH, error) ||
        !check_range("latents of a height", options->height, smallest, W2W_UNET_MAX_SIZE, error) ||
        !check_range("latents of a width", options->width, smallest, W2W_UNET_MAX_SIZE, error) ||
        !check_range("a text of a length", options->text_length, 1, W2W_UNET_MAX_SIZE, error))
        return NULL;
    if (options->lora_paths != NULL && options->lora_paths[0] != NULL) {
        if (!check_range("a LoRA of a rank", options->lora_rank, 1, W2W_UNET_MAX_SIZE, error))
            return NULL;
        lora_paths = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; options->lora_paths[i] != NULL; i++) {
            if (!check_lora_path(unet, options->lora_paths[i], error))
                return NULL;
            g_hash_table_add(lora_paths, (gpointer)options->lora_paths[i]);
        }
    }
    return record(unet, options, lora_paths, NULL);
}
