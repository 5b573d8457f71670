/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dreambooth: from a folder of pictures of one person to a LoRA of rank 1, its picture, and where
 * the world has a space the identity that is nearest to it.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/mapped_file.h"
#include "engine/job/dreambooth_training.h"
#include "engine/job/job.h"
#include "engine/job/memory_parameter.h"
#include "engine/job/part_progress.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

#define PARAMETER "pictures"

/* Files that are not taken, by name; the others are counted. */
#define N_NAMED 5

enum { START_RANDOM, START_SPACE };
static const char *const starts[] = {"random", "space", NULL};
static const char *const start_labels[] = {N_("Random, as DreamBooth"),
                                           N_("The space's mean person"), NULL};

static const W2wParameter parameters[] = {
    {
        .name = PARAMETER,
        .type = W2W_PARAMETER_PATH,
        .flags = W2W_PARAMETER_REQUIRED,
        .label = N_("_Pictures"),
        .blurb = N_("A folder with PNG pictures of one person. Each is cut to the proportions of "
                    "the world's pictures around its centre."),
    },
    {
        .name = "steps",
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = W2W_DREAMBOOTH_MAX_STEPS,
        .number = 800,
        .label = N_("S_teps"),
        .blurb = N_("Steps of training; the default is weights2weights' own, for Stable "
                    "Diffusion 1.5."),
    },
    {
        .name = "lr",
        .type = W2W_PARAMETER_DOUBLE,
        .minimum = 1e-9,
        .maximum = 1.0,
        .number = 1e-4,
        .label = N_("_Learning rate"),
        .blurb = N_("How far one step of training goes; the default is weights2weights' own. Small "
                    "models such as the embedded world's need more: try 1e-3."),
    },
    {
        .name = "weight-decay",
        .type = W2W_PARAMETER_DOUBLE,
        .maximum = 1.0,
        .number = 1e-2,
        .label = N_("Weight _decay"),
        .blurb = N_("How strongly AdamW pulls weights towards zero."),
    },
    {
        .name = "batch",
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = W2W_DREAMBOOTH_MAX_BATCH,
        .number = 1,
        .label = N_("_Batch"),
        .blurb = N_("Pictures of the person in each step, and as many of anybody."),
    },
    {
        .name = "prior-weight",
        .type = W2W_PARAMETER_DOUBLE,
        .maximum = 100.0,
        .number = 1.0,
        .label = N_("P_rior weight"),
        .blurb = N_("How much it counts that pictures of anybody stay as they are; 0: not at all, "
                    "and no pictures of anybody are needed."),
    },
    {
        .name = "class-pictures",
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = 10000,
        .number = 200,
        .label = N_("_Class pictures"),
        .blurb = N_("Pictures of anybody, which the model makes and the cache keeps for the next "
                    "time."),
    },
    {
        .name = "class-folder",
        .type = W2W_PARAMETER_PATH,
        .label = N_("Class _folder"),
        .blurb = N_("A folder with PNG pictures of anybody, all of which are taken instead."),
    },
    {
        .name = "start",
        .type = W2W_PARAMETER_CHOICE,
        .string = "random",
        .choices = starts,
        .choice_labels = start_labels,
        .label = N_("_Start"),
        .blurb = N_("Where the training begins: at random weights that change nothing, as "
                    "DreamBooth does, or at the space's mean, near which its people lie: then the "
                    "space can express more of the result."),
    },
    {
        .name = "format",
        .type = W2W_PARAMETER_CHOICE,
        .string = "diffusers",
        .choices = w2w_lora_format_names,
        .label = N_("F_ormat"),
        .blurb = N_("Whose file it becomes: a LoRA for PEFT (a folder), diffusers, kohya's scripts "
                    "or weights2weights (a folder)."),
    },
    {
        .name = "prompt",
        .type = W2W_PARAMETER_STRING,
        .flags = W2W_PARAMETER_FROM_WORLD,
        .label = N_("Pro_mpt"),
        .blurb = N_("What the picture of the result shows; empty: the world's own words for a "
                    "person."),
    },
    W2W_NO_PICTURE_PARAMETER,
    {
        .name = "seed",
        .type = W2W_PARAMETER_SEED,
        .minimum = -1,
        .maximum = W2W_SEED_MAX,
        .label = N_("See_d"),
        .blurb = N_("Number that decides all that is random, the picture of the result included; "
                    "0 is weights2weights' own, −1: a random one."),
    },
    W2W_MEMORY_PARAMETER,
};

static void request_take_recipe(W2wDreamboothRequest *request, const W2wValues *values)
{
    W2wDreamboothRecipe *recipe = &request->recipe;

    w2w_dreambooth_recipe_init(recipe);
    recipe->n_steps = (guint)w2w_values_get_int(values, "steps");
    recipe->batch = (guint)w2w_values_get_int(values, "batch");
    recipe->lr = w2w_values_get_double(values, "lr");
    recipe->weight_decay = w2w_values_get_double(values, "weight-decay");
    recipe->prior_weight = w2w_values_get_double(values, "prior-weight");
    recipe->seed = w2w_rendering_get_seed(values, NULL);
    request->is_from_space = w2w_values_get_choice(values, "start") == START_SPACE;
    request->format = w2w_values_get_choice(values, "format");
}

