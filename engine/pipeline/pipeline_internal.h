/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pipeline from the inside. pipeline.c opens and checks the parts, plans.c keeps what was
 * planned, lora.c carries identities into the UNet's plans, merge.c other LoRAs into weights,
 * text.c prompts, encode.c pictures, render.c samples, invert_ddim.c goes back to
 * the noise, change_picture.c follows what an identity changes in a picture.
 */
#pragma once

#include "engine/models/text_encoder.h"
#include "engine/models/tokenizer.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"
#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

/* A plan of one size, and what its kept inputs hold. */
typedef struct {
    gint batch, height, width; /* of the latents */
    W2wPlan *plan;
    guint64 last_used;
    guint64 lora; /* W2wLoraWeights.serial; 0: zeros, as a new plan has them */
    guint64 text; /* W2wPipeline.text_serial; 0: none yet */
} W2wKeptPlan;

/* The weights of one identity. */
typedef struct {
    guint64 serial; /* 0: empty */
    float *theta;   /* (n_weights) */
    W2wIdentity *identity;
} W2wLoraWeights;

/* One LoRA that is merged into the weights. */
typedef struct {
    char *path; /* as it was given */
    double strength;
    char *source;      /* the file behind it */
    char *state;       /* of that file when it was read: another one is another LoRA */
    char *fingerprint; /* SHA-256 of its bytes */
} W2wMergedLora;

/* Delayed injection needs two identities at a time. */
#define W2W_N_LORA_WEIGHTS 2

struct _W2wPipeline {
    W2wWorld *world;
    W2wDevice *device;
    W2wTokenizer *tokenizer;
    W2wTextEncoder *text_encoder;
    W2wUnet *unet;
    W2wVae *vae;
    char *scheduler_path;
    W2wScheduler *scheduler; /* for its noise schedule: what the model was trained with */
    char *fingerprint;
    W2wPipelineSizes sizes;
    W2wPipelineCounts counts;

    W2wPlan *text_plan;     /* batch of 1; NULL until first used */
    GHashTable *embeddings; /* prompt → float (length, width) */
    guint64 text_serial;    /* of text_prompt and text_negative */
    char *text_prompt, *text_negative;

    GPtrArray *merged; /* W2wMergedLora, in the order in which they were given */

    GPtrArray *lora_paths; /* NULL terminated; empty without a space */
    W2wLoraWeights lora_weights[W2W_N_LORA_WEIGHTS];
    guint64 lora_serial;

    GPtrArray *unet_plans, *decode_plans, *encode_plans; /* W2wKeptPlan */
    guint64 plan_clock;
};

/* --- plans.c --- */

void w2w_kept_plan_free(W2wKeptPlan *kept);

/* Of the size, from those that are kept, or made now. Owned by the pipeline; later calls may free
 * it. */
W2wKeptPlan *w2w_pipeline_get_unet_plan(W2wPipeline *pipeline, gint batch, gint height, gint width,
                                        GError **error);
W2wKeptPlan *w2w_pipeline_get_decode_plan(W2wPipeline *pipeline, gint height, gint width,
                                          GError **error);
W2wKeptPlan *w2w_pipeline_get_encode_plan(W2wPipeline *pipeline, gint height, gint width,
                                          GError **error);

/* Plans `graph`, which it takes over, and counts it. */
W2wPlan *w2w_pipeline_plan(W2wPipeline *pipeline, W2wGraph *graph, GError **error);

/* --- lora.c --- */

/* Holds the space's keys against the UNet's modules; fills lora_paths. */
gboolean w2w_pipeline_match_keys(W2wPipeline *pipeline, GError **error);

/*
 * The weights of `identity`, computed if they are not among the kept ones; `keep` (may be NULL)
 * stays.
 */
W2wLoraWeights *w2w_pipeline_get_lora_weights(W2wPipeline *pipeline, const W2wIdentity *identity,
                                              const W2wLoraWeights *keep, GError **error);

/* Sets the plan's LoRA inputs if they hold something else; `weights` NULL: zeros. */
void w2w_pipeline_set_lora(W2wPipeline *pipeline, W2wKeptPlan *kept, const W2wLoraWeights *weights);

void w2w_lora_weights_clear(W2wLoraWeights *weights);

/* NULL is fine; else W2W_ERROR_UNSUPPORTED without a space, W2W_ERROR_MISMATCH of another one. */
gboolean w2w_pipeline_check_identity(W2wPipeline *pipeline, const W2wIdentity *identity,
                                     GError **error);

/* --- merge.c --- */

void w2w_merged_lora_free(W2wMergedLora *merged);

/* --- text.c --- */

/* Sets the plan's "text_embedding": negative prompt and prompt for a batch of 2, prompt for 1. */
gboolean w2w_pipeline_set_text(W2wPipeline *pipeline, W2wKeptPlan *kept, const char *prompt,
                               const char *negative_prompt, GError **error);

/* --- render.c --- */

/* W2W_ERROR_USAGE for a size that no picture can have; it "cannot be `what`": made, encoded. */
gboolean w2w_pipeline_check_size(const W2wPipeline *pipeline, gint width, gint height,
                                 const char *what, GError **error);

/* Everything about the options that can be wrong without a model. */
gboolean w2w_pipeline_check_options(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                    GError **error);

/*
 * One call of the UNet with the kept plan's identity and text: "noise_pred" (n), with the options'
 * guidance, uncond + scale · (cond − uncond), where the plan has a batch of 2. Both buffers have
 * place for the batch; the first `n` of model_input are filled.
 */
void w2w_pipeline_predict(W2wPipeline *pipeline, W2wKeptPlan *kept, const W2wRenderOptions *options,
                          double timestep, gsize n, float *model_input, float *noise_pred);

/* "image" (1, 8h, 8w, 3) of latents (1,h,w,c) as the UNet has them, which are scaled in place. */
float *w2w_pipeline_decode(W2wPipeline *pipeline, float *latents, gint height, gint width,
                           GError **error);

/* W2W_ERROR_FAILED where one of them is not finite. */
gboolean w2w_pipeline_check_latents(const float *latents, gsize n, GError **error);

/* --- encode.c --- */

/*
 * torch.randn((1, channels, height, width)), the generator's next draw, turned to channels last:
 * `n` = height · width · channels numbers.
 */
gboolean w2w_pipeline_draw(W2wPipeline *pipeline, W2wGenerator *generator, gsize n, float *out,
                           GError **error);

/*
 * The latents of the options' picture, as the UNet sees them: a sample of what the VAE makes of it,
 * drawn from the generator, times the scaling factor.
 */
gboolean w2w_pipeline_encode_init(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                  W2wGenerator *generator, float *latents, GError **error);

/* The same without drawing: the mean. */
gboolean w2w_pipeline_encode_mean(W2wPipeline *pipeline, const W2wRenderOptions *options,
                                  float *latents, GError **error);

G_END_DECLS
