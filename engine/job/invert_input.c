/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From an inversion's values to its recipe and its problem. */
#include "engine/job/invert_input.h"

#include <string.h>

#include "engine/error.h"
#include "engine/job/memory_parameter.h"
#include "engine/job/rendering.h"
#include "engine/memory.h"

static void clear_input(gpointer data)
{
    w2w_picture_input_clear(data);
}

void w2w_invert_input_clear(W2wInvertInput *invert)
{
    g_clear_pointer(&invert->inputs, g_array_unref);
    g_clear_pointer(&invert->from, w2w_identity_free);
    g_clear_pointer(&invert->pictures, g_array_unref);
    g_clear_pointer(&invert->buffers, g_ptr_array_unref);
    g_clear_pointer(&invert->message, g_free);
}
static void set_recipe(W2wInvertInput *invert, const W2wValues *values)
{
    const gint64 steps = w2w_values_get_int(values, "steps");
    const gint64 components = w2w_values_get_int(values, "components");
    const double lr = w2w_values_get_double(values, "lr");

    invert->preset = w2w_values_get_choice(values, "preset");
    w2w_inversion_recipe_init(&invert->recipe, invert->preset,
                              w2w_space_get_n_components(invert->space));
    if (steps > 0)
        invert->recipe.n_steps = (guint)steps;
    if (lr > 0.0)
        invert->recipe.lr = lr;
    if (components > 0)
        invert->recipe.n_components = (guint)components;
}

static gboolean read_pictures(W2wInvertInput *invert, const W2wValues *values, GError **error)
{
    W2wPictureInput input;
    const guint width = (guint)invert->width, height = (guint)invert->height;

    if (!w2w_picture_input_init(&input, values, width, height, error))
        return FALSE;
    g_array_append_val(invert->inputs, input);
    for (guint i = 0; i < w2w_values_get_n_items(values, W2W_INVERT_MORE); i++) {
        g_autofree char *name = g_strdup_printf("Number %u of " W2W_INVERT_MORE, i + 1);
        GBytes *bytes = w2w_values_get_item(values, W2W_INVERT_MORE, i, NULL);

        if (!w2w_picture_input_init_whole(&input, bytes, name, width, height, error))
            return FALSE;
        g_array_append_val(invert->inputs, input);
    }
    return TRUE;
}

gboolean w2w_invert_input_init(W2wInvertInput *invert, W2wWorld *world, const W2wValues *values,
                               GError **error)
{
    const W2wWorldCard *card = w2w_world_get_card(world);
    g_auto(W2wRendering) rendering = {0};

    memset(invert, 0, sizeof *invert);
    if (!w2w_values_check_required(values, error))
        return FALSE;
    invert->world = world;
    invert->space = w2w_world_get_space(world);
    if (invert->space == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A person can only be sought in a space, and a model alone has none: choose a "
                    "world, or add a space.");
        return FALSE;
    }
    invert->width = card->width;
    invert->height = card->height;
    invert->inputs = g_array_new(FALSE, FALSE, sizeof(W2wPictureInput));
    g_array_set_clear_func(invert->inputs, clear_input);
    invert->pictures = g_array_new(FALSE, FALSE, sizeof(W2wInversionPicture));
    invert->buffers = g_ptr_array_new_with_free_func(w2w_aligned_free);
    set_recipe(invert, values);
    if (w2w_values_get_bytes(values, "from") != NULL) {
        invert->from = w2w_rendering_get_identity(world, values, "from", error);
        if (invert->from == NULL)
            return FALSE;
        invert->problem.start = invert->from->coefficients;
        invert->problem.n_start = invert->from->n_coefficients;
        if (w2w_values_get_double(values, "lr") == 0.0)
            invert->recipe.lr *= W2W_INVERSION_RESUMED_LR;
    }
    return w2w_inversion_recipe_check(&invert->recipe, error) &&
           w2w_memory_parameter_get(values, &invert->problem.memory, error) &&
           w2w_rendering_init_of_world(&rendering, world, NULL, error) &&
           read_pictures(invert, values, error);
}

static float *take_buffer(W2wInvertInput *invert, gsize n, GError **error)
{
    float *buffer = w2w_aligned_alloc(n, sizeof *buffer, "the latents", error);

    if (buffer != NULL)
        g_ptr_array_add(invert->buffers, buffer);
    return buffer;
}