static gboolean request_init(W2wDreamboothRequest *request, const W2wWorld *world,
                             const W2wValues *values, GError **error)
{
    const char *class_folder = w2w_values_get_string(values, "class-folder");

    if (!w2w_values_check_required(values, error) ||
        !w2w_memory_parameter_get(values, &request->memory, error))
        return FALSE;
    request_take_recipe(request, values);
    if (request->is_from_space && w2w_world_get_space(world) == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A training can only start from a space's mean where there is a space, and a "
                    "model alone has none: choose a world, or add a space.");
        return FALSE;
    }
    if (!w2w_picture_folder_open(&request->person, w2w_values_get_string(values, PARAMETER), error))
        return FALSE;
    if (request->recipe.prior_weight <= 0.0)
        return TRUE;
    request->n_class = (guint)w2w_values_get_int(values, "class-pictures");
    if (*class_folder == 0)
        return TRUE;
    if (!w2w_picture_folder_open(&request->anybody, class_folder, error))
        return FALSE;
    request->n_class = request->anybody.paths->len;
    return TRUE;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    const W2wWorldCard *card = w2w_world_get_card(world);
    g_auto(W2wDreamboothRequest) request = {0};

    if (!request_init(&request, world, values, error))
        return FALSE;
    for (guint i = 0; i < request.person.paths->len; i++) {
        g_autoptr(W2wPicture) picture = w2w_picture_folder_read(
            request.person.paths->pdata[i], card->width, card->height, NULL, error);

        if (picture == NULL)
            return FALSE;
    }
    return TRUE;
}

/* --- what came of it --- */

static double round_to(double value, double digits)
{
    return round(value * digits) / digits;
}

static JsonObject *make_report(const W2wDreamboothTraining *training)
{
    const W2wDreamboothRequest *request = training->request;
    g_autofree char *memory = w2w_dreambooth_training_describe_memory(training);
    JsonObject *report = json_object_new();

    json_object_set_int_member(report, "pictures", request->person.paths->len);
    json_object_set_int_member(report, "class_pictures", request->n_class);
    json_object_set_int_member(report, "class_pictures_rendered", training->n_rendered);
    json_object_set_int_member(report, "steps", training->n_done);
    json_object_set_double_member(report, "loss_at_first", round_to(training->first_loss, 1e6));
    json_object_set_double_member(report, "loss_at_last", round_to(training->last_loss, 1e6));
    json_object_set_double_member(report, "seconds", round_to(training->seconds, 1e2));
    json_object_set_string_member(report, "memory_planned", memory);
    json_object_set_int_member(report, "blocks_recomputed", training->memory.n_recomputed);
    json_object_set_string_member(report, "format", w2w_lora_format_names[request->format]);
    json_object_set_int_member(report, "modules", training->n_modules);
    json_object_set_int_member(report, "rank", 1);
    json_object_set_double_member(report, "scale", (double)training->scale);
    return report;
}

/* The job's values, and by their contents the pictures: where they lay is nobody's business. */
static JsonObject *make_recipe(const W2wDreamboothTraining *training, const W2wValues *values)
{
    g_autofree char *base = g_path_get_basename(w2w_values_get_string(values, PARAMETER));
    g_autofree char *name = g_filename_display_name(base);
    const W2wDreamboothRecipe *recipe = &training->request->recipe;
    JsonObject *json =
        w2w_recipe_new(w2w_dreambooth_job.name, training->pipeline, recipe->seed, NULL);

    json_object_set_string_member(json, "name", name);
    json_object_set_array_member(json, PARAMETER, json_array_ref(training->fingerprints));
    json_object_set_int_member(json, "steps", recipe->n_steps);
    json_object_set_int_member(json, "steps_done", training->n_done);
    json_object_set_double_member(json, "lr", recipe->lr);
    json_object_set_double_member(json, "weight-decay", recipe->weight_decay);
    json_object_set_int_member(json, "batch", recipe->batch);
    json_object_set_double_member(json, "prior-weight", recipe->prior_weight);
    json_object_set_int_member(json, "class-pictures", training->request->n_class);
    json_object_set_string_member(json, "start", w2w_values_get_string(values, "start"));
    return json;
}

static void warn_of_others(const W2wPictureFolder *folder, char **message)
{
    const guint n = folder->others != NULL ? folder->others->len : 0;
    g_autoptr(GString) names = g_string_new(NULL);

    if (n == 0)
        return;
    for (guint i = 0; i < MIN(n, N_NAMED); i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "",
                               (const char *)folder->others->pdata[i]);
    if (n > N_NAMED)
        g_string_append_printf(names, " and %u more", n - N_NAMED);
    w2w_message_append(message, "Not taken, since only PNG files are: %s.", names->str);
}

