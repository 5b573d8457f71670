/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the studies in scripts/study need of the engine and the command line does not show: losses
 * on held timesteps of whatever weights, inversions by recipes that are no preset, and the people
 * of a space. One process that opens the embedded world once:
 *
 *   a line of JSON in                                      a line of JSON out
 *   {"do": "space"}                                        {"attributes": …, "people": …, …}
 *   {"do": "held", "picture": PATH, …}                     {"held": 0.0312}
 *   {"do": "invert", "picture": PATH, "recipe": "lr=1"}    {"coefficients": […], "seconds": …}
 *
 * A picture comes with "mask" and "box" where it has them, or with the latents of several
 * ("more": [PATH, …]). "held" is of "coefficients", or of a "lora" file without any identity; of
 * neither, it is the base model's. What fails is {"error": sentence}, and the next line is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/png.h"
#include "engine/memory.h"
#include "engine/picture_crop.h"
#include "engine/training/held_loss.h"
#include "tests/study/recipe_text.h"

typedef struct {
    W2wPipeline *pipeline;
    W2wSpace *space;
    const W2wWorldCard *card;
    gint height, width; /* of the latents */
    gsize n;            /* numbers of the latents */
    float *text;
} Study;

static gboolean study_open(Study *study, guint n_threads, GError **error)
{
    const W2wDeviceOptions options = {.n_threads = n_threads};
    W2wWorld *world = w2w_world_open(w2w_world_get_default_directory(), error);
    W2wDevice *device;
    W2wPipelineSizes sizes;

    if (world == NULL)
        return FALSE;
    device = w2w_device_new("cpu", &options, error);
    if (device == NULL) {
        w2w_world_free(world);
        return FALSE;
    }
    study->pipeline = w2w_pipeline_new(world, device, error);
    if (study->pipeline == NULL)
        return FALSE;
    study->space = w2w_world_get_space(world);
    study->card = w2w_world_get_card(world);
    sizes = w2w_pipeline_get_sizes(study->pipeline);
    study->height = study->card->height / sizes.downscale;
    study->width = study->card->width / sizes.downscale;
    study->n = (gsize)study->height * (gsize)study->width * (gsize)sizes.latent_channels;
    study->text = w2w_pipeline_encode_text(
        study->pipeline, (const char *const *)&study->card->instance_prompt, 1, error);
    return study->text != NULL;
}

static void study_close(Study *study)
{
    w2w_aligned_free(study->text);
    w2w_pipeline_free(study->pipeline);
}

/* --- pictures --- */

typedef struct {
    GArray *pictures; /* W2wInversionPicture, whose arrays it owns */
} Person;

