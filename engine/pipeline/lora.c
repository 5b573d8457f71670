/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From an identity to the UNet's LoRA inputs, and the UNet alone.
 *
 * Coefficients become weights once per change of theirs, and weights go into a plan only when it
 * holds others. theta is laid out so that every factor is a piece of it: nothing is repacked.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

static const W2wLoraTarget *find_target(const W2wUnet *unet, const char *path)
{
    guint n_targets;
    const W2wLoraTarget *targets = w2w_unet_get_lora_targets(unet, &n_targets);

    for (guint i = 0; i < n_targets; i++)
        if (g_str_equal(targets[i].path, path))
            return &targets[i];
    return NULL;
}

/* What weights2weights trains: to_q and to_v of every attention, A before B. */
static gboolean give_keys(W2wSpace *space, const W2wUnet *unet, GError **error)
{
    guint n_targets;
    const W2wLoraTarget *targets = w2w_unet_get_lora_targets(unet, &n_targets);
    g_autoptr(GArray) keys = g_array_new(FALSE, TRUE, sizeof(W2wSpaceKey));

    for (guint i = 0; i < n_targets; i++) {
        const W2wSpaceKey a = {.path = targets[i].path, .is_b = FALSE, .length = targets[i].in};
        const W2wSpaceKey b = {.path = targets[i].path, .is_b = TRUE, .length = targets[i].out};

        if (!g_str_has_suffix(targets[i].path, ".to_q") &&
            !g_str_has_suffix(targets[i].path, ".to_v"))
            continue;
        g_array_append_val(keys, a);
        g_array_append_val(keys, b);
    }
    return w2w_space_set_keys(space, (const W2wSpaceKey *)(gpointer)keys->data, keys->len, error);
}

static gboolean match_key(W2wPipeline *pipeline, const W2wSpaceKey *key, GError **error)
{
    const W2wLoraTarget *target = find_target(pipeline->unet, key->path);
    const char *space = w2w_space_get_directory(w2w_world_get_space(pipeline->world));
    const char *model = w2w_world_get_model_directory(pipeline->world);

    if (target == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The space %s is of another model than %s, whose UNet has no %s.", space, model,
                    key->path);
        return FALSE;
    }
    if (key->length != (key->is_b ? target->out : target->in)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The space %s is of another model than %s: its lora_%c of %s has "
                    "%" G_GINT64_FORMAT " numbers, the UNet's needs %d.",
                    space, model, key->is_b ? 'B' : 'A', key->path, key->length,
                    key->is_b ? target->out : target->in);
        return FALSE;
    }
    return TRUE;
}

gboolean w2w_pipeline_match_keys(W2wPipeline *pipeline, GError **error)
{
    W2wSpace *space = w2w_world_get_space(pipeline->world);
    const W2wSpaceKey *keys;
    guint n_keys = 0;

    if (space == NULL) {
        g_ptr_array_add(pipeline->lora_paths, NULL);
        return TRUE;
    }
    w2w_space_get_keys(space, &n_keys);
    if (n_keys == 0 && !give_keys(space, pipeline->unet, error))
        return FALSE;
    keys = w2w_space_get_keys(space, &n_keys);
    for (guint i = 0; i < n_keys; i++) {
        if (!match_key(pipeline, &keys[i], error))
            return FALSE;
        if (!keys[i].is_b)
            g_ptr_array_add(pipeline->lora_paths, g_strdup(keys[i].path));
    }
    g_ptr_array_add(pipeline->lora_paths, NULL);
    return TRUE;
}

gboolean w2w_pipeline_check_identity(W2wPipeline *pipeline, const W2wIdentity *identity,
                                     GError **error)
{
    W2wSpace *space = w2w_world_get_space(pipeline->world);

    if (identity == NULL)
        return TRUE;
    if (space == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "An identity cannot be rendered with %s alone: it needs the w2w space that it "
                    "is of.",
                    w2w_world_get_model_directory(pipeline->world));
        return FALSE;
    }
    return w2w_identity_check(identity, space, "The identity", error);
}

void w2w_lora_weights_clear(W2wLoraWeights *weights)
{
    w2w_aligned_free(weights->theta);
    g_clear_pointer(&weights->identity, w2w_identity_free);
    *weights = (W2wLoraWeights){0};
}

