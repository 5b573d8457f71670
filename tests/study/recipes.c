/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The study of recipes: what each part of an inversion's recipe is worth.
 *
 *   recipes [--people N] [--seed S] [--threads N] "NAME | key=value …" …
 *
 * Every recipe begins as a preset (preset=paper, paper-ood or fast) and changes what is named.
 * Each of the first N people of data/faces is inverted from the first picture; the table's rows
 * have the mean held loss (held_loss.h), how many attributes the directions judge right, the
 * distance to the population, images with gradients and seconds per face. It is a program and no
 * script, since the command line shows presets only: recipes.py has the study itself.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/png.h"
#include "engine/memory.h"
#include "engine/training/held_loss.h"

/* --- attributes --- */

/* A direction with the threshold that tells the dataset's people apart best. */
typedef struct {
    const char *name;
    const double *direction;
    double threshold;
} Judge;

typedef struct {
    double score;
    gint8 label;
} Scored;

static int compare_scores(const void *a, const void *b)
{
    const double first = ((const Scored *)a)->score, second = ((const Scored *)b)->score;

    return (first > second) - (first < second);
}

static double score(const W2wSpace *space, const Judge *judge, const float *coefficients, guint n)
{
    const double *m = w2w_space_get_coefficient_mean(space);
    double sum = 0.0;

    for (guint j = 0; j < w2w_space_get_n_with_statistics(space); j++)
        sum += judge->direction[j] * ((j < n ? coefficients[j] : 0.0) - m[j]);
    return sum;
}

/* The threshold with the best mean of the shares of both labels that lie on their side of it. */
static gboolean make_judge(W2wSpace *space, const char *name, Judge *judge, GError **error)
{
    const gint64 n_people = w2w_space_get_n_people(space);
    const guint n = w2w_space_get_n_with_statistics(space);
    const gint8 *labels = w2w_space_get_labels(space, name, error);
    g_autofree Scored *people = g_new(Scored, (gsize)n_people);
    g_autofree float *coefficients = g_new(float, n);
    gint64 n_with = 0, n_with_below = 0;
    double best = -1.0;

    judge->name = name;
    judge->direction = labels != NULL ? w2w_space_get_direction(space, name, error) : NULL;
    if (judge->direction == NULL)
        return FALSE;
    for (gint64 i = 0; i < n_people; i++) {
        if (!w2w_space_get_person(space, i, coefficients, error))
            return FALSE;
        people[i] = (Scored){score(space, judge, coefficients, n), labels[i]};
        n_with += labels[i] > 0;
    }
    qsort(people, (gsize)n_people, sizeof *people, compare_scores);
    for (gint64 i = 0; i + 1 < n_people; i++) {
        double balanced;

        n_with_below += people[i].label > 0;
        balanced = (double)(n_with - n_with_below) / (double)n_with +
                   (double)(i + 1 - n_with_below) / (double)(n_people - n_with);
        if (balanced > best) {
            best = balanced;
            judge->threshold = (people[i].score + people[i + 1].score) / 2.0;
        }
    }
    return TRUE;
}

/* --- the faces --- */

typedef struct {
    float *mean, *std; /* of the posterior */
    gint8 *truth;      /* by judge: 1 or −1 */
} Face;

typedef struct {
    W2wPipeline *pipeline;
    W2wSpace *space;
    gint height, width; /* of the latents */
    gsize n;
    float *text;
    GArray *judges; /* Judge */
    GArray *faces;  /* Face */
} Study;

static gboolean open_face(Study *study, JsonObject *person, const char *folder, gint width,
                          gint height, GError **error)
{
    JsonObject *attributes = json_object_get_object_member(person, "attributes");
    JsonArray *pictures = json_object_get_array_member(person, "pictures");
    g_autofree char *path =
        g_build_filename(folder, json_array_get_string_element(pictures, 0), NULL);
    g_autoptr(W2wPicture) picture = w2w_png_read(path, error);
    Face face;

    if (picture == NULL)
        return FALSE;
    face.mean = g_new(float, study->n);
    face.std = g_new(float, study->n);
    face.truth = g_new(gint8, study->judges->len);
    for (guint a = 0; a < study->judges->len; a++)
        face.truth[a] = (gint8)json_object_get_int_member(
            attributes, g_array_index(study->judges, Judge, a).name);
    g_array_append_val(study->faces, face);
    return w2w_pipeline_encode_picture(study->pipeline, picture, width, height, face.mean, face.std,
                                       error);
}

