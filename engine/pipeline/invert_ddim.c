/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a picture to the noise that it is rendered from. */
#include <string.h>

#include "engine/diffusion/ddim_inverse.h"
#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

/* One inversion under way. */
typedef struct {
    W2wPipeline *pipeline;
    const W2wProgress *progress;
    W2wScheduler *scheduler;
    const double *timesteps;
    guint n_calls, n_predictions;
    gsize n;                              /* numbers of the latents */
    float *latents, *noisier, *predicted; /* (1,h,w,c) */
} Inversion;

static void clear_inversion(Inversion *inversion)
{
    g_clear_pointer(&inversion->scheduler, w2w_scheduler_free);
    w2w_aligned_free(inversion->latents);
    w2w_aligned_free(inversion->noisier);
    w2w_aligned_free(inversion->predicted);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Inversion, clear_inversion)

static gboolean check(W2wPipeline *pipeline, const W2wRenderOptions *options, guint n_predictions,
                      GError **error)
{
    if (!w2w_pipeline_check_options(pipeline, options, error))
        return FALSE;
    if (options->scheduler == W2W_SCHEDULER_DDIM && n_predictions >= 1 &&
        (options->init_picture != NULL || options->init_image != NULL))
        return TRUE;
    g_set_error_literal(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "Only DDIM can be inverted, from a picture, with at least one prediction "
                        "a step.");
    return FALSE;
}

static gboolean start(Inversion *inversion, const W2wRenderOptions *options, GError **error)
{
    inversion->scheduler =
        w2w_scheduler_new_from_file(options->scheduler, inversion->pipeline->scheduler_path, error);
    if (inversion->scheduler == NULL ||
        !w2w_scheduler_start_from(inversion->scheduler, options->steps, options->strength, error))
        return FALSE;
    w2w_scheduler_stop_clipping(inversion->scheduler);
    inversion->timesteps = w2w_scheduler_get_timesteps(inversion->scheduler, &inversion->n_calls);
    return TRUE;
}

/* The mean of what the VAE makes of the picture: the middle, which is its best single answer. */
static gboolean encode(Inversion *inversion, const W2wRenderOptions *options, GError **error)
{
    const gsize n = inversion->n;

    inversion->latents = w2w_aligned_alloc(n, sizeof(float), "the latents", error);
    if (inversion->latents == NULL)
        return FALSE;
    inversion->noisier = w2w_aligned_alloc(n, sizeof(float), "the latents", error);
    if (inversion->noisier == NULL)
        return FALSE;
    inversion->predicted = w2w_aligned_alloc(n, sizeof(float), "the latents", error);
    if (inversion->predicted == NULL)
        return FALSE;
    return w2w_pipeline_encode_mean(inversion->pipeline, options, inversion->latents, error);
}

/* Call i undone: the noisier latents are what makes its prediction lead to these. */
static void undo(Inversion *inversion, W2wKeptPlan *kept, guint i)
{
    const float timestep = (float)inversion->timesteps[i];

    memcpy(inversion->noisier, inversion->latents, inversion->n * sizeof(float));
    for (guint p = 0; p < inversion->n_predictions; p++) {
        w2w_plan_set_input(kept->plan, "latents", inversion->noisier);
        w2w_plan_set_input(kept->plan, "timesteps", &timestep);
        w2w_plan_replay(kept->plan);
        w2w_plan_get_output(kept->plan, "noise_pred", inversion->predicted);
        inversion->pipeline->counts.n_unet_calls++;
        w2w_ddim_inverse_step(inversion->scheduler, i, inversion->n, inversion->predicted,
                              inversion->latents, inversion->noisier);
    }
    memcpy(inversion->latents, inversion->noisier, inversion->n * sizeof(float));
}

float *w2w_pipeline_invert_ddim(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                guint n_predictions, const W2wProgress *progress, GError **error)
{
    const gint height = options->height / pipeline->sizes.downscale;
    const gint width = options->width / pipeline->sizes.downscale;
    const W2wLoraWeights *identity = NULL;
    g_auto(Inversion) inversion = {
        .pipeline = pipeline,
        .progress = progress,
        .n_predictions = n_predictions,
        .n = (gsize)height * (gsize)width * (gsize)pipeline->sizes.latent_channels,
    };
    W2wKeptPlan *kept;

    if (!check(pipeline, options, n_predictions, error) || !start(&inversion, options, error) ||
        !w2w_progress_step(progress, 0.0, "Preparing", error) ||
        !w2w_pipeline_set_loras(pipeline, options->loras, options->n_loras, error))
        return NULL;
    if (options->identity != NULL) {
        identity = w2w_pipeline_get_lora_weights(pipeline, options->identity, NULL, error);
        if (identity == NULL)
            return NULL;
    }
    if (!encode(&inversion, options, error))
        return NULL;
    kept = w2w_pipeline_get_unet_plan(pipeline, 1, height, width, error);
    if (kept == NULL || !w2w_pipeline_set_text(pipeline, kept, options->prompt, "", error))
        return NULL;
    w2w_pipeline_set_lora(pipeline, kept, identity);
    for (guint i = inversion.n_calls; i > 0; i--) {
        const guint n_done = inversion.n_calls - i + 1;
        g_autofree char *text =
            g_strdup_printf("Back to noise, step %u of %u", n_done, inversion.n_calls);

        undo(&inversion, kept, i - 1);
        if (!w2w_progress_step(progress, (double)n_done / inversion.n_calls, text, error))
            return NULL;
    }
    if (!w2w_pipeline_check_latents(inversion.latents, inversion.n, error) ||
        !w2w_mapped_files_check(error))
        return NULL;
    return g_steal_pointer(&inversion.latents);
}
