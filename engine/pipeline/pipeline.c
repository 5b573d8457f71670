/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a world's models, and whether they belong together. */
#include "engine/pipeline/pipeline.h"

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/memory.h"
#include "engine/models/model_match.h"
#include "engine/models/model_parts.h"
#include "engine/pipeline/pipeline_internal.h"

/* The kind of diffusers folder that this pipeline is. */
#define PIPELINE_CLASS "StableDiffusionPipeline"

void w2w_pipeline_free(W2wPipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    /* Plans before the device, and before the models whose weights they use. */
    g_clear_pointer(&pipeline->unet_plans, g_ptr_array_unref);
    g_clear_pointer(&pipeline->decode_plans, g_ptr_array_unref);
    g_clear_pointer(&pipeline->encode_plans, g_ptr_array_unref);
    g_clear_pointer(&pipeline->text_plan, w2w_plan_free);
    g_clear_pointer(&pipeline->embeddings, g_hash_table_unref);
    g_free(pipeline->text_prompt);
    g_free(pipeline->text_negative);
    for (guint i = 0; i < W2W_N_LORA_WEIGHTS; i++)
        w2w_lora_weights_clear(&pipeline->lora_weights[i]);
    g_clear_pointer(&pipeline->lora_paths, g_ptr_array_unref);
    g_clear_pointer(&pipeline->merged, g_ptr_array_unref);
    g_clear_pointer(&pipeline->tokenizer, w2w_tokenizer_free);
    g_clear_pointer(&pipeline->text_encoder, w2w_text_encoder_free);
    g_clear_pointer(&pipeline->unet, w2w_unet_free);
    g_clear_pointer(&pipeline->vae, w2w_vae_free);
    g_free(pipeline->scheduler_path);
    w2w_scheduler_free(pipeline->scheduler);
    g_free(pipeline->fingerprint);
    w2w_device_free(pipeline->device);
    w2w_world_free(pipeline->world);
    g_free(pipeline);
}

W2wWorld *w2w_pipeline_get_world(const W2wPipeline *pipeline)
{
    return pipeline->world;
}

W2wDevice *w2w_pipeline_get_device(const W2wPipeline *pipeline)
{
    return pipeline->device;
}

W2wPipelineCounts w2w_pipeline_get_counts(const W2wPipeline *pipeline)
{
    return pipeline->counts;
}

const W2wNoiseSchedule *w2w_pipeline_get_noise_schedule(const W2wPipeline *pipeline)
{
    return w2w_scheduler_get_noise_schedule(pipeline->scheduler);
}

double w2w_pipeline_get_scaling_factor(const W2wPipeline *pipeline)
{
    return w2w_vae_get_scaling_factor(pipeline->vae);
}

W2wPipelineSizes w2w_pipeline_get_sizes(const W2wPipeline *pipeline)
{
    return pipeline->sizes;
}

const char *w2w_pipeline_get_model_fingerprint(W2wPipeline *pipeline)
{
    g_autoptr(GChecksum) checksum = NULL;

    if (pipeline->fingerprint != NULL)
        return pipeline->fingerprint;
    checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(checksum,
                      (const guchar *)w2w_text_encoder_get_fingerprint(pipeline->text_encoder), -1);
    g_checksum_update(checksum, (const guchar *)w2w_unet_get_fingerprint(pipeline->unet), -1);
    g_checksum_update(checksum, (const guchar *)w2w_vae_get_fingerprint(pipeline->vae), -1);
    pipeline->fingerprint = g_strdup(g_checksum_get_string(checksum));
    return pipeline->fingerprint;
}

/* Other pipelines have parts of the same names that mean something else. */
static gboolean check_class(const char *model, GError **error)
{
    g_autofree char *path = g_build_filename(model, "model_index.json", NULL);
    g_autoptr(JsonObject) index = NULL;
    JsonNode *node;
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) /* its parts speak for themselves */
        return TRUE;
    index = w2w_json_load(path, error);
    if (index == NULL)
        return FALSE;
    node = json_object_get_member(index, "_class_name");
    name = node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
    if (name == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s does not say in “_class_name” what kind of pipeline it is.", path);
        return FALSE;
    }
    if (!g_str_equal(name, PIPELINE_CLASS)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "%s is a model of the kind %s; this program runs %s (Stable Diffusion 1.x).",
                    path, name, PIPELINE_CLASS);
        return FALSE;
    }
    return TRUE;
}

static gboolean open_models(W2wPipeline *pipeline, const char *model, GError **error)
{
    g_autofree char *clip = g_build_filename(w2w_world_get_default_directory(), "clip", NULL);
    g_autofree char *tokenizer = w2w_model_tokenizer_path(model, clip);
    g_autofree char *text_encoder = w2w_model_part_path(model, "text_encoder");
    g_autofree char *unet = w2w_model_part_path(model, "unet");
    g_autofree char *vae = w2w_model_part_path(model, "vae");

    pipeline->scheduler_path = w2w_model_scheduler_path(model);
    pipeline->scheduler =
        w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, pipeline->scheduler_path, error);
    if (pipeline->scheduler == NULL)
        return FALSE;
    pipeline->tokenizer = w2w_tokenizer_new(tokenizer, error);
    if (pipeline->tokenizer == NULL)
        return FALSE;
    pipeline->text_encoder = w2w_text_encoder_open(text_encoder, error);
    if (pipeline->text_encoder == NULL)
        return FALSE;
    pipeline->unet = w2w_unet_open(unet, error);
    if (pipeline->unet == NULL)
        return FALSE;
    pipeline->vae = w2w_vae_open(vae, error);
    return pipeline->vae != NULL;
}

static gboolean check_parts(W2wPipeline *pipeline, const char *model, GError **error)
{
    const gint embedding = w2w_text_encoder_get_vocabulary_size(pipeline->text_encoder);
    const guint vocabulary = w2w_tokenizer_get_vocabulary_size(pipeline->tokenizer);

    pipeline->sizes =
        (W2wPipelineSizes){.text_length = w2w_text_encoder_get_length(pipeline->text_encoder),
                           .text_width = w2w_text_encoder_get_width(pipeline->text_encoder),
                           .latent_channels = w2w_vae_get_latent_channels(pipeline->vae),
                           .downscale = w2w_vae_get_downscale(pipeline->vae)};
    if (vocabulary > (guint)embedding) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The parts of %s do not belong together: the tokenizer has %u tokens, the text "
                    "encoder knows %d.",
                    model, vocabulary, embedding);
        return FALSE;
    }
    return w2w_model_check_match(pipeline->text_encoder, pipeline->unet, model, pipeline->vae,
                                 model, error);
}

W2wPipeline *w2w_pipeline_new(W2wWorld *world, W2wDevice *device, GError **error)
{
    g_autoptr(W2wPipeline) pipeline = g_new0(W2wPipeline, 1);
    const char *model = w2w_world_get_model_directory(world);

    pipeline->world = world;
    pipeline->device = device;
    pipeline->merged = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_merged_lora_free);
    pipeline->lora_paths = g_ptr_array_new_with_free_func(g_free);
    pipeline->embeddings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, w2w_aligned_free);
    pipeline->unet_plans = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_kept_plan_free);
    pipeline->decode_plans = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_kept_plan_free);
    pipeline->encode_plans = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_kept_plan_free);
    if (!check_class(model, error) || !open_models(pipeline, model, error) ||
        !check_parts(pipeline, model, error) || !w2w_pipeline_match_keys(pipeline, error))
        return NULL;
    return g_steal_pointer(&pipeline);
}
