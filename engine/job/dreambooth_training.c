/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pictures to posteriors, posteriors to weights, weights to files. */
#include "engine/job/dreambooth_training.h"

#include <math.h>

#include "engine/job/part_progress.h"
#include "engine/memory.h"
#include "engine/training/training_progress.h"

/* Losses whose mean is reported: of the first steps and of the last. */
#define N_REPORTED 50

void w2w_dreambooth_request_clear(W2wDreamboothRequest *request)
{
    w2w_picture_folder_clear(&request->person);
    w2w_picture_folder_clear(&request->anybody);
}

void w2w_dreambooth_training_clear(W2wDreamboothTraining *training)
{
    w2w_encoded_pictures_clear(&training->instance);
    w2w_encoded_pictures_clear(&training->prior);
    g_clear_pointer(&training->fingerprints, json_array_unref);
    w2w_trained_lora_clear(&training->lora);
}

static const W2wWorldCard *get_card(const W2wDreamboothTraining *training)
{
    return w2w_world_get_card(w2w_pipeline_get_world(training->pipeline));
}

/* Sizes, and how many pictures there will be. */
static W2wDreamboothProblem make_problem(const W2wDreamboothTraining *training)
{
    const gint downscale = w2w_pipeline_get_sizes(training->pipeline).downscale;

    return (W2wDreamboothProblem){.height = get_card(training)->height / downscale,
                                  .width = get_card(training)->width / downscale,
                                  .instance = {.n = training->request->person.paths->len},
                                  .prior = {.n = training->request->n_class},
                                  .memory = training->request->memory};
}

/* All pictures of a folder. */
static gboolean encode_folder(W2wDreamboothTraining *training, const W2wPictureFolder *folder,
                              W2wEncodedPictures *encoded, JsonArray *fingerprints,
                              const W2wProgress *progress, GError **error)
{
    const W2wWorldCard *card = get_card(training);
    const guint n = folder->paths->len;

    if (!w2w_encoded_pictures_init(encoded, training->pipeline, card->width, card->height, n,
                                   error))
        return FALSE;
    for (guint i = 0; i < n; i++) {
        g_autofree char *sha256 = NULL;
        g_autoptr(W2wPicture) picture = NULL;

        if (!w2w_progress_step(progress, (double)i / n, "Reading pictures", error))
            return FALSE;
        picture = w2w_picture_folder_read(folder->paths->pdata[i], card->width, card->height,
                                          &sha256, error);
        if (picture == NULL ||
            !w2w_encoded_pictures_add(encoded, training->pipeline, picture, error))
            return FALSE;
        if (fingerprints != NULL)
            json_array_add_string_element(fingerprints, sha256);
    }
    return TRUE;
}

/* The model's own pictures of anybody. */
static gboolean encode_class(W2wDreamboothTraining *training, W2wClassPictures *pictures,
                             const W2wProgress *progress, GError **error)
{
    const W2wWorldCard *card = get_card(training);
    const guint n = training->request->n_class;
    const W2wProgress quiet = {.cancellable = progress->cancellable};
    W2wTrainingProgress run;

    if (!w2w_encoded_pictures_init(&training->prior, training->pipeline, card->width, card->height,
                                   n, error))
        return FALSE;
    run = w2w_training_progress_start(progress, "Class picture", 0, n);
    for (guint i = 0; i < n; i++) {
        const gboolean is_there = w2w_class_pictures_has(pictures, i);
        g_autoptr(W2wPicture) picture = w2w_class_pictures_get(pictures, i, &quiet, error);

        if (picture == NULL ||
            !w2w_encoded_pictures_add(&training->prior, training->pipeline, picture, error) ||
            !w2w_training_progress_step(&run, i + 1, (double)NAN, error))
            return FALSE;
        training->n_rendered += is_there ? 0 : 1;
    }
    return TRUE;
}

/* The weights of the space's mean; NULL with an error. */
static float *make_start(const W2wSpace *space, GError **error)
{
    const float nothing = 0.0f;
    W2W_AUTO_ALIGNED float *theta =
        w2w_aligned_alloc((gsize)w2w_space_get_n_weights(space), sizeof *theta, "a LoRA", error);

    if (theta == NULL || !w2w_space_unproject(space, &nothing, 1, theta, error))
        return NULL;
    return g_steal_pointer(&theta);
}

/* The LoRA of the steps that were done, with what is told of them. */
static gboolean take_lora(W2wDreamboothTraining *training, const W2wDreambooth *dreambooth,
                          GError **error)
{
    const W2wTrainingStep *step = w2w_dreambooth_get_training_step(dreambooth);
    const float *theta = w2w_dreambooth_get_theta(dreambooth);
    W2wLoraLayout layout = {.scale = w2w_training_step_get_lora_scale(step)};

    w2w_dreambooth_get_measures(dreambooth, &training->n_done);
    training->first_loss = w2w_dreambooth_get_mean_loss(dreambooth, 0, N_REPORTED);
    training->last_loss = w2w_dreambooth_get_mean_loss(
        dreambooth, MAX(training->n_done, N_REPORTED) - N_REPORTED, N_REPORTED);
    if (training->n_done == 0)
        return TRUE;
    layout.keys = w2w_training_step_get_keys(step, &layout.n_keys);
    training->n_modules = layout.n_keys / 2;
    training->scale = layout.scale;
    if (w2w_trained_lora_init(&training->lora, &layout, theta, training->request->format, error))
        return TRUE;
    w2w_trained_lora_clear(&training->lora); /* all of it or nothing */
    return FALSE;
}

