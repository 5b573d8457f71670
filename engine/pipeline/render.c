/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sampling loop: noise → latents → picture, step for step as diffusers'
 * StableDiffusionPipeline does it, so that one seed gives one picture in both.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

/* One picture under way. */
typedef struct {
    W2wPipeline *pipeline;
    const W2wRenderOptions *options;
    const W2wProgress *progress;
    gint height, width; /* of the latents */
    guint batch;        /* 2 with guidance */
    gsize n;            /* numbers of one picture's latents */
    W2wScheduler *scheduler;
    const double *timesteps;
    guint n_timesteps;
    const W2wLoraWeights *identity, *base; /* NULL: none */
    float *latents;                        /* (1, height, width, channels) */
    float *model_input, *noise_pred;       /* (batch, height, width, channels) */
} Rendering;

static void clear_rendering(Rendering *rendering)
{
    g_clear_pointer(&rendering->scheduler, w2w_scheduler_free);
    w2w_aligned_free(rendering->latents);
    w2w_aligned_free(rendering->model_input);
    w2w_aligned_free(rendering->noise_pred);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rendering, clear_rendering)

G_GNUC_PRINTF(2, 3)
static gboolean fail_usage(GError **error, const char *format, ...)
{
    va_list arguments;
    g_autofree char *message = NULL;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, W2W_ERROR, W2W_ERROR_USAGE, message);
    return FALSE;
}

gboolean w2w_pipeline_check_size(const W2wPipeline *pipeline, gint width, gint height,
                                 const char *what, GError **error)
{
    const gint downscale = pipeline->sizes.downscale;

    if (width >= downscale && width <= W2W_RENDER_MAX_SIZE && width % downscale == 0 &&
        height >= downscale && height <= W2W_RENDER_MAX_SIZE && height % downscale == 0)
        return TRUE;
    return fail_usage(error,
                      "A picture of %d × %d pixels cannot be %s: width and height must be "
                      "multiples of %d up to %d.",
                      width, height, what, downscale, W2W_RENDER_MAX_SIZE);
}

static gboolean has_picture(const W2wRenderOptions *options)
{
    return options->init_picture != NULL || options->init_image != NULL;
}

/* Is it only the last part of a trajectory? */
static gboolean is_part(const W2wRenderOptions *options)
{
    return has_picture(options) || options->noised_latents != NULL;
}

gboolean w2w_pipeline_check_options(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                    GError **error)
{
    if (!w2w_pipeline_check_size(pipeline, options->width, options->height, "made", error))
        return FALSE;
    if (!(options->guidance_scale >= 0.0 &&
          options->guidance_scale <= W2W_RENDER_MAX_GUIDANCE_SCALE))
        return fail_usage(error, "The guidance scale is %g; 0 to %g was expected.",
                          options->guidance_scale, W2W_RENDER_MAX_GUIDANCE_SCALE);
    if (options->prompt == NULL)
        return fail_usage(error, "There is no prompt to render.");
    if (is_part(options) && !(options->strength > 0.0 && options->strength <= 1.0))
        return fail_usage(error,
                          "The strength is %g; more than 0 (the picture as it is) and at most 1 "
                          "(nothing of it is left) was expected.",
                          options->strength);
    if (has_picture(options) + (options->initial_latents != NULL) +
            (options->noised_latents != NULL) >
        1)
        return fail_usage(error, "A rendering starts from a picture or from given latents, not "
                                 "from both.");
    return w2w_pipeline_check_identity(pipeline, options->identity, error) &&
           w2w_pipeline_check_identity(pipeline, options->base_identity, error);
}

static gboolean start_scheduler(Rendering *rendering, GError **error)
{
    const W2wRenderOptions *options = rendering->options;
    guint n_train;

    rendering->scheduler =
        w2w_scheduler_new_from_file(options->scheduler, rendering->pipeline->scheduler_path, error);
    if (rendering->scheduler == NULL)
        return FALSE;
    if (options->noised_latents != NULL)
        w2w_scheduler_stop_clipping(rendering->scheduler);
    if (is_part(options) ? !w2w_scheduler_start_from(rendering->scheduler, options->steps,
                                                     options->strength, error)
                         : !w2w_scheduler_start(rendering->scheduler, options->steps, error))
        return FALSE;
    n_train = w2w_scheduler_get_noise_schedule(rendering->scheduler)->n_train_timesteps;
    if (options->base_identity != NULL &&
        !(options->from_timestep >= 0.0 && options->from_timestep <= n_train))
        return fail_usage(error,
                          "The timestep from which the identity is used is %g; 0 to %u was "
                          "expected.",
                          options->from_timestep, n_train);
    rendering->timesteps =
        w2w_scheduler_get_timesteps(rendering->scheduler, &rendering->n_timesteps);
    return TRUE;
}

