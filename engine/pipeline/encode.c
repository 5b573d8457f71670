/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a picture to latents, as diffusers' StableDiffusionImg2ImgPipeline does it: the VAE gives a
 * normal distribution for every latent, and a sample of it is what is changed.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

/* diffusers clamps the logarithm of the variance to these. */
#define MIN_LOG_VARIANCE (-30.0f)
#define MAX_LOG_VARIANCE 20.0f

gboolean w2w_pipeline_draw(W2wPipeline *pipeline, W2wGenerator *generator, gsize n, float *out,
                           GError **error)
{
    const gint64 channels = pipeline->sizes.latent_channels;
    W2W_AUTO_ALIGNED float *planes = w2w_aligned_alloc(n, sizeof *planes, "the latents", error);

    if (planes == NULL)
        return FALSE;
    w2w_generator_randn(generator, n, planes);
    w2w_transpose_f32(planes, 1, channels, (gint64)n / channels, out);
    return TRUE;
}

gboolean w2w_pipeline_encode_image(W2wPipeline *pipeline, const float *image, gint width,
                                   gint height, float *mean, float *std, GError **error)
{
    const gint h = height / pipeline->sizes.downscale, w = width / pipeline->sizes.downscale;
    const gsize channels = (gsize)pipeline->sizes.latent_channels;
    const gsize n_pixels = (gsize)h * (gsize)w;
    W2W_AUTO_ALIGNED float *moments = NULL;
    W2wKeptPlan *kept;

    if (!w2w_pipeline_check_size(pipeline, width, height, "encoded", error))
        return FALSE;
    kept = w2w_pipeline_get_encode_plan(pipeline, h, w, error);
    if (kept == NULL)
        return FALSE;
    moments = w2w_aligned_alloc(n_pixels, 2 * channels * sizeof *moments, "the latents", error);
    if (moments == NULL)
        return FALSE;
    w2w_plan_set_input(kept->plan, "image", image);
    w2w_plan_replay(kept->plan);
    w2w_plan_get_output(kept->plan, "moments", moments);
    for (gsize p = 0; p < n_pixels; p++)
        for (gsize c = 0; c < channels; c++) {
            const float *pixel = moments + p * 2 * channels;
            const float log_variance =
                CLAMP(pixel[channels + c], MIN_LOG_VARIANCE, MAX_LOG_VARIANCE);

            mean[p * channels + c] = pixel[c];
            std[p * channels + c] = expf(0.5f * log_variance);
        }
    return TRUE;
}

/* 0 … 255 → −1 … 1, in diffusers' two steps; the picture in the size that is wanted. */
float *w2w_picture_to_image(const W2wPicture *picture, gint width, gint height, GError **error)
{
    g_autoptr(W2wPicture) resampled = NULL;
    const gsize n = (gsize)width * (gsize)height * 3;
    float *image;

    if (picture->width != (guint)width || picture->height != (guint)height) {
        picture = resampled = w2w_picture_resample(picture, (guint)width, (guint)height, error);
        if (resampled == NULL)
            return NULL;
    }
    image = w2w_aligned_alloc(n, sizeof *image, "a picture", error);
    for (gsize i = 0; image != NULL && i < n; i++)
        image[i] = 2.0f * ((float)picture->pixels[i] / 255.0f) - 1.0f;
    return image;
}

gboolean w2w_pipeline_encode_picture(W2wPipeline *pipeline, const W2wPicture *picture, gint width,
                                     gint height, float *mean, float *std, GError **error)
{
    W2W_AUTO_ALIGNED float *image = NULL;

    if (!w2w_pipeline_check_size(pipeline, width, height, "encoded", error))
        return FALSE;
    image = w2w_picture_to_image(picture, width, height, error);
    return image != NULL &&
           w2w_pipeline_encode_image(pipeline, image, width, height, mean, std, error);
}

gboolean w2w_pipeline_encode_init(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                  W2wGenerator *generator, float *latents, GError **error)
{
    const gint downscale = pipeline->sizes.downscale;
    const gsize n = (gsize)(options->height / downscale) * (gsize)(options->width / downscale) *
                    (gsize)pipeline->sizes.latent_channels;
    const float scaling_factor = (float)w2w_vae_get_scaling_factor(pipeline->vae);
    const float *image = options->init_image;
    W2W_AUTO_ALIGNED float *converted = NULL;
    W2W_AUTO_ALIGNED float *std = w2w_aligned_alloc(n, sizeof *std, "the latents", error);
    W2W_AUTO_ALIGNED float *noise = NULL;

    if (std == NULL)
        return FALSE;
    if (image == NULL) {
        image = converted =
            w2w_picture_to_image(options->init_picture, options->width, options->height, error);
        if (image == NULL)
            return FALSE;
    }
    noise = w2w_aligned_alloc(n, sizeof *noise, "the latents", error);
    if (noise == NULL ||
        !w2w_pipeline_encode_image(pipeline, image, options->width, options->height, latents, std,
                                   error) ||
        !w2w_pipeline_draw(pipeline, generator, n, noise, error))
        return FALSE;
    for (gsize e = 0; e < n; e++)
        latents[e] = (latents[e] + std[e] * noise[e]) * scaling_factor;
    return TRUE;
}

gboolean w2w_pipeline_encode_mean(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                  float *latents, GError **error)
{
    const gint downscale = pipeline->sizes.downscale;
    const gsize n = (gsize)(options->height / downscale) * (gsize)(options->width / downscale) *
                    (gsize)pipeline->sizes.latent_channels;
    const float scaling_factor = (float)w2w_vae_get_scaling_factor(pipeline->vae);
    W2W_AUTO_ALIGNED float *std = w2w_aligned_alloc(n, sizeof *std, "the latents", error);

    if (std == NULL)
        return FALSE;
    if (options->init_image != NULL
            ? !w2w_pipeline_encode_image(pipeline, options->init_image, options->width,
                                         options->height, latents, std, error)
            : !w2w_pipeline_encode_picture(pipeline, options->init_picture, options->width,
                                           options->height, latents, std, error))
        return FALSE;
    for (gsize e = 0; e < n; e++)
        latents[e] *= scaling_factor;
    return TRUE;
}