static gboolean is_of(const W2wLoraWeights *weights, const W2wIdentity *identity)
{
    return weights->serial != 0 && weights->identity->n_coefficients == identity->n_coefficients &&
           memcmp(weights->identity->coefficients, identity->coefficients,
                  identity->n_coefficients * sizeof *identity->coefficients) == 0;
}

W2wLoraWeights *w2w_pipeline_get_lora_weights(W2wPipeline *pipeline, const W2wIdentity *identity,
                                              const W2wLoraWeights *keep, GError **error)
{
    const W2wSpace *space = w2w_world_get_space(pipeline->world);
    W2wLoraWeights *chosen = NULL;

    for (guint i = 0; i < W2W_N_LORA_WEIGHTS; i++) {
        W2wLoraWeights *weights = &pipeline->lora_weights[i];

        if (is_of(weights, identity))
            return weights;
        if (weights != keep && (chosen == NULL || weights->serial < chosen->serial))
            chosen = weights; /* the one computed longest ago */
    }
    w2w_lora_weights_clear(chosen);
    chosen->theta = w2w_aligned_alloc((gsize)w2w_space_get_n_weights(space), sizeof(float),
                                      "an identity's weights", error);
    if (chosen->theta == NULL)
        return NULL;
    chosen->identity = w2w_identity_copy(identity, error);
    if (chosen->identity == NULL ||
        !w2w_space_unproject(space, identity->coefficients, identity->n_coefficients, chosen->theta,
                             error)) {
        w2w_lora_weights_clear(chosen);
        return NULL;
    }
    chosen->serial = ++pipeline->lora_serial;
    pipeline->counts.n_unprojections++;
    return chosen;
}

void w2w_pipeline_set_lora(W2wPipeline *pipeline, W2wKeptPlan *kept, const W2wLoraWeights *weights)
{
    const W2wSpace *space = w2w_world_get_space(pipeline->world);
    const guint64 serial = weights != NULL ? weights->serial : 0;
    const W2wSpaceKey *keys;
    g_autofree float *zeros = NULL;
    guint n_keys;

    if (kept->lora == serial)
        return;
    keys = w2w_space_get_keys(space, &n_keys);
    if (weights == NULL) {
        gint64 longest = 0;

        for (guint i = 0; i < n_keys; i++)
            longest = MAX(longest, keys[i].length);
        zeros = g_new0(float, (gsize)longest); /* a width of the model: small */
    }
    for (guint i = 0; i < n_keys; i++) {
        g_autofree char *name =
            g_strconcat(keys[i].path, keys[i].is_b ? ".lora_B" : ".lora_A", NULL);

        w2w_plan_set_input(kept->plan, name,
                           weights != NULL ? weights->theta + keys[i].offset : zeros);
    }
    kept->lora = serial;
}

float *w2w_pipeline_predict_noise(W2wPipeline *pipeline, const W2wIdentity *identity,
                                  const float *latents, gint n, gint height, gint width,
                                  double timestep, const float *text_embedding, GError **error)
{
    const gsize size = (gsize)height * (gsize)width * (gsize)pipeline->sizes.latent_channels;
    const W2wLoraWeights *weights = NULL;
    g_autofree float *timesteps = NULL;
    W2wKeptPlan *kept;
    float *noise_pred;

    if (!w2w_pipeline_check_identity(pipeline, identity, error))
        return NULL;
    if (identity != NULL) {
        weights = w2w_pipeline_get_lora_weights(pipeline, identity, NULL, error);
        if (weights == NULL)
            return NULL;
    }
    kept = w2w_pipeline_get_unet_plan(pipeline, n, height, width, error);
    if (kept == NULL)
        return NULL;
    noise_pred = w2w_aligned_alloc((gsize)n, size * sizeof *noise_pred, "the noise", error);
    if (noise_pred == NULL)
        return NULL;
    timesteps = g_new(float, (gsize)n); /* at most W2W_UNET_MAX_BATCH: there is a plan */
    for (gint i = 0; i < n; i++)
        timesteps[i] = (float)timestep;
    w2w_pipeline_set_lora(pipeline, kept, weights);
    w2w_plan_set_input(kept->plan, "latents", latents);
    w2w_plan_set_input(kept->plan, "timesteps", timesteps);
    w2w_plan_set_input(kept->plan, "text_embedding", text_embedding);
    kept->text = 0; /* not the pipeline's prompts */
    w2w_plan_replay(kept->plan);
    w2w_plan_get_output(kept->plan, "noise_pred", noise_pred);
    pipeline->counts.n_unet_calls++;
    return noise_pred;
}