static gboolean find_weights(Rendering *rendering, GError **error)
{
    const W2wRenderOptions *options = rendering->options;

    if (options->identity != NULL) {
        rendering->identity =
            w2w_pipeline_get_lora_weights(rendering->pipeline, options->identity, NULL, error);
        if (rendering->identity == NULL)
            return FALSE;
    }
    if (options->base_identity != NULL) {
        rendering->base = w2w_pipeline_get_lora_weights(rendering->pipeline, options->base_identity,
                                                        rendering->identity, error);
        if (rendering->base == NULL)
            return FALSE;
    }
    return TRUE;
}

/* Noise, or the picture's latents with noise; both as the scheduler's first call wants it. */
static gboolean fill_latents(Rendering *rendering, GError **error)
{
    const W2wRenderOptions *options = rendering->options;
    const float sigma = (float)w2w_scheduler_get_initial_sigma(rendering->scheduler);
    const gsize n = rendering->n;
    g_autoptr(W2wGenerator) generator = w2w_generator_new_kind(options->generator, options->seed);

    if (has_picture(options)) {
        W2W_AUTO_ALIGNED float *noise = w2w_aligned_alloc(n, sizeof *noise, "the noise", error);

        if (noise == NULL ||
            !w2w_pipeline_encode_init(rendering->pipeline, options, generator, rendering->latents,
                                      error) ||
            !w2w_pipeline_draw(rendering->pipeline, generator, n, noise, error))
            return FALSE;
        w2w_scheduler_add_noise(rendering->scheduler, n, noise, rendering->latents);
        return TRUE;
    }
    if (options->noised_latents != NULL) {
        memcpy(rendering->latents, options->noised_latents, n * sizeof(float));
        return TRUE;
    }
    if (options->initial_latents != NULL)
        memcpy(rendering->latents, options->initial_latents, n * sizeof(float));
    else if (!w2w_pipeline_draw(rendering->pipeline, generator, n, rendering->latents, error))
        return FALSE;
    for (gsize i = 0; i < n; i++)
        rendering->latents[i] *= sigma;
    return TRUE;
}

static gboolean make_latents(Rendering *rendering, GError **error)
{
    const gsize n = rendering->n;

    rendering->latents = w2w_aligned_alloc(n, sizeof(float), "the latents", error);
    if (rendering->latents == NULL)
        return FALSE;
    rendering->model_input =
        w2w_aligned_alloc(n, rendering->batch * sizeof(float), "the latents", error);
    if (rendering->model_input == NULL)
        return FALSE;
    rendering->noise_pred =
        w2w_aligned_alloc(n, rendering->batch * sizeof(float), "the latents", error);
    return rendering->noise_pred != NULL && fill_latents(rendering, error);
}

void w2w_pipeline_predict(W2wPipeline *pipeline, W2wKeptPlan *kept, const W2wRenderOptions *options,
                          double timestep, gsize n, float *model_input, float *noise_pred)
{
    const float guidance = (float)options->guidance_scale;
    const float timesteps[2] = {(float)timestep, (float)timestep};
    const float *cond = noise_pred + n;

    if (kept->batch == 2)
        memcpy(model_input + n, model_input, n * sizeof *model_input);
    w2w_plan_set_input(kept->plan, "latents", model_input);
    w2w_plan_set_input(kept->plan, "timesteps", timesteps);
    w2w_plan_replay(kept->plan);
    w2w_plan_get_output(kept->plan, "noise_pred", noise_pred);
    pipeline->counts.n_unet_calls++;
    if (kept->batch == 2)
        for (gsize e = 0; e < n; e++)
            noise_pred[e] += guidance * (cond[e] - noise_pred[e]);
}

static void call_unet(Rendering *rendering, W2wKeptPlan *kept, guint i)
{
    const float scale = (float)w2w_scheduler_get_input_scale(rendering->scheduler, i);
    const double t = rendering->timesteps[i];
    const gsize n = rendering->n;

    for (gsize e = 0; e < n; e++)
        rendering->model_input[e] = scale * rendering->latents[e];
    /* Delayed injection: the layout is the base's, details are the identity's. */
    w2w_pipeline_set_lora(rendering->pipeline, kept,
                          rendering->base != NULL && t > rendering->options->from_timestep
                              ? rendering->base
                              : rendering->identity);
    w2w_pipeline_predict(rendering->pipeline, kept, rendering->options, rendering->timesteps[i], n,
                         rendering->model_input, rendering->noise_pred);
}

gboolean w2w_pipeline_check_latents(const float *latents, gsize n, GError **error)
{
    for (gsize i = 0; i < n; i++)
        if (!isfinite(latents[i])) {
            g_set_error_literal(error, W2W_ERROR, W2W_ERROR_FAILED,
                                "The model gave numbers that are not finite. An identity far "
                                "outside of the population, or a damaged model, does that.");
            return FALSE;
        }
    return TRUE;
}

