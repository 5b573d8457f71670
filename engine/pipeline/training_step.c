/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The training graph, its plan within a budget of memory, and theta's way in and out of it. */
#include "engine/pipeline/training_step.h"

#include <string.h>

#include "engine/error.h"
#include "engine/graph/gradient.h"
#include "engine/memory.h"
#include "engine/pipeline/pipeline_internal.h"

/* alpha / rank of upstream's adapters: what a new space would be made with. */
#define DEFAULT_LORA_SCALE 27.0f

struct _W2wTrainingStep {
    W2wPipeline *pipeline;
    W2wDevice *own_device; /* NULL: the pipeline's computes in float32 */
    W2wPlan *plan;
    W2wTrainingMemory memory;
    W2wTrainingStepOptions options;
    GArray *keys; /* W2wSpaceKey; their paths are the space's or the UNet's */
    gint64 n_weights;
    float lora_scale;
    GPtrArray *inputs, *gradients; /* names, by key */
    float *ones;                   /* (batch,h,w): the mask where there is none */
};

/* --- theta --- */

static gboolean is_trained(const W2wLoraTarget *target)
{
    return g_str_has_suffix(target->path, ".to_q") || g_str_has_suffix(target->path, ".to_v");
}

static void set_keys(W2wTrainingStep *step)
{
    const W2wSpace *space = w2w_world_get_space(step->pipeline->world);

    step->keys = g_array_new(FALSE, FALSE, sizeof(W2wSpaceKey));
    step->lora_scale = space != NULL ? w2w_space_get_lora_scale(space) : DEFAULT_LORA_SCALE;
    if (space != NULL) {
        guint n;
        const W2wSpaceKey *keys = w2w_space_get_keys(space, &n);

        g_array_append_vals(step->keys, keys, n);
    } else {
        guint n;
        const W2wLoraTarget *targets = w2w_unet_get_lora_targets(step->pipeline->unet, &n);

        for (guint i = 0; i < n; i++) {
            if (!is_trained(&targets[i]))
                continue;
            for (guint is_b = 0; is_b < 2; is_b++) {
                const W2wSpaceKey key = {targets[i].path, is_b != 0, step->n_weights,
                                         is_b ? targets[i].out : targets[i].in};

                g_array_append_val(step->keys, key);
                step->n_weights += key.length;
            }
        }
    }
    step->n_weights = 0;
    for (guint i = 0; i < step->keys->len; i++) {
        const W2wSpaceKey *key = &g_array_index(step->keys, W2wSpaceKey, i);
        const char *factor = key->is_b ? "lora_B" : "lora_A";

        step->n_weights = MAX(step->n_weights, key->offset + key->length);
        g_ptr_array_add(step->inputs, g_strconcat(key->path, ".", factor, NULL));
        g_ptr_array_add(step->gradients, g_strconcat(key->path, ".", factor, ".gradient", NULL));
    }
}

/* --- the graph --- */

/* The modules of the keys, each once; NULL terminated, names not owned. */
static GPtrArray *list_modules(const W2wTrainingStep *step)
{
    GPtrArray *paths = g_ptr_array_new();

    for (guint i = 0; i < step->keys->len; i++) {
        const W2wSpaceKey *key = &g_array_index(step->keys, W2wSpaceKey, i);

        if (!key->is_b)
            g_ptr_array_add(paths, (gpointer)key->path);
    }
    g_ptr_array_add(paths, NULL);
    return paths;
}

