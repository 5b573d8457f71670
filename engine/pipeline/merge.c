/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LoRAs beside an identity: any rank, any module, so they are merged into copies of the weights
 * that they touch, before graphs are planned. They change rarely; what changes with every slider is
 * the identity, whose own factors stay inputs of the plans.
 *
 * Plans hold the arrays that they were made with (and share packed ones by address while they hold
 * them), so plans of another set could neither be used nor mistaken for this one's; they are
 * dropped first, for their memory.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/formats/file_stamp.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"
#include "engine/w2w/lora_file.h"

void w2w_merged_lora_free(W2wMergedLora *merged)
{
    if (merged == NULL)
        return;
    g_free(merged->path);
    g_free(merged->source);
    g_free(merged->state);
    g_free(merged->fingerprint);
    g_free(merged);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wMergedLora, w2w_merged_lora_free)

/* What changes when somebody writes the file anew, or the settings that PEFT puts beside it. */
static char *get_state(const char *source)
{
    g_autofree char *folder = g_path_get_dirname(source);
    g_autofree char *config = g_build_filename(folder, "adapter_config.json", NULL);
    g_autofree char *of_source = w2w_file_stamp(source);
    g_autofree char *of_config = w2w_file_stamp(config);

    return g_strconcat(of_source, of_config, NULL);
}

static char *hash_file(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, error);

    return bytes != NULL ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes) : NULL;
}

static gboolean is_same(const W2wMergedLora *merged, const W2wRenderLora *lora)
{
    g_autofree char *state = get_state(merged->source);

    return g_str_equal(merged->path, lora->path) && merged->strength == lora->strength &&
           g_str_equal(merged->state, state);
}

static gboolean is_same_set(const W2wPipeline *pipeline, const W2wRenderLora *loras, guint n_loras)
{
    if (pipeline->merged->len != n_loras)
        return FALSE;
    for (guint i = 0; i < n_loras; i++)
        if (!is_same(pipeline->merged->pdata[i], &loras[i]))
            return FALSE;
    return TRUE;
}

/* Back to the files' own weights, and nothing left that was made with others. */
static void unmerge(W2wPipeline *pipeline)
{
    g_ptr_array_set_size(pipeline->unet_plans, 0);
    g_clear_pointer(&pipeline->text_plan, w2w_plan_free);
    g_hash_table_remove_all(pipeline->embeddings);
    w2w_unet_clear_weight_deltas(pipeline->unet);
    w2w_text_encoder_clear_weight_deltas(pipeline->text_encoder);
    g_ptr_array_set_size(pipeline->merged, 0);
}

static const W2wArray *peek_weight(const W2wPipeline *pipeline, const W2wLoraModule *module,
                                   const char *name)
{
    return module->in_text_encoder ? w2w_text_encoder_peek_weight(pipeline->text_encoder, name)
                                   : w2w_unet_peek_weight(pipeline->unet, name);
}

/* The weight of a module; W2W_ERROR_MISMATCH where the model's is missing or another one. */
static const W2wArray *find_weight(W2wPipeline *pipeline, const W2wLora *lora,
                                   const W2wLoraModule *module, const char *name, GError **error)
{
    const W2wArray *weight = peek_weight(pipeline, module, name);
    const char *model = w2w_world_get_model_directory(pipeline->world);
    g_autofree char *shape = NULL;

    if (weight == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s is a LoRA for another model than %s, whose %s has no %s.", lora->source,
                    model, module->in_text_encoder ? "text encoder" : "UNet", module->path);
        return NULL;
    }
    if (weight->n_dims >= 2 && weight->shape[0] == w2w_lora_module_get_n_out(module) &&
        weight->n_elements == w2w_lora_module_get_n_elements(module))
        return weight;
    shape = w2w_array_shape_to_string(weight);
    g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                "%s is a LoRA for another model than %s, whose %s has a weight of the shape %s: "
                "the LoRA's has %" G_GINT64_FORMAT " outputs and %" G_GINT64_FORMAT " numbers.",
                lora->source, model, module->path, shape, w2w_lora_module_get_n_out(module),
                w2w_lora_module_get_n_elements(module));
    return NULL;
}

static gboolean merge_module(W2wPipeline *pipeline, const W2wLora *lora,
                             const W2wLoraModule *module, double strength, GError **error)
{
    g_autofree char *name = g_strconcat(module->path, ".weight", NULL);
    const W2wArray *weight = find_weight(pipeline, lora, module, name, error);
    W2W_AUTO_ALIGNED float *delta = NULL;

    if (weight == NULL)
        return FALSE;
    if (strength == 0.0)
        return TRUE;
    delta = w2w_aligned_alloc((gsize)weight->n_elements, sizeof *delta, "a LoRA's change", error);
    if (delta == NULL ||
        !w2w_lora_module_get_delta(module, strength, weight->n_elements, delta, error))
        return FALSE;
    return module->in_text_encoder
               ? w2w_text_encoder_add_weight_delta(pipeline->text_encoder, name, delta, error)
               : w2w_unet_add_weight_delta(pipeline->unet, name, delta, error);
}

static gboolean merge(W2wPipeline *pipeline, const W2wRenderLora *given, GError **error)
{
    g_autoptr(W2wLora) found = NULL;
    g_autoptr(W2wLora) lora = NULL;
    g_autoptr(W2wMergedLora) merged = g_new0(W2wMergedLora, 1);

    if (!isfinite(given->strength)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "The strength of the LoRA %s is no number.",
                    given->path);
        return FALSE;
    }
    /* Which file it is says the first opening; what is merged is what the second finds, after the
     * state was taken: a file that is replaced meanwhile is another one at the next use. */
    found = w2w_lora_open(given->path, error);
    if (found == NULL)
        return FALSE;
    merged->source = g_strdup(found->source);
    merged->state = get_state(merged->source);
    lora = w2w_lora_open(given->path, error);
    if (lora == NULL)
        return FALSE;
    merged->path = g_strdup(given->path);
    merged->strength = given->strength;
    merged->fingerprint = hash_file(lora->source, error);
    if (merged->fingerprint == NULL)
        return FALSE;
    for (guint i = 0; i < lora->modules->len; i++)
        if (!merge_module(pipeline, lora, lora->modules->pdata[i], given->strength, error))
            return FALSE;
    g_ptr_array_add(pipeline->merged, g_steal_pointer(&merged));
    return TRUE;
}

gboolean w2w_pipeline_set_loras(W2wPipeline *pipeline, const W2wRenderLora *loras, guint n_loras,
                                GError **error)
{
    if (is_same_set(pipeline, loras, n_loras))
        return TRUE;
    unmerge(pipeline);
    for (guint i = 0; i < n_loras; i++)
        if (!merge(pipeline, &loras[i], error)) {
            unmerge(pipeline);
            return FALSE;
        }
    pipeline->counts.n_merges++;
    return TRUE;
}

const char *w2w_pipeline_get_lora_fingerprint(const W2wPipeline *pipeline, guint i)
{
    const W2wMergedLora *merged;

    g_return_val_if_fail(i < pipeline->merged->len, NULL);
    merged = pipeline->merged->pdata[i];
    return merged->fingerprint;
}