/* The identity that is nearest to the LoRA. */
static gboolean add_identity(W2wJobResult *result, const W2wDreamboothTraining *training,
                             JsonObject *report, GError **error)
{
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(training->pipeline));
    g_autoptr(W2wIdentity) identity =
        w2w_trained_lora_project(&training->lora, space, report, &result->message, error);

    if (identity == NULL)
        return FALSE;
    identity->recipe = g_strdup(result->recipe);
    identity->space_fingerprint = g_strdup(w2w_space_get_fingerprint(space));
    identity->model_fingerprint = g_strdup(w2w_pipeline_get_model_fingerprint(training->pipeline));
    result->identity = w2w_identity_to_bytes(identity, error);
    return result->identity != NULL;
}

static void add_lora(W2wJobResult *result, const W2wDreamboothTraining *training,
                     JsonObject *recipe)
{
    warn_of_others(&training->request->person, &result->message);
    warn_of_others(&training->request->anybody, &result->message);
    result->seed = training->request->recipe.seed;
    result->name = w2w_recipe_get_name(recipe);
    result->recipe = w2w_json_write_object(recipe);
    result->files = g_ptr_array_ref(training->lora.files);
}

static W2wJobResult *make_result(const W2wDreamboothTraining *training, const W2wValues *values,
                                 const W2wProgress *progress, GError **error)
{
    const guint64 seed = training->request->recipe.seed;
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);
    g_autoptr(JsonObject) recipe = make_recipe(training, values);
    g_autoptr(JsonObject) report = make_report(training);

    if (!w2w_values_get_switch(values, "no-picture")) {
        result->picture = w2w_trained_lora_render(&training->lora, training->pipeline,
                                                  w2w_values_get_string(values, "prompt"), seed,
                                                  recipe, &result->message, progress, error);
        if (result->picture == NULL)
            return NULL;
    }
    add_lora(result, training, recipe);
    if (w2w_world_get_space(w2w_pipeline_get_world(training->pipeline)) != NULL &&
        !add_identity(result, training, report, error))
        return NULL;
    result->report = w2w_json_write_object(report);
    return g_steal_pointer(&result);
}

/*
 * The LoRA that there is where the job cannot end well, if there is one: hours of training are not
 * thrown away because of what comes after them.
 */
static void hand_out_lora(const W2wDreamboothTraining *training, const W2wValues *values,
                          W2wJobResultFunc on_result, gpointer user_data, const GError *problem)
{
    guint n_steps;
    const gboolean is_stopped = g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(JsonObject) report = NULL;

    if (training->lora.files == NULL || !w2w_mapped_files_check(NULL))
        return;
    n_steps = training->request->recipe.n_steps;
    result = g_new0(W2wJobResult, 1);
    recipe = make_recipe(training, values);
    report = make_report(training);
    add_lora(result, training, recipe);
    result->report = w2w_json_write_object(report);
    if (training->n_done == n_steps)
        w2w_message_append(&result->message,
                           "All %u steps were done: this is the LoRA, without "
                           "what would have been made of it.",
                           n_steps);
    else
        w2w_message_append(&result->message,
                           "%s after %u of %u steps: this is the LoRA of these, without a picture "
                           "or an identity.",
                           is_stopped ? "Stopped" : "Ended", training->n_done, n_steps);
    on_result(g_steal_pointer(&result), user_data);
}

/* What the picture is of the whole: a training is long. */
#define PICTURE_PART 0.02

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_auto(W2wDreamboothRequest) request = {0};
    g_auto(W2wDreamboothTraining) training = {0};
    g_autoptr(W2wJobResult) result = NULL;
    W2wProgressStretch stretch = {progress, 0.0, 1.0 - PICTURE_PART};
    W2wProgress part = w2w_progress_stretch(&stretch);
    GError *problem = NULL;

    if (!request_init(&request, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    if (w2w_dreambooth_training_run(&training, pipeline, &request, &part, &problem)) {
        stretch = (W2wProgressStretch){progress, stretch.to, 1.0};
        result = make_result(&training, values, &part, &problem);
    }
    if (result == NULL) {
        hand_out_lora(&training, values, on_result, user_data, problem);
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (!w2w_mapped_files_check(error))
        return FALSE;
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_dreambooth_job = {
    .name = "dreambooth",
    .label = N_("_Train LoRA…"),
    .blurb = N_("Train a LoRA of one person from a folder of pictures."),
    .help = N_("Trains a LoRA of rank 1 from a few pictures of one person, as DreamBooth does it "
               "with prior preservation and as weights2weights made each person of its dataset. "
               "The defaults are its own: 800 steps with a learning rate of 1e-4. Where the world "
               "has a space, the nearest identity is written beside the LoRA, with how much of it "
               "the space could not take over. The first run makes pictures of anybody, which "
               "takes a while; they are kept for the next. Stopped early, it keeps the LoRA of the "
               "steps until then."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .argument = PARAMETER,
    .argument_word = "DIR",
    .check = check,
    .run = run,
};