static gboolean open_study(Study *study, guint n_people, guint n_threads, GError **error)
{
    const W2wDeviceOptions options = {.n_threads = n_threads};
    const char *directory = w2w_world_get_default_directory();
    W2wWorld *world = w2w_world_open(directory, error);
    const W2wWorldCard *card;
    g_autofree char *folder = g_build_filename(directory, "faces", NULL);
    g_autofree char *list = g_build_filename(folder, "people.json", NULL);
    g_autoptr(JsonObject) faces = w2w_json_load(list, error);
    W2wDevice *device = world != NULL ? w2w_device_new("cpu", &options, error) : NULL;
    W2wPipelineSizes sizes;
    JsonArray *people;

    if (device == NULL || faces == NULL)
        return FALSE;
    study->pipeline = w2w_pipeline_new(world, device, error);
    if (study->pipeline == NULL)
        return FALSE;
    card = w2w_world_get_card(world);
    study->space = w2w_world_get_space(world);
    sizes = w2w_pipeline_get_sizes(study->pipeline);
    study->height = card->height / sizes.downscale;
    study->width = card->width / sizes.downscale;
    study->n = (gsize)study->height * (gsize)study->width * (gsize)sizes.latent_channels;
    study->text = w2w_pipeline_encode_text(study->pipeline,
                                           (const char *const *)&card->instance_prompt, 1, error);
    if (study->text == NULL)
        return FALSE;
    study->judges = g_array_new(FALSE, TRUE, sizeof(Judge));
    for (const char *const *name = w2w_space_get_attributes(study->space); *name != NULL; name++) {
        Judge judge;

        if (!make_judge(study->space, *name, &judge, error))
            return FALSE;
        g_array_append_val(study->judges, judge);
    }
    study->faces = g_array_new(FALSE, TRUE, sizeof(Face));
    people = json_object_get_array_member(faces, "people");
    for (guint i = 0; i < MIN(json_array_get_length(people), n_people); i++)
        if (!open_face(study, json_array_get_object_element(people, i), folder, card->width,
                       card->height, error))
            return FALSE;
    return TRUE;
}

static void close_study(Study *study)
{
    for (guint i = 0; study->faces != NULL && i < study->faces->len; i++) {
        Face *face = &g_array_index(study->faces, Face, i);

        g_free(face->mean);
        g_free(face->std);
        g_free(face->truth);
    }
    g_clear_pointer(&study->faces, g_array_unref);
    g_clear_pointer(&study->judges, g_array_unref);
    w2w_aligned_free(study->text);
    w2w_pipeline_free(study->pipeline);
}

/* --- recipes --- */

static gboolean refuse(const char *what, GError **error)
{
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "A recipe has no such part: \"%s\".", what);
    return FALSE;
}

static gboolean read_preset(const Study *study, const char *name, W2wInversionRecipe *recipe)
{
    for (guint i = 0; w2w_inversion_preset_names[i] != NULL; i++)
        if (g_str_equal(w2w_inversion_preset_names[i], name)) {
            w2w_inversion_recipe_init(recipe, i, w2w_space_get_n_components(study->space));
            return TRUE;
        }
    return FALSE;
}

static gboolean set_part(const Study *study, const char *key, const char *text,
                         W2wInversionRecipe *recipe)
{
    const double number = g_ascii_strtod(text, NULL);
    const struct {
        const char *key;
        guint *whole;
        double *real;
    } parts[] = {
        {"components", &recipe->n_components, NULL},
        {"steps", &recipe->n_steps, NULL},
        {"batch", &recipe->batch, NULL},
        {"noises", &recipe->n_noises, NULL},
        {"candidates", &recipe->n_candidates, NULL},
        {"tries", &recipe->n_tries, NULL},
        {"nearest", &recipe->n_nearest, NULL},
        {"schedule", &recipe->lr_schedule, NULL},
        {"timesteps", &recipe->timesteps, NULL},
        {"means", (guint *)&recipe->posterior_means, NULL},
        {"antithetic", (guint *)&recipe->antithetic, NULL},
        {"lr", NULL, &recipe->lr},
        {"beta1", NULL, &recipe->beta1},
        {"beta2", NULL, &recipe->beta2},
        {"decay", NULL, &recipe->weight_decay},
        {"precondition", NULL, &recipe->preconditioning},
        {"population", NULL, &recipe->population_weight},
        {"averaged", NULL, &recipe->averaged},
    };

    if (g_str_equal(key, "preset"))
        return read_preset(study, text, recipe);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++)
        if (g_str_equal(parts[i].key, key)) {
            if (parts[i].whole != NULL)
                *parts[i].whole = (guint)number;
            else
                *parts[i].real = number;
            return TRUE;
        }
    return FALSE;
}

