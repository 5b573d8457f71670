/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A picture changed by what two identities say differently about it.
 *
 * The noise that a picture is made from need not be sought: DDPM has room for any. With noise drawn
 * anew at every timestep, x[t] = sqrt(a[t]) x0 + sqrt(1 - a[t]) noise[t], each step of DDPM from
 * x[t] to x[p] has a noise of its own that makes it arrive, whatever the model predicts (the
 * edit-friendly inversion of Huberman-Spiegelglas et al. 2024, arXiv 2304.06140). Taking the same
 * steps with another identity leads elsewhere. Both ways have the drawn noise in common, so that of
 * the step
 *   mu(x, e) = sqrt(a[p] / a[t]) (x - sqrt(1 - a[t]) e) + sqrt(1 - a[p] - sigma^2) e
 *   sigma^2  = (1 - a[p]) / (1 - a[t]) (1 - a[t] / a[p])
 * only the difference d between them is left to follow:
 *   d[p] = sqrt(a[p] / a[t]) d[t] + (sqrt(1 - a[p] - sigma^2) - sqrt(a[p] / a[t]) sqrt(1 - a[t]))
 *          (e_after(x[t] + d[t]) - e_before(x[t]))
 * which starts at 0 and stays exactly there where both predictions are the same.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

typedef struct {
    W2wPipeline *pipeline;
    const W2wRenderOptions *options;
    const W2wProgress *progress;
    W2wScheduler *scheduler;
    const double *timesteps, *alphas; /* of the calls; by timestep */
    guint n_calls;
    gint height, width; /* of the latents */
    gsize n;            /* numbers of the latents */
    const W2wLoraWeights *before, *after;
    float *latents;                  /* (n): the picture's, x0 */
    float *difference;               /* (n): d */
    float *noised;                   /* (n_calls, n): x[t] */
    float *expected;                 /* (n_calls, n): e_before */
    float *model_input, *noise_pred; /* (2, n) */
} Change;

static void clear_change(Change *change)
{
    g_clear_pointer(&change->scheduler, w2w_scheduler_free);
    w2w_aligned_free(change->latents);
    w2w_aligned_free(change->difference);
    w2w_aligned_free(change->noised);
    w2w_aligned_free(change->expected);
    w2w_aligned_free(change->model_input);
    w2w_aligned_free(change->noise_pred);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Change, clear_change)

static gboolean start(Change *change, GError **error)
{
    const W2wRenderOptions *options = change->options;

    if (options->scheduler != W2W_SCHEDULER_DDIM ||
        (options->init_picture == NULL && options->init_image == NULL)) {
        g_set_error_literal(error, W2W_ERROR, W2W_ERROR_USAGE,
                            "A picture is changed along the timesteps of DDIM.");
        return FALSE;
    }
    change->scheduler =
        w2w_scheduler_new_from_file(options->scheduler, change->pipeline->scheduler_path, error);
    if (change->scheduler == NULL ||
        !w2w_scheduler_start_from(change->scheduler, options->steps, options->strength, error))
        return FALSE;
    change->timesteps = w2w_scheduler_get_timesteps(change->scheduler, &change->n_calls);
    change->alphas = w2w_scheduler_get_noise_schedule(change->scheduler)->alphas_cumprod;
    return TRUE;
}

static gboolean find_weights(Change *change, const W2wIdentity *before, const W2wIdentity *after,
                             GError **error)
{
    if (before != NULL) {
        change->before = w2w_pipeline_get_lora_weights(change->pipeline, before, NULL, error);
        if (change->before == NULL)
            return FALSE;
    }
    if (after != NULL) {
        change->after =
            w2w_pipeline_get_lora_weights(change->pipeline, after, change->before, error);
        if (change->after == NULL)
            return FALSE;
    }
    return TRUE;
}

static gboolean allocate(Change *change, GError **error)
{
    const struct {
        float **buffer;
        gsize count;
    } buffers[] = {
        {&change->latents, 1},
        {&change->difference, 1},
        {&change->noised, change->n_calls},
        {&change->expected, change->n_calls},
        {&change->model_input, 2},
        {&change->noise_pred, 2},
    };

    for (guint i = 0; i < G_N_ELEMENTS(buffers); i++) {
        *buffers[i].buffer = w2w_aligned_alloc0(change->n, buffers[i].count * sizeof(float),
                                                "the latents of a picture", error);
        if (*buffers[i].buffer == NULL)
            return FALSE;
    }
    return TRUE;
}

static double get_alpha(const Change *change, guint i)
{
    return change->alphas[(gsize)change->timesteps[i]];
}

/* x[t] of every call. */
static gboolean draw(Change *change, GError **error)
{
    g_autoptr(W2wGenerator) generator =
        w2w_generator_new_kind(change->options->generator, change->options->seed);

    for (guint i = 0; i < change->n_calls; i++) {
        const double alpha = get_alpha(change, i);
        const float signal = (float)sqrt(alpha), noise = (float)sqrt(1.0 - alpha);
        float *noised = change->noised + i * change->n;

        if (!w2w_pipeline_draw(change->pipeline, generator, change->n, noised, error))
            return FALSE;
        for (gsize e = 0; e < change->n; e++)
            noised[e] = signal * change->latents[e] + noise * noised[e];
    }
    return TRUE;
}