static gboolean sample(Rendering *rendering, W2wKeptPlan *kept, GError **error)
{
    const W2wRenderOptions *options = rendering->options;

    for (guint i = 0; i < rendering->n_timesteps; i++) {
        g_autofree char *text = g_strdup_printf("Step %u of %u", i + 1, rendering->n_timesteps);

        call_unet(rendering, kept, i);
        if (!w2w_scheduler_step(rendering->scheduler, i, rendering->n, rendering->noise_pred,
                                rendering->latents, error))
            return FALSE;
        if (options->on_latents != NULL)
            options->on_latents(i, rendering->timesteps[i], rendering->latents, rendering->n,
                                options->on_latents_data);
        /* The last part is the VAE's. */
        if (!w2w_progress_step(rendering->progress,
                               (double)(i + 1) / (double)(rendering->n_timesteps + 1), text, error))
            return FALSE;
    }
    return w2w_pipeline_check_latents(rendering->latents, rendering->n, error);
}

float *w2w_pipeline_decode(W2wPipeline *pipeline, float *latents, gint height, gint width,
                           GError **error)
{
    const float scaling_factor = (float)w2w_vae_get_scaling_factor(pipeline->vae);
    const gsize side = (gsize)pipeline->sizes.downscale;
    const gsize n_pixels = (gsize)height * (gsize)width;
    W2wKeptPlan *kept = w2w_pipeline_get_decode_plan(pipeline, height, width, error);
    float *image;

    if (kept == NULL)
        return NULL;
    image = w2w_aligned_alloc(n_pixels * side * side, 3 * sizeof *image, "a picture", error);
    if (image == NULL)
        return NULL;
    for (gsize e = 0; e < n_pixels * (gsize)pipeline->sizes.latent_channels; e++)
        latents[e] /= scaling_factor;
    w2w_plan_set_input(kept->plan, "latents", latents);
    w2w_plan_replay(kept->plan);
    w2w_plan_get_output(kept->plan, "image", image);
    return image;
}

float *w2w_pipeline_render_float(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                 const W2wProgress *progress, GError **error)
{
    const char *negative_prompt = options->negative_prompt != NULL ? options->negative_prompt : "";
    g_auto(Rendering) rendering = {
        .pipeline = pipeline,
        .options = options,
        .progress = progress,
        .batch = options->guidance_scale > 1.0 ? 2 : 1,
        .height = options->height / pipeline->sizes.downscale,
        .width = options->width / pipeline->sizes.downscale,
    };
    W2wKeptPlan *kept;
    W2W_AUTO_ALIGNED float *image = NULL;

    if (!w2w_pipeline_check_options(pipeline, options, error) ||
        !start_scheduler(&rendering, error) ||
        !w2w_progress_step(progress, 0.0, "Preparing", error))
        return NULL;
    rendering.n =
        (gsize)rendering.height * (gsize)rendering.width * (gsize)pipeline->sizes.latent_channels;
    if (!w2w_pipeline_set_loras(pipeline, options->loras, options->n_loras, error) ||
        !find_weights(&rendering, error))
        return NULL;
    kept = w2w_pipeline_get_unet_plan(pipeline, (gint)rendering.batch, rendering.height,
                                      rendering.width, error);
    if (kept == NULL ||
        !w2w_pipeline_set_text(pipeline, kept, options->prompt, negative_prompt, error) ||
        !make_latents(&rendering, error) || !sample(&rendering, kept, error))
        return NULL;
    image =
        w2w_pipeline_decode(pipeline, rendering.latents, rendering.height, rendering.width, error);
    if (image == NULL || !w2w_mapped_files_check(error) ||
        !w2w_progress_step(progress, 1.0, "Done", error))
        return NULL;
    return g_steal_pointer(&image);
}

/* diffusers: (x / 2 + 0.5) within 0 … 1, times 255, NumPy's round (halves to even). */
static guint8 to_u8(float value)
{
    const float unit = CLAMP(value / 2.0f + 0.5f, 0.0f, 1.0f);

    return isnan(unit) ? 0 : (guint8)rintf(unit * 255.0f);
}

W2wPicture *w2w_pipeline_render(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                const W2wProgress *progress, GError **error)
{
    W2W_AUTO_ALIGNED float *image = w2w_pipeline_render_float(pipeline, options, progress, error);
    W2wPicture *picture;

    if (image == NULL)
        return NULL;
    picture = w2w_picture_new((guint)options->width, (guint)options->height, error);
    if (picture == NULL)
        return NULL;
    for (gsize i = 0; i < (gsize)options->width * (gsize)options->height * 3; i++)
        picture->pixels[i] = to_u8(image[i]);
    return picture;
}
