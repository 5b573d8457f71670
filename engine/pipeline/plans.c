/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans of the sizes that were used last: a slider's next picture finds its plan ready. */
#include "engine/pipeline/pipeline_internal.h"

/*
 * With and without guidance, upright and across. Weights are shared between plans; what a plan
 * costs is its activations.
 */
#define MAX_KEPT 4

void w2w_kept_plan_free(W2wKeptPlan *kept)
{
    if (kept == NULL)
        return;
    w2w_plan_free(kept->plan);
    g_free(kept);
}

W2wPlan *w2w_pipeline_plan(W2wPipeline *pipeline, W2wGraph *graph, GError **error)
{
    W2wPlan *plan = w2w_plan_new(graph, pipeline->device, W2W_PLAN_DEFAULT, error);

    if (plan != NULL)
        pipeline->counts.n_plans++;
    return plan;
}

static W2wKeptPlan *find(W2wPipeline *pipeline, GPtrArray *plans, gint batch, gint height,
                         gint width)
{
    for (guint i = 0; i < plans->len; i++) {
        W2wKeptPlan *kept = plans->pdata[i];

        if (kept->batch == batch && kept->height == height && kept->width == width) {
            kept->last_used = ++pipeline->plan_clock;
            return kept;
        }
    }
    return NULL;
}

/* Before a new one is made, so that both are never there at once. */
static void drop_oldest(GPtrArray *plans)
{
    guint oldest = 0;

    if (plans->len < MAX_KEPT)
        return;
    for (guint i = 1; i < plans->len; i++)
        if (((W2wKeptPlan *)plans->pdata[i])->last_used <
            ((W2wKeptPlan *)plans->pdata[oldest])->last_used)
            oldest = i;
    g_ptr_array_remove_index_fast(plans, oldest);
}

/* Takes `graph` over; it may be NULL (its recording failed). */
static W2wKeptPlan *keep(W2wPipeline *pipeline, GPtrArray *plans, W2wGraph *graph, gint batch,
                         gint height, gint width, GError **error)
{
    W2wPlan *plan;
    W2wKeptPlan *kept;

    if (graph == NULL)
        return NULL;
    drop_oldest(plans);
    plan = w2w_pipeline_plan(pipeline, graph, error);
    if (plan == NULL)
        return NULL;
    kept = g_new0(W2wKeptPlan, 1);
    *kept = (W2wKeptPlan){.batch = batch,
                          .height = height,
                          .width = width,
                          .plan = plan,
                          .last_used = ++pipeline->plan_clock};
    g_ptr_array_add(plans, kept);
    return kept;
}

void w2w_pipeline_drop_plans(W2wPipeline *pipeline)
{
    g_clear_pointer(&pipeline->text_plan, w2w_plan_free);
    g_ptr_array_set_size(pipeline->unet_plans, 0);
    g_ptr_array_set_size(pipeline->decode_plans, 0);
    g_ptr_array_set_size(pipeline->encode_plans, 0);
}

W2wKeptPlan *w2w_pipeline_get_unet_plan(W2wPipeline *pipeline, gint batch, gint height, gint width,
                                        GError **error)
{
    const W2wSpace *space = w2w_world_get_space(pipeline->world);
    const W2wUnetRecordOptions options = {
        .batch = batch,
        .height = height,
        .width = width,
        .text_length = pipeline->sizes.text_length,
        .lora_paths =
            space != NULL ? (const char *const *)(gpointer)pipeline->lora_paths->pdata : NULL,
        .lora_rank = 1,
        .lora_scale = space != NULL ? w2w_space_get_lora_scale(space) : 0.0f};
    W2wKeptPlan *kept = find(pipeline, pipeline->unet_plans, batch, height, width);

    if (kept != NULL)
        return kept;
    return keep(pipeline, pipeline->unet_plans, w2w_unet_record(pipeline->unet, &options, error),
                batch, height, width, error);
}

W2wKeptPlan *w2w_pipeline_get_decode_plan(W2wPipeline *pipeline, gint height, gint width,
                                          GError **error)
{
    W2wKeptPlan *kept = find(pipeline, pipeline->decode_plans, 1, height, width);

    if (kept != NULL)
        return kept;
    return keep(pipeline, pipeline->decode_plans,
                w2w_vae_record_decode(pipeline->vae, 1, height, width, FALSE, error), 1, height,
                width, error);
}

W2wKeptPlan *w2w_pipeline_get_encode_plan(W2wPipeline *pipeline, gint height, gint width,
                                          GError **error)
{
    const gint downscale = pipeline->sizes.downscale;
    W2wKeptPlan *kept = find(pipeline, pipeline->encode_plans, 1, height, width);

    if (kept != NULL)
        return kept;
    return keep(pipeline, pipeline->encode_plans,
                w2w_vae_record_encode(pipeline->vae, 1, height * downscale, width * downscale,
                                      FALSE, error),
                1, height, width, error);
}