static void predict(Change *change, W2wKeptPlan *kept, guint i)
{
    w2w_pipeline_predict(change->pipeline, kept, change->options, change->timesteps[i], change->n,
                         change->model_input, change->noise_pred);
}

static gboolean report(const Change *change, guint n_done, GError **error)
{
    const guint n_steps = 2 * change->n_calls;
    g_autofree char *text = g_strdup_printf("Step %u of %u", n_done, n_steps);

    return w2w_progress_step(change->progress, (double)n_done / (n_steps + 1), text, error);
}

/* What the identity before says about each x[t]: the way that leads to the picture. */
static gboolean expect(Change *change, W2wKeptPlan *kept, GError **error)
{
    const gsize n = change->n;

    w2w_pipeline_set_lora(change->pipeline, kept, change->before);
    for (guint i = 0; i < change->n_calls; i++) {
        memcpy(change->model_input, change->noised + i * n, n * sizeof(float));
        predict(change, kept, i);
        memcpy(change->expected + i * n, change->noise_pred, n * sizeof(float));
        if (!report(change, i + 1, error))
            return FALSE;
    }
    return TRUE;
}

/* The difference after call i. The last one leads to the picture, where all of the signal is. */
static void follow(Change *change, guint i)
{
    const double from = get_alpha(change, i);
    const double to = i + 1 < change->n_calls ? get_alpha(change, i + 1) : 1.0;
    const double sigma2 = (1.0 - to) / (1.0 - from) * (1.0 - from / to);
    const double keep = sqrt(to / from);
    const double gain = sqrt(MAX(1.0 - to - sigma2, 0.0)) - keep * sqrt(1.0 - from);
    const float *expected = change->expected + i * change->n;

    for (gsize e = 0; e < change->n; e++)
        change->difference[e] = (float)(keep * change->difference[e] +
                                        gain * ((double)change->noise_pred[e] - expected[e]));
}

static gboolean change_latents(Change *change, W2wKeptPlan *kept, GError **error)
{
    const gsize n = change->n;

    w2w_pipeline_set_lora(change->pipeline, kept, change->after);
    for (guint i = 0; i < change->n_calls; i++) {
        for (gsize e = 0; e < n; e++)
            change->model_input[e] = change->noised[i * n + e] + change->difference[e];
        predict(change, kept, i);
        follow(change, i);
        if (!report(change, change->n_calls + i + 1, error))
            return FALSE;
    }
    return w2w_pipeline_check_latents(change->difference, n, error);
}

static gboolean decode(Change *change, float **before_image, float **after_image, GError **error)
{
    W2W_AUTO_ALIGNED float *before = NULL;
    W2W_AUTO_ALIGNED float *after = NULL;

    for (gsize e = 0; e < change->n; e++)
        change->difference[e] += change->latents[e];
    before = w2w_pipeline_decode(change->pipeline, change->latents, change->height, change->width,
                                 error);
    if (before == NULL)
        return FALSE;
    after = w2w_pipeline_decode(change->pipeline, change->difference, change->height, change->width,
                                error);
    if (after == NULL || !w2w_mapped_files_check(error) ||
        !w2w_progress_step(change->progress, 1.0, "Done", error))
        return FALSE;
    *before_image = g_steal_pointer(&before);
    *after_image = g_steal_pointer(&after);
    return TRUE;
}

gboolean w2w_pipeline_change_picture(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                     const W2wIdentity *before, float **before_image,
                                     float **after_image, const W2wProgress *progress,
                                     GError **error)
{
    const char *negative_prompt = options->negative_prompt != NULL ? options->negative_prompt : "";
    g_auto(Change) change = {
        .pipeline = pipeline,
        .options = options,
        .progress = progress,
        .height = options->height / pipeline->sizes.downscale,
        .width = options->width / pipeline->sizes.downscale,
    };
    W2wKeptPlan *kept;

    if (!w2w_pipeline_check_options(pipeline, options, error) ||
        !w2w_pipeline_check_identity(pipeline, before, error) || !start(&change, error) ||
        !w2w_progress_step(progress, 0.0, "Preparing", error) ||
        !w2w_pipeline_set_loras(pipeline, options->loras, options->n_loras, error))
        return FALSE;
    change.n = (gsize)change.height * (gsize)change.width * (gsize)pipeline->sizes.latent_channels;
    if (!allocate(&change, error) ||
        !w2w_pipeline_encode_mean(pipeline, options, change.latents, error) ||
        !draw(&change, error) || !find_weights(&change, before, options->identity, error))
        return FALSE;
    kept = w2w_pipeline_get_unet_plan(pipeline, options->guidance_scale > 1.0 ? 2 : 1,
                                      change.height, change.width, error);
    return kept != NULL &&
           w2w_pipeline_set_text(pipeline, kept, options->prompt, negative_prompt, error) &&
           expect(&change, kept, error) && change_latents(&change, kept, error) &&
           decode(&change, before_image, after_image, error);
}