static void person_clear(Person *person)
{
    for (guint i = 0; person->pictures != NULL && i < person->pictures->len; i++) {
        W2wInversionPicture *picture = &g_array_index(person->pictures, W2wInversionPicture, i);

        w2w_aligned_free((float *)picture->mean);
        w2w_aligned_free((float *)picture->std);
        w2w_aligned_free((float *)picture->mask);
    }
    g_clear_pointer(&person->pictures, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Person, person_clear)

static void read_box(JsonObject *request, W2wBox *box)
{
    JsonArray *array = json_object_get_array_member(request, "box");

    *box = (W2wBox){
        (gint)json_array_get_int_element(array, 0), (gint)json_array_get_int_element(array, 1),
        (gint)json_array_get_int_element(array, 2), (gint)json_array_get_int_element(array, 3)};
}

static W2wMask *read_mask(const char *path, GError **error)
{
    g_autoptr(W2wPicture) picture = w2w_png_read(path, error);

    return picture != NULL ? w2w_mask_from_picture(picture, error) : NULL;
}

/* `request` NULL: the whole picture, without a mask. */
static gboolean add_picture(Person *person, const Study *study, const char *path,
                            JsonObject *request, GError **error)
{
    const gboolean has_mask = request != NULL && json_object_has_member(request, "mask");
    const guint width = (guint)study->card->width, height = (guint)study->card->height;
    g_autoptr(W2wPicture) picture = w2w_png_read(path, error);
    g_autoptr(W2wPicture) cut = NULL;
    W2wInversionPicture *added;
    float *mean, *std;
    W2wBox box;

    if (picture == NULL)
        return FALSE;
    g_array_set_size(person->pictures, person->pictures->len + 1);
    added = &g_array_index(person->pictures, W2wInversionPicture, person->pictures->len - 1);
    added->mean = mean = w2w_aligned_alloc(study->n, sizeof *mean, "latents", error);
    added->std = std = w2w_aligned_alloc(study->n, sizeof *std, "latents", error);
    if (mean == NULL || std == NULL)
        return FALSE;
    box = (W2wBox){0, 0, (gint)picture->width, (gint)picture->height};
    if (request != NULL && json_object_has_member(request, "box"))
        read_box(request, &box);
    cut = w2w_crop_cut(picture, &box, width, height, error);
    if (cut == NULL)
        return FALSE;
    if (has_mask) {
        W2wMask *mask = read_mask(json_object_get_string_member(request, "mask"), error);

        if (mask == NULL)
            return FALSE;
        added->mask = w2w_crop_mask(mask, picture->width, picture->height, &box,
                                    (guint)study->width, (guint)study->height, error);
        w2w_mask_free(mask);
        if (added->mask == NULL)
            return FALSE;
    }
    return w2w_pipeline_encode_picture(study->pipeline, cut, (gint)width, (gint)height, mean, std,
                                       error);
}

static gboolean read_person(Person *person, const Study *study, JsonObject *request, GError **error)
{
    person->pictures = g_array_new(FALSE, TRUE, sizeof(W2wInversionPicture));
    if (!add_picture(person, study, json_object_get_string_member(request, "picture"), request,
                     error))
        return FALSE;
    if (json_object_has_member(request, "more")) {
        JsonArray *more = json_object_get_array_member(request, "more");

        for (guint i = 0; i < json_array_get_length(more); i++)
            if (!add_picture(person, study, json_array_get_string_element(more, i), NULL, error))
                return FALSE;
    }
    return TRUE;
}

static W2wInversionProblem make_problem(const Study *study, const Person *person,
                                        JsonObject *request)
{
    return (W2wInversionProblem){
        .height = study->height,
        .width = study->width,
        .pictures = (const W2wInversionPicture *)(gpointer)person->pictures->data,
        .n_pictures = person->pictures->len,
        .text_embedding = study->text,
        .seed = (guint64)json_object_get_int_member_with_default(request, "seed", 0)};
}

/* --- what can be asked for --- */

static JsonArray *floats_to_json(const float *numbers, guint n)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < n; i++)
        json_array_add_double_element(array, (double)numbers[i]);
    return array;
}

static JsonArray *doubles_to_json(const double *numbers, guint n)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < n; i++)
        json_array_add_double_element(array, numbers[i]);
    return array;
}

static gboolean add_attributes(W2wSpace *space, JsonObject *answer, GError **error)
{
    const guint n = w2w_space_get_n_with_statistics(space);
    JsonArray *attributes = json_array_new();

    json_object_set_array_member(answer, "attributes", attributes);
    for (const char *const *name = w2w_space_get_attributes(space); *name != NULL; name++) {
        const gint8 *labels = w2w_space_get_labels(space, *name, error);
        const double *direction =
            labels != NULL ? w2w_space_get_direction(space, *name, error) : NULL;
        JsonObject *attribute;
        JsonArray *array;

        if (direction == NULL)
            return FALSE;
        attribute = json_object_new();
        array = json_array_new();
        for (gint64 i = 0; i < w2w_space_get_n_people(space); i++)
            json_array_add_int_element(array, labels[i]);
        json_object_set_string_member(attribute, "name", *name);
        json_object_set_array_member(attribute, "direction", doubles_to_json(direction, n));
        json_object_set_array_member(attribute, "labels", array);
        json_array_add_object_element(attributes, attribute);
    }
    return TRUE;
}

static gboolean answer_space(Study *study, JsonObject *request, JsonObject *answer, GError **error)
{
    W2wSpace *space = study->space;
    const guint n = w2w_space_get_n_with_statistics(space);
    g_autofree float *coefficients = g_new(float, n);
    JsonArray *people = json_array_new();

    json_object_set_string_member(answer, "fingerprint", w2w_space_get_fingerprint(space));
    json_object_set_array_member(answer, "mean",
                                 doubles_to_json(w2w_space_get_coefficient_mean(space), n));
    json_object_set_array_member(answer, "std",
                                 doubles_to_json(w2w_space_get_coefficient_std(space), n));
    json_object_set_array_member(answer, "people", people);
    for (gint64 i = 0; i < w2w_space_get_n_people(space); i++) {
        if (!w2w_space_get_person(space, i, coefficients, error))
            return FALSE;
        json_array_add_array_element(people, floats_to_json(coefficients, n));
    }
    return add_attributes(space, answer, error);
}

static float *read_coefficients(JsonObject *request, guint *n)
{
    JsonArray *array = json_object_get_array_member(request, "coefficients");
    float *coefficients;

    *n = json_array_get_length(array);
    coefficients = g_new(float, MAX(*n, 1));
    for (guint i = 0; i < *n; i++)
        coefficients[i] = (float)json_array_get_double_element(array, i);
    return coefficients;
}