/* From posteriors to the LoRA; what only the training needs is gone afterwards. */
static gboolean train(W2wDreamboothTraining *training, const W2wProgress *progress, GError **error)
{
    const W2wWorldCard *card = get_card(training);
    const char *const prompts[] = {card->instance_prompt, card->class_prompt};
    const W2wPipelineSizes sizes = w2w_pipeline_get_sizes(training->pipeline);
    W2wDreamboothProblem problem = make_problem(training);
    W2W_AUTO_ALIGNED float *text =
        w2w_pipeline_encode_text(training->pipeline, prompts, G_N_ELEMENTS(prompts), error);
    W2W_AUTO_ALIGNED float *start = NULL;
    g_autoptr(W2wDreambooth) dreambooth = NULL;
    GError *failure = NULL;
    gint64 start_time;

    if (text == NULL)
        return FALSE;
    if (training->request->is_from_space) {
        start = make_start(w2w_world_get_space(w2w_pipeline_get_world(training->pipeline)), error);
        if (start == NULL)
            return FALSE;
    }
    problem.instance = w2w_encoded_pictures_get(&training->instance);
    problem.prior = w2w_encoded_pictures_get(&training->prior);
    problem.instance_text = text;
    problem.class_text = text + (gsize)sizes.text_length * (gsize)sizes.text_width;
    problem.start = start;
    if (problem.memory > 0) /* what the training may take is all that is taken */
        w2w_pipeline_drop_plans(training->pipeline);
    dreambooth =
        w2w_dreambooth_new(training->pipeline, &training->request->recipe, &problem, error);
    if (dreambooth == NULL)
        return FALSE;
    start_time = g_get_monotonic_time();
    w2w_dreambooth_run(dreambooth, progress, &failure);
    training->seconds = (double)(g_get_monotonic_time() - start_time) / 1e6;
    if (failure == NULL)
        return take_lora(training, dreambooth, error);
    /* theta is that of the last good step, and worth keeping; why it ended is what is told */
    take_lora(training, dreambooth, NULL);
    g_propagate_error(error, failure);
    return FALSE;
}

/* How long each part takes, in the UNet's passes with one image; a training step is three. */
typedef struct {
    double reading, class_pictures, training;
} Costs;

static Costs estimate(const W2wDreamboothTraining *training, guint n_missing)
{
    const W2wWorldCard *card = get_card(training);
    const W2wDreamboothRequest *request = training->request;
    const double picture = card->steps * (card->guidance_scale > 1.0 ? 2.0 : 1.0);
    const double n_images = request->recipe.batch * (request->n_class > 0 ? 2.0 : 1.0);

    return (Costs){.reading = request->person.paths->len,
                   .class_pictures = request->n_class + n_missing * picture,
                   .training = 3.0 * n_images * request->recipe.n_steps};
}

/* The stretch after the one before, `cost` long. */
static void go_on(W2wProgressStretch *stretch, const Costs *costs, double cost)
{
    stretch->from = stretch->to;
    stretch->to += cost / (costs->reading + costs->class_pictures + costs->training);
}

char *w2w_dreambooth_training_describe_memory(const W2wDreamboothTraining *training)
{
    return g_format_size_full(training->memory.total, G_FORMAT_SIZE_IEC_UNITS);
}

gboolean w2w_dreambooth_training_run(W2wDreamboothTraining *training, W2wPipeline *pipeline,
                                     const W2wDreamboothRequest *request,
                                     const W2wProgress *progress, GError **error)
{
    g_autoptr(W2wClassPictures) pictures = NULL;
    W2wProgressStretch stretch = {.whole = progress};
    W2wProgress part = w2w_progress_stretch(&stretch);
    W2wDreamboothProblem problem;
    Costs costs;
    g_autofree char *size = NULL, *text = NULL;
    guint n_missing = 0;

    training->pipeline = pipeline;
    training->request = request;
    training->fingerprints = json_array_new();
    problem = make_problem(training);
    if (!w2w_pipeline_set_loras(pipeline, NULL, 0, error) ||
        !w2w_dreambooth_measure(pipeline, &request->recipe, &problem, &training->memory, error))
        return FALSE;
    size = w2w_dreambooth_training_describe_memory(training);
    text = g_strdup_printf("Preparing; this takes %s of memory", size);
    if (!w2w_progress_step(&part, 0.0, text, error))
        return FALSE;
    if (request->n_class > 0 && request->anybody.paths == NULL) {
        pictures = w2w_class_pictures_new(pipeline, error);
        if (pictures == NULL)
            return FALSE;
        for (guint i = 0; i < request->n_class; i++)
            n_missing += w2w_class_pictures_has(pictures, i) ? 0 : 1;
    }
    costs = estimate(training, n_missing);
    go_on(&stretch, &costs, costs.reading);
    if (!encode_folder(training, &request->person, &training->instance, training->fingerprints,
                       &part, error))
        return FALSE;
    go_on(&stretch, &costs, costs.class_pictures);
    if (pictures != NULL && !encode_class(training, pictures, &part, error))
        return FALSE;
    if (request->anybody.paths != NULL &&
        !encode_folder(training, &request->anybody, &training->prior, NULL, &part, error))
        return FALSE;
    go_on(&stretch, &costs, costs.training);
    return train(training, &part, error);
}