/* Does the model see something that lies beyond the picture? */
static gboolean sees_beyond(const W2wPictureInput *input)
{
    const W2wBox *box = &input->box;

    return box->x < 0 || box->y < 0 ||
           box->x + (gint64)box->width > (gint64)input->picture->width ||
           box->y + (gint64)box->height > (gint64)input->picture->height;
}

/* NULL without an error: all of it counts. What lies beyond the picture never does. */
static gboolean make_mask(W2wInvertInput *invert, const W2wPictureInput *input, const float **mask,
                          GError **error)
{
    const guint h = (guint)invert->problem.height, w = (guint)invert->problem.width;
    float *values;
    double sum = 0.0;

    *mask = NULL;
    if (input->mask == NULL && !sees_beyond(input))
        return TRUE;
    values = w2w_crop_mask(input->mask, input->picture->width, input->picture->height, &input->box,
                           w, h, error);
    if (values == NULL)
        return FALSE;
    g_ptr_array_add(invert->buffers, values);
    for (gsize i = 0; i < (gsize)h * w; i++)
        sum += (double)values[i];
    if (sum <= 0.0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "Nothing of what the mask has lies in the box: the model would see nothing of "
                    "the person.");
        return FALSE;
    }
    if (sum < 0.02 * h * w)
        w2w_message_append(&invert->message,
                           "The mask leaves only %.1f %% of what the model sees; a crop around it "
                           "shows more of the person.",
                           100.0 * sum / ((double)h * w));
    *mask = values;
    return TRUE;
}

static gboolean encode_picture(W2wInvertInput *invert, W2wPipeline *pipeline,
                               const W2wPictureInput *input, GError **error)
{
    const gsize n = (gsize)invert->problem.height * (gsize)invert->problem.width *
                    (gsize)w2w_pipeline_get_sizes(pipeline).latent_channels;
    g_autoptr(W2wPicture) picture = w2w_crop_cut(input->picture, &input->box, (guint)invert->width,
                                                 (guint)invert->height, error);
    float *mean, *std;
    W2wInversionPicture encoded = {0};

    if (picture == NULL)
        return FALSE;
    mean = take_buffer(invert, n, error);
    std = mean != NULL ? take_buffer(invert, n, error) : NULL;
    if (std == NULL ||
        !w2w_pipeline_encode_picture(pipeline, picture, invert->width, invert->height, mean, std,
                                     error) ||
        !make_mask(invert, input, &encoded.mask, error))
        return FALSE;
    encoded.mean = mean;
    encoded.std = std;
    g_array_append_val(invert->pictures, encoded);
    if (input->box.width < invert->width || input->box.height < invert->height)
        w2w_message_append(&invert->message,
                           "The model sees %d × %d pixels, and the picture has only %d × %d there: "
                           "it was enlarged, and details are the model's guess.",
                           invert->width, invert->height, input->box.width, input->box.height);
    return TRUE;
}

gboolean w2w_invert_input_measure(W2wInvertInput *invert, W2wPipeline *pipeline,
                                  W2wTrainingMemory *memory, GError **error)
{
    const gint downscale = w2w_pipeline_get_sizes(pipeline).downscale;

    invert->problem.height = invert->height / downscale;
    invert->problem.width = invert->width / downscale;
    invert->problem.n_pictures = invert->inputs->len;
    return w2w_inversion_measure(pipeline, &invert->recipe, &invert->problem, memory, error);
}

gboolean w2w_invert_input_encode(W2wInvertInput *invert, W2wPipeline *pipeline, GError **error)
{
    const char *prompt = w2w_world_get_card(invert->world)->instance_prompt;
    float *text = w2w_pipeline_encode_text(pipeline, &prompt, 1, error);

    if (text == NULL)
        return FALSE;
    g_ptr_array_add(invert->buffers, text);
    invert->problem.text_embedding = text;
    for (guint i = 0; i < invert->inputs->len; i++)
        if (!encode_picture(invert, pipeline, &g_array_index(invert->inputs, W2wPictureInput, i),
                            error))
            return FALSE;
    invert->problem.pictures = (const W2wInversionPicture *)(gpointer)invert->pictures->data;
    return TRUE;
}
