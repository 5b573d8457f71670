/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From identity, prompt and seed to a picture: text encoder → sampler around the UNet → VAE.
 *
 * Models are opened, their weights packed and their graphs planned on first use and kept:
 * the next picture of the same size starts at once. One thread at a time.
 */
#pragma once

#include "engine/device/device.h"
#include "engine/diffusion/generator.h"
#include "engine/diffusion/scheduler.h"
#include "engine/picture.h"
#include "engine/progress.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/world.h"

G_BEGIN_DECLS

typedef struct _W2wPipeline W2wPipeline;

/*
 * Takes `device` and `world` over on success and on failure. Opens tokenizer, models and scheduler
 * and holds them against each other and against the space: W2W_ERROR_MISMATCH says which two do
 * not belong together, W2W_ERROR_UNSUPPORTED names another kind of pipeline (SDXL …). A space
 * without keys gets them from the UNet.
 */
W2wPipeline *w2w_pipeline_new(W2wWorld *world, W2wDevice *device, GError **error);
void w2w_pipeline_free(W2wPipeline *pipeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPipeline, w2w_pipeline_free)

W2wWorld *w2w_pipeline_get_world(const W2wPipeline *pipeline);
W2wDevice *w2w_pipeline_get_device(const W2wPipeline *pipeline);
/* SHA-256 over the three models' weights (hex, owned). */
const char *w2w_pipeline_get_model_fingerprint(W2wPipeline *pipeline);

/* How often the expensive parts were done so far: a second picture of one person plans and
 * unprojects nothing. */
typedef struct {
    guint n_plans;         /* graphs planned, weights packed */
    guint n_unprojections; /* coefficients to LoRA weights */
    guint n_text_encodings;
    guint n_unet_calls;
    guint n_merges; /* sets of LoRAs merged into the weights */
} W2wPipelineCounts;
W2wPipelineCounts w2w_pipeline_get_counts(const W2wPipeline *pipeline);

#define W2W_RENDER_MAX_SIZE           2048
#define W2W_RENDER_MAX_GUIDANCE_SCALE 100.0

/* A LoRA beside the identity, of any rank and on any module of UNet and text encoder. */
typedef struct {
    const char *path; /* as w2w_lora_open() takes it */
    double strength;  /* 0: without it; 1: as it was trained; may be negative */
} W2wRenderLora;

typedef struct {
    const W2wIdentity *identity; /* NULL: the base model, its LoRA off */
    const W2wIdentity
        *base_identity;   /* delayed injection: used while t > from_timestep; NULL: none */
    double from_timestep; /* 0 … the model's training timesteps */
    const W2wRenderLora *loras;
    guint n_loras;
    const char *prompt, *negative_prompt; /* UTF-8; the negative one may be NULL: empty */
    gint width, height; /* pixels, multiples of the VAE's downscale up to W2W_RENDER_MAX_SIZE */
    W2wSchedulerKind scheduler;
    guint steps;
    double guidance_scale; /* ≤ 1: no guidance, one UNet call per step */
    guint64 seed;
    W2wGeneratorKind generator; /* whose random numbers a seed means */

    /*
     * Image-to-image: the picture that is changed, resampled to width × height where it has another
     * size (w2w_picture_resample()); or init_image (1,height,width,3) in −1 … 1; NULL: none.
     * `strength`: 0 … 1, how much of the way from noise to picture is gone: 1 is all of it.
     */
    const W2wPicture *init_picture;
    const float *init_image;
    double strength;

    /* For tests and animation: called with the latents (1,h,w,c) after every step. */
    void (*on_latents)(guint step, double timestep, const float *latents, gsize n,
                       gpointer user_data);
    gpointer on_latents_data;
    const float *initial_latents; /* (1,h,w,c), standard normal; NULL: from the seed. Not together
                                     with a picture */

    /*
     * Instead of a picture: latents (1,h,w,c) as they are where the last `strength` of the
     * trajectory begins, from w2w_pipeline_invert_ddim(). Nothing is clipped then. NULL: none.
     */
    const float *noised_latents;
} W2wRenderOptions;

/*
 * W2W_ERROR_USAGE for settings out of range, W2W_ERROR_MISMATCH for an identity of another space,
 * W2W_ERROR_UNSUPPORTED for an identity where the world has no space, G_IO_ERROR_CANCELLED.
 * 8-bit values rounded as diffusers does.
 */
W2wPicture *w2w_pipeline_render(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                const W2wProgress *progress, GError **error);

/*
 * The latents (1,h,w,c) from which rendering with the same identity and prompt leads back to the
 * options' picture: DDIM from the picture up to where the last `strength` of the trajectory begins,
 * without guidance, as long as the scheduler is DDIM (else W2W_ERROR_USAGE). Starts from the middle
 * of what the VAE gives, so no seed is asked for. Each step predicts `n_predictions` times: 1 is
 * what diffusers' DDIMInverseScheduler does, more come closer to the step's exact inverse. Free
 * with w2w_aligned_free(). Errors as of rendering.
 */