static gboolean read_recipe(const Study *study, const char *text, W2wInversionRecipe *recipe,
                            GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(text, " ", -1);

    read_preset(study, "paper", recipe);
    for (char **word = words; *word != NULL; word++) {
        g_auto(GStrv) pair = g_strsplit(*word, "=", 2);

        if (**word != '\0' &&
            (g_strv_length(pair) != 2 || !set_part(study, pair[0], pair[1], recipe)))
            return refuse(*word, error);
    }
    return TRUE;
}

/* --- the table --- */

typedef struct {
    double held, right, distance, seconds;
} Row;

static double measure_distance(const W2wSpace *space, const float *coefficients, guint n)
{
    const double *m = w2w_space_get_coefficient_mean(space);
    const double *s = w2w_space_get_coefficient_std(space);
    double sum = 0.0;

    for (guint j = 0; j < MIN(n, w2w_space_get_n_with_statistics(space)); j++)
        if (s[j] > 0.0)
            sum += pow((coefficients[j] - m[j]) / s[j], 2.0);
    return sqrt(sum);
}

static gboolean judge_result(const Study *study, const W2wInversionProblem *problem,
                             const Face *face, const float *coefficients, guint n, Row *row,
                             GError **error)
{
    g_autoptr(W2wHeldLoss) held = w2w_held_loss_new(study->pipeline, problem, error);
    double loss;

    if (held == NULL || !w2w_held_loss_compute_of(held, coefficients, n, NULL, &loss, error))
        return FALSE;
    row->held += loss / study->faces->len;
    row->distance += measure_distance(study->space, coefficients, n) / study->faces->len;
    for (guint a = 0; a < study->judges->len; a++) {
        const Judge *judge = &g_array_index(study->judges, Judge, a);
        const gboolean has = score(study->space, judge, coefficients, n) > judge->threshold;

        if (has == (face->truth[a] > 0))
            row->right += 1.0 / (study->faces->len * study->judges->len);
    }
    return TRUE;
}

/* Of all threads: what it costs, however busy the machine is. */
static double get_processor_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static gboolean try_recipe(const Study *study, const W2wInversionRecipe *recipe, guint64 seed,
                           Row *row, GError **error)
{
    *row = (Row){0};
    for (guint i = 0; i < study->faces->len; i++) {
        const Face *face = &g_array_index(study->faces, Face, i);
        const W2wInversionPicture picture = {.mean = face->mean, .std = face->std};
        const W2wInversionProblem problem = {.height = study->height,
                                             .width = study->width,
                                             .pictures = &picture,
                                             .n_pictures = 1,
                                             .text_embedding = study->text,
                                             .seed = seed + i};
        const double start = get_processor_seconds();
        g_autoptr(W2wInversion) inversion =
            w2w_inversion_new(study->pipeline, recipe, &problem, NULL, error);
        g_autofree float *coefficients = NULL;
        guint n;

        if (inversion == NULL)
            return FALSE;
        if (!w2w_inversion_run(inversion, NULL, error))
            return FALSE;
        row->seconds += (get_processor_seconds() - start) / study->faces->len;
        n = w2w_inversion_get_n_coefficients(inversion);
        coefficients = g_new(float, n);
        w2w_inversion_get_result(inversion, coefficients);
        if (!judge_result(study, &problem, face, coefficients, n, row, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new("\"NAME | key=value …\" …");
    gint n_people = 6, seed = 0, n_threads = 0;
    const GOptionEntry entries[] = {
        {"people", 0, 0, G_OPTION_ARG_INT, &n_people, "How many faces", "N"},
        {"seed", 0, 0, G_OPTION_ARG_INT, &seed, "Of the first face; one more for each", "N"},
        {"threads", 0, 0, G_OPTION_ARG_INT, &n_threads, "0: all", "N"},
        G_OPTION_ENTRY_NULL};
    Study study = {0};
    gboolean ok;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, error))
        return FALSE;
    ok = open_study(&study, (guint)n_people, (guint)n_threads, error);
    for (int i = 1; ok && i < argc; i++) {
        g_auto(GStrv) parts = g_strsplit(argv[i], "|", 2);
        W2wInversionRecipe recipe;
        Row row;

        ok = read_recipe(&study, parts[0] != NULL && parts[1] != NULL ? parts[1] : "", &recipe,
                         error) &&
             try_recipe(&study, &recipe, (guint64)seed, &row, error);
        if (ok) {
            printf("| %s | %.3f | %.3f | %.1f | %u | %.2f |\n", g_strstrip(parts[0]),
                   1e3 * row.held, row.right, row.distance, recipe.n_steps * recipe.batch,
                   row.seconds);
            fflush(stdout);
        }
    }
    close_study(&study);
    return ok;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    if (run(argc, argv, &error))
        return EXIT_SUCCESS;
    fprintf(stderr, "recipes: %s\n", error->message);
    return EXIT_FAILURE;
}