static gboolean answer_held(Study *study, JsonObject *request, JsonObject *answer, GError **error)
{
    const W2wRenderLora lora = {
        .path = json_object_get_string_member_with_default(request, "lora", NULL), .strength = 1.0};
    g_auto(Person) person = {0};
    g_autoptr(W2wHeldLoss) held = NULL;
    W2wInversionProblem problem;
    double loss;

    /* What is merged counts for the steps that are planned after it. */
    if (!w2w_pipeline_set_loras(study->pipeline, &lora, lora.path != NULL ? 1 : 0, error) ||
        !read_person(&person, study, request, error))
        return FALSE;
    problem = make_problem(study, &person, request);
    held = w2w_held_loss_new(study->pipeline, &problem, error);
    if (held == NULL)
        return FALSE;
    if (json_object_has_member(request, "coefficients")) {
        guint n;
        g_autofree float *coefficients = read_coefficients(request, &n);

        if (!w2w_held_loss_compute_of(held, coefficients, n, NULL, &loss, error))
            return FALSE;
    } else {
        const gsize n_weights = (gsize)w2w_space_get_n_weights(study->space);
        g_autofree float *none = g_new0(float, n_weights);

        if (!w2w_held_loss_compute(held, none, NULL, &loss, error))
            return FALSE;
    }
    json_object_set_double_member(answer, "held", loss);
    return TRUE;
}

/* Of all threads: what it costs, however busy the machine is. */
static double get_processor_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static gboolean answer_invert(Study *study, JsonObject *request, JsonObject *answer, GError **error)
{
    const char *text = json_object_get_string_member_with_default(request, "recipe", "");
    g_autoptr(W2wInversion) inversion = NULL;
    g_auto(Person) person = {0};
    g_autofree float *coefficients = NULL;
    W2wInversionRecipe recipe;
    W2wInversionProblem problem;
    double start;
    guint n;

    if (!study_recipe_parse(text, w2w_space_get_n_components(study->space), &recipe, error) ||
        !w2w_pipeline_set_loras(study->pipeline, NULL, 0, error) ||
        !read_person(&person, study, request, error))
        return FALSE;
    problem = make_problem(study, &person, request);
    start = get_processor_seconds();
    inversion = w2w_inversion_new(study->pipeline, &recipe, &problem, NULL, error);
    if (inversion == NULL || !w2w_inversion_run(inversion, NULL, error))
        return FALSE;
    json_object_set_double_member(answer, "processor_seconds", get_processor_seconds() - start);
    json_object_set_int_member(answer, "images", (gint64)recipe.n_steps * recipe.batch);
    n = w2w_inversion_get_n_coefficients(inversion);
    coefficients = g_new(float, n);
    w2w_inversion_get_result(inversion, coefficients);
    json_object_set_array_member(answer, "coefficients", floats_to_json(coefficients, n));
    return TRUE;
}

/* --- the loop --- */

static gboolean answer_request(Study *study, const char *line, JsonObject *answer, GError **error)
{
    const struct {
        const char *name;
        gboolean (*answer)(Study *, JsonObject *, JsonObject *, GError **);
    } requests[] = {{"space", answer_space}, {"held", answer_held}, {"invert", answer_invert}};
    g_autoptr(JsonObject) request = w2w_json_parse(line, strlen(line), "a request", error);
    const char *name;

    if (request == NULL)
        return FALSE;
    name = json_object_get_string_member_with_default(request, "do", "");
    for (guint i = 0; i < G_N_ELEMENTS(requests); i++)
        if (g_str_equal(requests[i].name, name))
            return requests[i].answer(study, request, answer, error);
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "Nothing of the name \"%s\" can be asked for.",
                name);
    return FALSE;
}

static void serve(Study *study)
{
    g_autofree char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, stdin) > 0) {
        g_autoptr(JsonObject) answer = json_object_new();
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;

        if (!answer_request(study, line, answer, &error)) {
            g_clear_pointer(&answer, json_object_unref);
            answer = json_object_new();
            json_object_set_string_member(answer, "error", error->message);
        }
        text = w2w_json_write_object(answer);
        puts(text);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const guint n_threads = argc > 1 ? (guint)g_ascii_strtoull(argv[1], NULL, 10) : 0;
    g_autoptr(GError) error = NULL;
    Study study = {0};
    const gboolean ok = study_open(&study, n_threads, &error);

    if (ok)
        serve(&study);
    else
        fprintf(stderr, "study_engine: %s\n", error->message);
    study_close(&study);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
