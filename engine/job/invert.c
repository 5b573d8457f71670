/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * invert: from pictures of one person to an identity, its picture, and a report of how it went.
 *
 * Asked to stop, it hands out the best that it had found, without a picture, before it ends as
 * every cancelled job does; --from goes on from there.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/invert_input.h"
#include "engine/job/invert_report.h"
#include "engine/job/job.h"
#include "engine/job/memory_parameter.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/training/held_loss.h"

/* Parts of the job's time, for its progress: until the steps begin, and until they are done. */
#define STEPS_BEGIN 0.05
#define STEPS_END   0.8
#define HELD_END    0.95 /* where the held loss is asked for */

static const char *const preset_labels[] = {
    N_("As the paper"), N_("As the paper, for drawings and the like"), N_("Fast"), NULL};

static const W2wParameter parameters[] = {
    W2W_PICTURE_PARAMETERS,
    {
        .name = W2W_INVERT_MORE,
        .type = W2W_PARAMETER_PICTURES,
        .label = N_("_More pictures"),
        .blurb = N_("One more picture of the same person, all of which counts but what is "
                    "transparent."),
    },
    {
        .name = "preset",
        .type = W2W_PARAMETER_CHOICE,
        .string = "fast",
        .choices = w2w_inversion_preset_names,
        .choice_labels = preset_labels,
        .label = N_("_Preset"),
        .blurb = N_("How the person is sought: as weights2weights does it for photographs (paper) "
                    "or for other pictures (paper-ood), or in less time (fast)."),
    },
    {
        .name = "steps",
        .type = W2W_PARAMETER_INT,
        .maximum = W2W_INVERSION_MAX_STEPS,
        .label = N_("S_teps"),
        .blurb = N_("Steps of the search; 0: the preset's."),
    },
    {
        .name = "lr",
        .type = W2W_PARAMETER_DOUBLE,
        .maximum = W2W_INVERSION_MAX_LR,
        .label = N_("Learnin_g rate"),
        .blurb = N_("How large the steps are; 0: the preset's."),
    },
    {
        .name = "components",
        .type = W2W_PARAMETER_INT,
        .maximum = W2W_IDENTITY_MAX_COEFFICIENTS,
        .label = N_("Compo_nents"),
        .blurb = N_("In how many of the space's components the person is sought; 0: the preset's. "
                    "Few keep to what all people have in common, many follow the picture."),
    },
    {
        .name = "seed",
        .type = W2W_PARAMETER_SEED,
        .minimum = -1,
        .maximum = W2W_SEED_MAX,
        .number = -1,
        .label = N_("See_d"),
        .blurb = N_("Number that decides what is drawn at random, and the composition of the "
                    "result's picture; −1: random."),
    },
    {
        .name = "from",
        .type = W2W_PARAMETER_IDENTITY,
        .label = N_("Go on _from"),
        .blurb = N_("An identity to begin with: one found before, say, to be made better."),
    },
    {
        .name = "held-loss",
        .type = W2W_PARAMETER_SWITCH,
        .flags = W2W_PARAMETER_FILES_ONLY,
        .label = N_("_Held loss"),
        .blurb =
            N_("Measure how well the result explains the picture on 64 timesteps with 4 "
               "noises each, which are always the same, beside the mean person; takes about as "
               "long as 200 steps."),
    },
    W2W_MEMORY_PARAMETER,
    W2W_NO_PICTURE_PARAMETER,
};

static const char *const sought_in[] = {W2W_JOB_IMAGE, W2W_JOB_MASK,    "crop",
                                        "box",         W2W_INVERT_MORE, NULL};

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(W2wInvertInput) invert = {0};

    return w2w_invert_input_init(&invert, world, values, error);
}

/* --- what comes of it --- */

/* One run: what it was given and what it has found so far. */
typedef struct {
    W2wPipeline *pipeline;
    W2wInvertInput input;
    guint n_components;    /* that are sought */
    guint n_done;          /* steps */
    double best_loss;      /* 0: not known */
    W2wIdentity *identity; /* the best so far; NULL: no step was done */
    JsonObject *report;
    const W2wProgress *progress; /* of the whole job */
} Run;