/* n_blocks (may be NULL): how many there are that could be recomputed. */
static W2wGraph *record(const W2wTrainingStep *step, guint n_recomputed, guint *n_blocks,
                        GError **error)
{
    const W2wTrainingStepOptions *options = &step->options;
    g_autoptr(GPtrArray) modules = list_modules(step);
    const W2wUnetRecordOptions record_options = {.batch = options->batch,
                                                 .height = options->height,
                                                 .width = options->width,
                                                 .text_length = step->pipeline->sizes.text_length,
                                                 .lora_paths =
                                                     (const char *const *)(gpointer)modules->pdata,
                                                 .lora_rank = 1,
                                                 .lora_scale = step->lora_scale,
                                                 .lora_changes = TRUE};
    g_autofree W2wTensor **sources = g_new(W2wTensor *, step->keys->len);
    g_autofree W2wTensor **gradients = g_new(W2wTensor *, step->keys->len);
    const W2wShape per_image = {options->batch, 1, 1, 1};
    W2wGraph *graph = w2w_unet_record(step->pipeline->unet, &record_options, error);
    W2wTensor *prediction, *target, *mask, *loss, *d_loss;
    W2wShape mask_shape;

    if (graph == NULL)
        return NULL;
    prediction = w2w_graph_get_output(graph, "noise_pred");
    mask_shape = w2w_tensor_get_shape(prediction);
    mask_shape.c = 1;
    target = w2w_graph_input(graph, "target", w2w_tensor_get_shape(prediction));
    mask = w2w_graph_input(graph, "mask", mask_shape);
    loss = w2w_masked_mse(graph, prediction, target, mask);
    w2w_graph_output(graph, "loss", loss);
    if (n_blocks != NULL)
        *n_blocks = w2w_graph_get_n_blocks(graph);
    if (options->forward_only)
        return graph;
    d_loss = w2w_graph_input(graph, "loss_weights", per_image);
    for (guint i = 0; i < step->keys->len; i++)
        sources[i] = w2w_graph_get_input(graph, step->inputs->pdata[i]);
    w2w_graph_differentiate(graph, loss, d_loss, sources, step->keys->len, n_recomputed, gradients);
    for (guint i = 0; i < step->keys->len; i++)
        w2w_graph_output(graph, step->gradients->pdata[i], gradients[i]);
    return graph;
}

/* --- the budget --- */

static W2wDevice *get_device(const W2wTrainingStep *step)
{
    return step->own_device != NULL ? step->own_device : step->pipeline->device;
}

static gboolean measure(const W2wTrainingStep *step, guint n_recomputed, W2wTrainingMemory *memory,
                        GError **error)
{
    W2wPlanInfo info;
    W2wGraph *graph = record(step, n_recomputed, &memory->n_blocks, error);

    if (graph == NULL || !w2w_plan_measure(graph, get_device(step), W2W_PLAN_DEFAULT, &info, error))
        return FALSE;
    memory->n_recomputed = n_recomputed;
    memory->weights = info.weight_bytes;
    memory->activations = info.arena_bytes;
    memory->total = memory->weights + memory->activations + step->options.beside +
                    step->options.beside_each * (guint64)step->n_weights;
    return TRUE;
}

/*
 * As few blocks as the budget allows: each that is recomputed takes time. All numbers are tried,
 * since more blocks mostly, but not always, take less memory.
 */
static gboolean fit(W2wTrainingStep *step, GError **error)
{
    const guint64 budget = step->options.memory;
    guint64 least = G_MAXUINT64;
    g_autofree char *needed = NULL;
    g_autofree char *given = NULL;
    guint n = 0, n_blocks;

    do {
        if (!measure(step, n, &step->memory, error))
            return FALSE;
        if (budget == 0 || step->memory.total <= budget)
            return TRUE;
        least = MIN(least, step->memory.total);
        n_blocks = step->options.forward_only ? 0 : step->memory.n_blocks;
    } while (n++ < n_blocks);
    needed = g_format_size_full(least, G_FORMAT_SIZE_IEC_UNITS);
    given = g_format_size_full(budget, G_FORMAT_SIZE_IEC_UNITS);
    g_set_error(error, W2W_ERROR, W2W_ERROR_MEMORY,
                "This needs at least %s of memory with this model and size; it may take %s.",
                needed, given);
    return FALSE;
}

/* --- */

/* Everything but the plan. */
static W2wTrainingStep *prepare(W2wPipeline *pipeline, const W2wTrainingStepOptions *options,
                                GError **error)
{
    g_autoptr(W2wTrainingStep) step = g_new0(W2wTrainingStep, 1);

    step->pipeline = pipeline;
    step->options = *options;
    step->inputs = g_ptr_array_new_with_free_func(g_free);
    step->gradients = g_ptr_array_new_with_free_func(g_free);
    set_keys(step);
    if (w2w_device_get_compute_type(pipeline->device) == W2W_COMPUTE_BF16) {
        W2wDeviceOptions device_options = pipeline->device->options;

        device_options.compute_type = W2W_COMPUTE_F32;
        step->own_device =
            w2w_device_new(w2w_device_get_name(pipeline->device), &device_options, error);
        if (step->own_device == NULL)
            return NULL;
    }
    if (!fit(step, error))
        return NULL;
    return g_steal_pointer(&step);
}