float *w2w_pipeline_invert_ddim(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                guint n_predictions, const W2wProgress *progress, GError **error);

/*
 * What becomes of the options' picture where `options->identity` takes the place of `before` (NULL:
 * the base model): two images (1,height,width,3), the picture itself as the VAE gives it back and
 * the changed one, equal to the bit where both identities are. The last `strength` of the
 * trajectory counts. Scheduler DDIM, whose timesteps are used; noise from the seed. Free both with
 * w2w_aligned_free(). Errors as of rendering.
 */
gboolean w2w_pipeline_change_picture(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                     const W2wIdentity *before, float **before_image,
                                     float **after_image, const W2wProgress *progress,
                                     GError **error);

/* Rendering without the last step: "image" (1,height,width,3) as the VAE gives it; free with
 * w2w_aligned_free(). */
float *w2w_pipeline_render_float(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                 const W2wProgress *progress, GError **error);

/*
 * Merges LoRAs into the weights, in their order: W + strength · scale · B A for every module.
 * Rendering does it too, with its own options; for who calls the single networks. The set that is
 * there already (same paths, strengths and files) costs nothing; with another one, texts and
 * plans made before are dropped. A module that the model does not have, or not in this shape, is
 * W2W_ERROR_MISMATCH naming it: most of such a LoRA would have no effect, and nobody would know.
 * After an error none is merged.
 */
gboolean w2w_pipeline_set_loras(W2wPipeline *pipeline, const W2wRenderLora *loras, guint n_loras,
                                GError **error);

/*
 * Gives back what is kept for the next picture: plans and packed weights, which are made again
 * when they are needed. For who needs the memory for something else.
 */
void w2w_pipeline_drop_plans(W2wPipeline *pipeline);

/* SHA-256 of the file of number `i` of those that are merged (hex, owned until the next set). */
const char *w2w_pipeline_get_lora_fingerprint(const W2wPipeline *pipeline, guint i);

/*
 * The single networks, for tests and for what builds on them. Layouts NHWC; results are freed
 * with w2w_aligned_free().
 */
float *w2w_pipeline_encode_text(W2wPipeline *pipeline, const char *const *prompts, guint n_prompts,
                                GError **error); /* (n_prompts, length, width) */

/*
 * "noise_pred" (n,h,w,channels) of latents of that shape and one timestep, each with its own text
 * embedding (n,length,width), with the identity's LoRA (NULL: none).
 */
float *w2w_pipeline_predict_noise(W2wPipeline *pipeline, const W2wIdentity *identity,
                                  const float *latents, gint n, gint height, gint width,
                                  double timestep, const float *text_embedding, GError **error);

/*
 * What the VAE makes of an "image" (1,height,width,3) in −1 … 1: mean and standard deviation
 * (1,h,w,channels) of its latents, without the scaling factor. Sizes as for a picture, else
 * W2W_ERROR_USAGE.
 */
gboolean w2w_pipeline_encode_image(W2wPipeline *pipeline, const float *image, gint width,
                                   gint height, float *mean, float *std, GError **error);

/* The same of an 8-bit picture, resampled to width × height where it has another size. */
gboolean w2w_pipeline_encode_picture(W2wPipeline *pipeline, const W2wPicture *picture, gint width,
                                     gint height, float *mean, float *std, GError **error);

/* 0 … 255 → −1 … 1 as it is encoded, (height, width, 3) of that size; W2W_ERROR_MEMORY. */
float *w2w_picture_to_image(const W2wPicture *picture, gint width, gint height, GError **error);

/* What the model was trained with: how much of the signal each timestep leaves. Owned. */
const W2wNoiseSchedule *w2w_pipeline_get_noise_schedule(const W2wPipeline *pipeline);

/* Latents as the UNet sees them are the VAE's times this. */
double w2w_pipeline_get_scaling_factor(const W2wPipeline *pipeline);

/* Tokens of a text (77), the UNet's latents and the VAE's: what the sizes above depend on. */
typedef struct {
    gint text_length, text_width;
    gint latent_channels;
    gint downscale; /* pixels per latent */
} W2wPipelineSizes;
W2wPipelineSizes w2w_pipeline_get_sizes(const W2wPipeline *pipeline);

/*
 * How many tokens of a prompt do not fit and are cut off: what a user wants to be told.
 * W2W_ERROR_USAGE: not UTF-8.
 */
gboolean w2w_pipeline_count_cut(W2wPipeline *pipeline, const char *prompt, guint *n_cut,
                                GError **error);

G_END_DECLS