static void run_clear(Run *run)
{
    w2w_invert_input_clear(&run->input);
    g_clear_pointer(&run->identity, w2w_identity_free);
    g_clear_pointer(&run->report, json_object_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static JsonObject *make_recipe(const Run *run)
{
    const W2wInvertInput *input = &run->input;
    g_autoptr(JsonObject) earlier = w2w_recipe_of_identity(input->from);
    JsonObject *recipe =
        w2w_recipe_new(w2w_invert_job.name, run->pipeline, input->problem.seed, earlier);
    JsonObject *search =
        w2w_invert_describe_recipe(&input->recipe, input->preset, run->n_components);

    json_object_set_int_member(search, "steps_done", run->n_done);
    json_object_set_string_member(recipe, "name", "Inverted person");
    w2w_picture_input_describe(&g_array_index(input->inputs, W2wPictureInput, 0), recipe);
    if (input->inputs->len > 1)
        json_object_set_int_member(recipe, W2W_INVERT_MORE, input->inputs->len - 1);
    json_object_set_object_member(recipe, "inversion", search);
    return recipe;
}

/* "all 128 of the space; the paper takes 10,000 of a wider one" */
static char *describe_components(const W2wInvertInput *input, guint n)
{
    const guint n_space = w2w_space_get_n_components(input->space);
    W2wInversionRecipe preset;

    w2w_inversion_recipe_init(&preset, input->preset, n_space);
    if (n != preset.n_components)
        return g_strdup_printf("%u of the space's %u, as asked for", n, n_space);
    if (input->preset == W2W_INVERSION_PAPER_OOD)
        return g_strdup_printf("%u, a tenth of the space's %u", n, n_space);
    if (n_space < W2W_INVERSION_MAX_COMPONENTS)
        return g_strdup_printf("all %u of the space; the paper takes %d of a wider one", n,
                               W2W_INVERSION_MAX_COMPONENTS);
    return g_strdup_printf("%u of the space's %u", n, n_space);
}

static void begin_report(Run *run, const W2wTrainingMemory *memory)
{
    const W2wInvertInput *input = &run->input;
    const W2wPictureInput *picture = &g_array_index(input->inputs, W2wPictureInput, 0);
    g_autofree char *components = describe_components(input, run->n_components);
    g_autofree char *size = g_format_size_full(memory->total, G_FORMAT_SIZE_IEC_UNITS);
    JsonObject *report = json_object_new();

    json_object_set_string_member(report, "preset", w2w_inversion_preset_names[input->preset]);
    json_object_set_string_member(report, "components", components);
    json_object_set_int_member(report, "pictures", input->inputs->len);
    json_object_set_string_member(report, "crop", w2w_crop_policy_names[picture->policy]);
    json_object_set_array_member(report, "box", w2w_box_to_json(&picture->box));
    json_object_set_string_member(report, "memory_planned", size);
    json_object_set_int_member(report, "blocks_recomputed", memory->n_recomputed);
    run->report = report;
}

/* --- the parts of its time --- */

typedef struct {
    const W2wProgress *whole; /* may be NULL */
    double begin, end;
} Span;

static void report_span(double fraction, const char *text, gpointer user_data)
{
    const Span *span = user_data;

    if (span->whole != NULL && span->whole->func != NULL)
        span->whole->func(span->begin + fraction * (span->end - span->begin), text,
                          span->whole->user_data);
}

/* `span` must outlive it. */
static W2wProgress use_span(Span *span)
{
    return (W2wProgress){report_span, span, span->whole != NULL ? span->whole->cancellable : NULL};
}

/* --- what it does, in its order --- */

static gboolean prepare(Run *run, const W2wValues *values, GError **error)
{
    Span span = {run->progress, 0.0, STEPS_BEGIN};
    const W2wProgress progress = use_span(&span);
    W2wInvertInput *input = &run->input;
    g_autofree char *text = NULL;
    W2wTrainingMemory memory;

    if (!w2w_invert_input_init(input, w2w_pipeline_get_world(run->pipeline), values, error) ||
        !w2w_invert_input_measure(input, run->pipeline, &memory, error))
        return FALSE;
    input->problem.seed = w2w_rendering_get_seed(values, NULL);
    run->n_components = MIN(input->recipe.n_components, w2w_space_get_n_components(input->space));
    begin_report(run, &memory);
    text = g_strdup_printf("Preparing; this takes %s of memory",
                           json_object_get_string_member(run->report, "memory_planned"));
    /* An earlier job may have left LoRAs in the weights. */
    if (!w2w_progress_step(&progress, 0.0, text, error) ||
        !w2w_pipeline_set_loras(run->pipeline, NULL, 0, error) ||
        !w2w_invert_input_encode(input, run->pipeline, error))
        return FALSE;
    if (input->problem.memory > 0) /* what the search may take is all that is taken */
        w2w_pipeline_drop_plans(run->pipeline);
    return TRUE;
}

/* Into run->identity, also where it was asked to stop. */
static gboolean take_identity(Run *run, const W2wInversion *inversion, GError **error)
{
    run->n_done = w2w_inversion_get_n_done(inversion);
    run->best_loss = w2w_inversion_get_best_loss(inversion);
    if (run->n_done == 0)
        return TRUE;
    run->identity = w2w_identity_new(w2w_inversion_get_n_coefficients(inversion), error);
    if (run->identity == NULL)
        return FALSE;
    w2w_inversion_get_result(inversion, run->identity->coefficients);
    if (run->input.from != NULL)
        run->identity->model_fingerprint = g_strdup(run->input.from->model_fingerprint);
    return TRUE;
}

static gboolean seek(Run *run, GError **error)
{
    const gint64 start = g_get_monotonic_time();
    Span beginning = {run->progress, 0.0, STEPS_BEGIN};
    Span steps = {run->progress, STEPS_BEGIN, STEPS_END};
    const W2wProgress beginning_progress = use_span(&beginning);
    const W2wProgress steps_progress = use_span(&steps);
    g_autoptr(W2wInversion) inversion = w2w_inversion_new(
        run->pipeline, &run->input.recipe, &run->input.problem, &beginning_progress, error);
    GError *problem = NULL;

    if (inversion == NULL)
        return FALSE;
    if (!w2w_inversion_run(inversion, &steps_progress, &problem)) {
        /* Asked to stop, or gone astray: what was found before that is not lost. */
        if (g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
            g_error_matches(problem, W2W_ERROR, W2W_ERROR_FAILED))
            take_identity(run, inversion, NULL);
        g_propagate_error(error, problem);
        return FALSE;
    }
    json_object_set_double_member(run->report, "seconds",
                                  round((double)(g_get_monotonic_time() - start) / 1e4) / 1e2);
    return take_identity(run, inversion, error) &&
           w2w_invert_report(inversion, run->input.space, run->identity, run->report, error);
}

/* Of the mean person and of the one that was found. */
static gboolean measure_held(Run *run, GError **error)
{
    const struct {
        const char *name;
        const float *coefficients;
        guint n;
    } people[] = {
        {"mean_person", NULL, 0},
        {"this_person", run->identity->coefficients, run->identity->n_coefficients},
    };
    Span span = {run->progress, STEPS_END, HELD_END};
    const W2wProgress progress = use_span(&span);
    g_autoptr(W2wHeldLoss) held = w2w_held_loss_new(run->pipeline, &run->input.problem, error);
    JsonObject *object = json_object_new();

    json_object_set_object_member(run->report, "held_loss", object);
    for (guint i = 0; i < G_N_ELEMENTS(people); i++) {
        double loss;

        if (held == NULL || !w2w_held_loss_compute_of(held, people[i].coefficients, people[i].n,
                                                      &progress, &loss, error))
            return FALSE;
        json_object_set_double_member(object, people[i].name, round(loss * 1e6) / 1e6);
    }
    return TRUE;
}

static W2wJobResult *finish(Run *run, const W2wValues *values, GError **error)
{
    const gboolean held = w2w_values_get_switch(values, "held-loss");
    Span span = {run->progress, held ? HELD_END : STEPS_END, 1.0};
    const W2wProgress progress = use_span(&span);
    g_autoptr(JsonObject) recipe = make_recipe(run);
    g_auto(W2wRendering) rendering = {0};
    W2wJobResult *result;

    if (held && !measure_held(run, error))
        return NULL;
    if (!w2w_rendering_init_of_world(&rendering, run->input.world, run->identity, error))
        return NULL;
    rendering.options.seed = run->input.problem.seed;
    result = w2w_rendering_make_result_of(run->pipeline, values, &w2w_invert_job, &rendering,
                                          run->identity, recipe, &progress, error);
    if (result == NULL)
        return NULL;
    if (run->input.message != NULL)
        w2w_message_append(&result->message, "%s", run->input.message);
    result->report = w2w_json_write_object(run->report);
    return result;
}

/* What was found until it was asked to stop. */
static void hand_out_best(Run *run, W2wJobResultFunc on_result, gpointer user_data)
{
    g_autoptr(JsonObject) recipe = NULL;
    W2wJobResult *result;

    if (run->identity == NULL)
        return;
    recipe = make_recipe(run);
    result = w2w_rendering_make_identity(run->pipeline, run->identity, recipe,
                                         run->input.problem.seed, NULL);
    if (result == NULL)
        return;
    result->loss = run->best_loss;
    result->n_steps = run->n_done;
    w2w_message_append(&result->message,
                       "Stopped after %u of %u steps: this is the best until then. The search can "
                       "go on from it.",
                       run->n_done, run->input.recipe.n_steps);
    on_result(result, user_data);
}

static gboolean run_job(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                        gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_auto(Run) run = {.pipeline = pipeline, .progress = progress};
    W2wJobResult *result = NULL;
    GError *problem = NULL;

    if (prepare(&run, values, &problem) && seek(&run, &problem))
        result = finish(&run, values, &problem);
    if (result == NULL) {
        if (g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
            g_error_matches(problem, W2W_ERROR, W2W_ERROR_FAILED))
            hand_out_best(&run, on_result, user_data);
        g_propagate_error(error, problem);
        return FALSE;
    }
    on_result(result, user_data);
    return TRUE;
}

const W2wJob w2w_invert_job = {
    .name = "invert",
    .label = N_("In_vert a Picture…"),
    .blurb = N_("Find the identity of a person in a picture, and render it."),
    .help = N_("Seeks the coefficients of the space that explain a picture of a person (and more "
               "pictures of the same one), as weights2weights does it: through the whole model, "
               "with what a mask leaves out not counted. What is found can be edited and rendered "
               "like every identity. Stopped early, it keeps the best until then."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .argument = W2W_JOB_IMAGE,
    .resumes_from = "from",
    .resumes_for = sought_in,
    .check = check,
    .run = run_job,
};