gboolean w2w_training_step_measure(W2wPipeline *pipeline, const W2wTrainingStepOptions *options,
                                   W2wTrainingMemory *memory, GError **error)
{
    g_autoptr(W2wTrainingStep) step = prepare(pipeline, options, error);

    if (step == NULL)
        return FALSE;
    *memory = step->memory;
    return TRUE;
}

W2wTrainingStep *w2w_training_step_new(W2wPipeline *pipeline, const W2wTrainingStepOptions *options,
                                       GError **error)
{
    g_autoptr(W2wTrainingStep) step = prepare(pipeline, options, error);
    W2wGraph *graph;
    gsize n_pixels;

    if (step == NULL)
        return NULL;
    graph = record(step, step->memory.n_recomputed, NULL, error);
    if (graph == NULL)
        return NULL;
    step->plan = w2w_plan_new(graph, get_device(step), W2W_PLAN_DEFAULT, error);
    if (step->plan == NULL)
        return NULL;
    n_pixels = (gsize)w2w_shape_n_elements(w2w_plan_get_input_shape(step->plan, "mask"));
    step->ones = w2w_aligned_alloc(n_pixels, sizeof *step->ones, "a mask", error);
    if (step->ones == NULL)
        return NULL;
    for (gsize i = 0; i < n_pixels; i++)
        step->ones[i] = 1.0f;
    return g_steal_pointer(&step);
}

void w2w_training_step_free(W2wTrainingStep *step)
{
    if (step == NULL)
        return;
    w2w_plan_free(step->plan);
    w2w_device_free(step->own_device);
    g_array_unref(step->keys);
    g_ptr_array_unref(step->inputs);
    g_ptr_array_unref(step->gradients);
    w2w_aligned_free(step->ones);
    g_free(step);
}

W2wTrainingMemory w2w_training_step_get_memory(const W2wTrainingStep *step)
{
    return step->memory;
}

const W2wSpaceKey *w2w_training_step_get_keys(const W2wTrainingStep *step, guint *n_keys)
{
    *n_keys = step->keys->len;
    return (const W2wSpaceKey *)step->keys->data;
}

gint64 w2w_training_step_get_n_weights(const W2wTrainingStep *step)
{
    return step->n_weights;
}

float w2w_training_step_get_lora_scale(const W2wTrainingStep *step)
{
    return step->lora_scale;
}

void w2w_training_step_set_text(W2wTrainingStep *step, const float *text_embedding)
{
    w2w_plan_set_input(step->plan, "text_embedding", text_embedding);
}

void w2w_training_step_run(W2wTrainingStep *step, const float *theta, const W2wTrainingBatch *batch,
                           float *losses, float *d_theta)
{
    const W2wSpaceKey *keys = (const W2wSpaceKey *)step->keys->data;
    W2wPlan *plan = step->plan;

    for (guint i = 0; i < step->keys->len; i++)
        w2w_plan_set_input(plan, step->inputs->pdata[i], theta + keys[i].offset);
    w2w_plan_set_input(plan, "latents", batch->latents);
    w2w_plan_set_input(plan, "timesteps", batch->timesteps);
    w2w_plan_set_input(plan, "target", batch->target);
    w2w_plan_set_input(plan, "mask", batch->mask != NULL ? batch->mask : step->ones);
    if (!step->options.forward_only)
        w2w_plan_set_input(plan, "loss_weights", batch->loss_weights);
    w2w_plan_replay(plan);
    w2w_plan_get_output(plan, "loss", losses);
    if (step->options.forward_only)
        return;
    for (guint i = 0; i < step->keys->len; i++)
        w2w_plan_get_output(plan, step->gradients->pdata[i], d_theta + keys[i].offset);
}

void w2w_training_step_get_noise_pred(W2wTrainingStep *step, float *noise_pred)
{
    w2w_plan_get_output(step->plan, "noise_pred", noise_pred);
}

char *w2w_training_step_profile(W2wTrainingStep *step, guint n_replays)
{
    return w2w_plan_profile(step->plan, n_replays);
}
