/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From prompts to text embeddings. Those of the last prompts are kept: they change rarely. */
#include <string.h>

#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

/* Half a megabyte each with Stable Diffusion's 77 × 768. */
#define MAX_KEPT 16

/* The embedding of one prompt (length, width); owned by the pipeline. */
static const float *embed(W2wPipeline *pipeline, const char *prompt, GError **error)
{
    const guint length = (guint)pipeline->sizes.text_length;
    float *embedding = g_hash_table_lookup(pipeline->embeddings, prompt);
    g_autofree gint32 *ids = NULL;
    g_autofree float *values = NULL;

    if (embedding != NULL)
        return embedding;
    ids = g_new(gint32, length);
    values = g_new(float, length);
    if (!w2w_tokenizer_encode(pipeline->tokenizer, prompt, length, ids, NULL, error))
        return NULL;
    for (guint i = 0; i < length; i++)
        values[i] = (float)ids[i]; /* vocabularies are far below 2^24 */
    if (pipeline->text_plan == NULL) {
        W2wGraph *graph = w2w_text_encoder_record(pipeline->text_encoder, 1, FALSE, error);

        if (graph != NULL)
            pipeline->text_plan = w2w_pipeline_plan(pipeline, graph, error);
        if (pipeline->text_plan == NULL)
            return NULL;
    }
    embedding = w2w_aligned_alloc((gsize)length * (gsize)pipeline->sizes.text_width, sizeof(float),
                                  "a text embedding", error);
    if (embedding == NULL)
        return NULL;
    w2w_plan_set_input(pipeline->text_plan, "input_ids", values);
    w2w_plan_replay(pipeline->text_plan);
    w2w_plan_get_output(pipeline->text_plan, "text_embedding", embedding);
    pipeline->counts.n_text_encodings++;
    g_hash_table_insert(pipeline->embeddings, g_strdup(prompt), embedding);
    return embedding;
}

float *w2w_pipeline_encode_text(W2wPipeline *pipeline, const char *const *prompts, guint n_prompts,
                                GError **error)
{
    const gsize size = (gsize)pipeline->sizes.text_length * (gsize)pipeline->sizes.text_width;
    W2W_AUTO_ALIGNED float *all =
        w2w_aligned_alloc(n_prompts, size * sizeof *all, "text embeddings", error);

    if (all == NULL)
        return NULL;
    for (guint i = 0; i < n_prompts; i++) {
        const float *embedding;

        if (g_hash_table_size(pipeline->embeddings) >= MAX_KEPT)
            g_hash_table_remove_all(pipeline->embeddings);
        embedding = embed(pipeline, prompts[i], error);
        if (embedding == NULL)
            return NULL;
        memcpy(all + i * size, embedding, size * sizeof *all);
    }
    return g_steal_pointer(&all);
}

gboolean w2w_pipeline_count_cut(W2wPipeline *pipeline, const char *prompt, guint *n_cut,
                                GError **error)
{
    const guint length = (guint)pipeline->sizes.text_length;
    g_autofree gint32 *ids = g_new(gint32, length);

    return w2w_tokenizer_encode(pipeline->tokenizer, prompt, length, ids, n_cut, error);
}

gboolean w2w_pipeline_set_text(W2wPipeline *pipeline, W2wKeptPlan *kept, const char *prompt,
                               const char *negative_prompt, GError **error)
{
    /* The negative prompt first, as diffusers has it. */
    const char *const both[] = {negative_prompt, prompt};
    const gboolean guided = kept->batch == 2;
    W2W_AUTO_ALIGNED float *embeddings = NULL;

    if (pipeline->text_serial == 0 || !g_str_equal(pipeline->text_prompt, prompt) ||
        !g_str_equal(pipeline->text_negative, negative_prompt)) {
        g_free(pipeline->text_prompt);
        g_free(pipeline->text_negative);
        pipeline->text_prompt = g_strdup(prompt);
        pipeline->text_negative = g_strdup(negative_prompt);
        pipeline->text_serial++;
    }
    if (kept->text == pipeline->text_serial)
        return TRUE;
    embeddings =
        w2w_pipeline_encode_text(pipeline, guided ? both : both + 1, guided ? 2 : 1, error);
    if (embeddings == NULL)
        return FALSE;
    w2w_plan_set_input(kept->plan, "text_embedding", embeddings);
    kept->text = pipeline->text_serial;
    return TRUE;
}
