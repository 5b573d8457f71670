/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pick: a person of the dataset as an identity, by row, by name, or the one nearest to an
 * identity; and who is near, by the population's own measure (engine/w2w/people.h).
 */
#include <math.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/memory.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/people.h"

static const W2wParameter parameters[] = {
    {
        .name = "row",
        .type = W2W_PARAMETER_INT,
        .minimum = -1,
        .maximum = G_MAXINT32,
        .number = -1,
        .label = N_("R_ow"),
        .blurb = N_("Number of the person in the dataset, from 0."),
    },
    {
        .name = "name",
        .type = W2W_PARAMETER_STRING,
        .label = N_("_Name"),
        .blurb = N_("Name of the person, or of its file, as the dataset's labels have it."),
    },
    {
        .name = "nearest",
        .type = W2W_PARAMETER_IDENTITY,
        .label = N_("Nearest to identit_y"),
        .blurb = N_("The person who is nearest to this identity."),
    },
    {
        .name = "count",
        .type = W2W_PARAMETER_INT,
        .minimum = 0,
        .maximum = 1000,
        .number = 5,
        .label = N_("Neig_hbours"),
        .blurb = N_("How many neighbours are listed, with their distances in standard deviations."),
    },
    {
        .name = "dataset",
        .type = W2W_PARAMETER_PATH,
        .label = N_("Data_set"),
        .blurb = N_("Takes the row or name from this file of weights (all_weights.pt), or the "
                    "folder that it lies in, and brings it into the space: all components, and "
                    "people who are not in the space."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_NO_PICTURE_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

typedef struct {
    W2wSpace *space;
    W2wIdentity *target; /* --nearest, or NULL */
    W2wDataset *dataset; /* or NULL */
    gint64 row;          /* of space or dataset */
    GArray *neighbours;  /* W2wNeighbour; without the picked person itself */
    W2wIdentity *identity;
} Pick;

static void pick_clear(Pick *pick)
{
    g_clear_pointer(&pick->target, w2w_identity_free);
    g_clear_pointer(&pick->dataset, w2w_dataset_free);
    g_clear_pointer(&pick->neighbours, g_array_unref);
    g_clear_pointer(&pick->identity, w2w_identity_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pick, pick_clear)

static gboolean find_row(Pick *pick, const W2wValues *values, GError **error)
{
    const char *name = w2w_values_get_string(values, "name");

    pick->row = w2w_values_get_int(values, "row");
    if (*name != 0)
        pick->row = pick->dataset != NULL ? w2w_dataset_find(pick->dataset, name, error)
                                          : w2w_space_find_person(pick->space, name, error);
    return *name == 0 || pick->row >= 0;
}

/* The identity's coefficients: the row's, or those of the dataset's weights. */
static gboolean read_identity(Pick *pick, GError **error)
{
    const guint n = pick->dataset != NULL ? w2w_space_get_n_components(pick->space)
                                          : w2w_space_get_n_with_statistics(pick->space);
    W2W_AUTO_ALIGNED float *theta = NULL;

    pick->identity = w2w_identity_new(n, error);
    if (pick->identity == NULL)
        return FALSE;
    if (pick->dataset == NULL)
        return w2w_space_get_person(pick->space, pick->row, pick->identity->coefficients, error);
    if (pick->dataset->weights->shape[1] != w2w_space_get_n_weights(pick->space)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "%s has rows of %" G_GINT64_FORMAT
                    " weights, the space %s has %" G_GINT64_FORMAT
                    ": they are of different models.",
                    pick->dataset->path, pick->dataset->weights->shape[1],
                    w2w_space_get_directory(pick->space), w2w_space_get_n_weights(pick->space));
        return FALSE;
    }
    theta = w2w_aligned_alloc((gsize)pick->dataset->weights->shape[1], sizeof *theta,
                              "a row of weights", error);
    return theta != NULL && w2w_dataset_get_row(pick->dataset, pick->row, theta, error) &&
           w2w_space_project(pick->space, theta, pick->identity->coefficients, error);
}

/* Around the target, or the picked person, who is not their own neighbour. */
static gboolean find_neighbours(Pick *pick, guint n_wanted, GError **error)
{
    const W2wIdentity *centre = pick->target != NULL ? pick->target : pick->identity;
    const gboolean is_own = pick->target == NULL && pick->dataset == NULL;

    if (w2w_space_get_n_people(pick->space) == 0 && pick->target == NULL)
        return TRUE; /* a row of a dataset, in a space without people */
    pick->neighbours = w2w_space_find_nearest(pick->space, centre->coefficients,
                                              centre->n_coefficients, n_wanted + 1, error);
    if (pick->neighbours == NULL)
        return FALSE;
    for (guint i = 0; is_own && i < pick->neighbours->len; i++)
        if (g_array_index(pick->neighbours, W2wNeighbour, i).row == pick->row) {
            g_array_remove_index(pick->neighbours, i);
            break;
        }
    return TRUE;
}

static gboolean choose(Pick *pick, const W2wValues *values, GError **error)
{
    const guint n_wanted = (guint)w2w_values_get_int(values, "count");

    if (pick->target != NULL) {
        if (!find_neighbours(pick, n_wanted, error))
            return FALSE;
        pick->row = g_array_index(pick->neighbours, W2wNeighbour, 0).row;
        return read_identity(pick, error);
    }
    return find_row(pick, values, error) && read_identity(pick, error) &&
           find_neighbours(pick, n_wanted, error);
}

static gboolean pick_init(Pick *pick, W2wWorld *world, const W2wValues *values, GError **error)
{
    const char *dataset = w2w_values_get_string(values, "dataset");
    const gboolean by_nearest = w2w_values_get_bytes(values, "nearest") != NULL;
    const guint n_ways = (w2w_values_get_int(values, "row") >= 0) +
                         (*w2w_values_get_string(values, "name") != 0) + by_nearest;

    if (!w2w_values_check_required(values, error))
        return FALSE;
    pick->space = w2w_world_get_space(world);
    if (pick->space == NULL || n_ways != 1 || (by_nearest && *dataset != 0)) {
        g_set_error_literal(
            error, W2W_ERROR, W2W_ERROR_USAGE,
            pick->space == NULL
                ? "A model alone has no people: choose a world, or add a space."
                : "A person is picked in one of three ways: by row, by name (both also from a "
                  "dataset), or as the nearest to an identity.");
        return FALSE;
    }
    if (by_nearest) {
        pick->target = w2w_rendering_get_identity(world, values, "nearest", error);
        if (pick->target == NULL)
            return FALSE;
    }
    if (*dataset != 0) {
        pick->dataset = w2w_dataset_open(dataset, error);
        if (pick->dataset == NULL)
            return FALSE;
    }
    return choose(pick, values, error);
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Pick) pick = {0};

    return pick_init(&pick, world, values, error) && w2w_rendering_check(world, values, error);
}

/* Who a row of the space is: row, name, file, and the attributes that they have. */
static void add_person(const W2wSpace *space, gint64 row, JsonObject *object)
{
    const char *const *attributes = w2w_space_get_attributes(space);
    const char *name = w2w_space_get_person_name(space, row);
    const char *file = w2w_space_get_person_file(space, row);
    JsonArray *has = json_array_new();

    json_object_set_int_member(object, "row", row);
    if (name != NULL)
        json_object_set_string_member(object, "name", name);
    if (file != NULL)
        json_object_set_string_member(object, "file", file);
    for (guint i = 0; attributes[i] != NULL; i++) {
        const gint8 *labels = w2w_space_get_labels(space, attributes[i], NULL);

        if (labels != NULL && labels[row] > 0)
            json_array_add_string_element(has, attributes[i]);
    }
    json_object_set_array_member(object, "attributes", has);
}

static char *make_report(const Pick *pick, guint n_wanted)
{
    g_autoptr(JsonObject) report = json_object_new();
    JsonObject *person = json_object_new();
    JsonArray *neighbours = json_array_new();

    if (pick->dataset == NULL) {
        add_person(pick->space, pick->row, person);
    } else {
        const char *name = w2w_people_table_get_name(pick->dataset->people, pick->row);
        g_autofree char *shown = g_filename_display_name(pick->dataset->path);

        json_object_set_string_member(person, "dataset", shown);
        json_object_set_int_member(person, "row", pick->row);
        if (name != NULL)
            json_object_set_string_member(person, "name", name);
    }
    json_object_set_object_member(report, "person", person);
    for (guint i = 0; pick->neighbours != NULL && i < MIN(pick->neighbours->len, n_wanted); i++) {
        const W2wNeighbour *neighbour = &g_array_index(pick->neighbours, W2wNeighbour, i);
        JsonObject *row = json_object_new();

        json_object_set_double_member(row, "distance", round(neighbour->distance * 1e4) / 1e4);
        add_person(pick->space, neighbour->row, row);
        json_array_add_object_element(neighbours, row);
    }
    json_object_set_array_member(report, "neighbours", neighbours);
    return w2w_json_write_object(report);
}

static char *name_person(const Pick *pick)
{
    const char *name = pick->dataset != NULL
                           ? w2w_people_table_get_name(pick->dataset->people, pick->row)
                           : w2w_space_get_person_name(pick->space, pick->row);

    return name != NULL ? g_strdup_printf("Person %s of the dataset", name)
                        : g_strdup_printf("Row %" G_GINT64_FORMAT " of the dataset", pick->row);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_auto(Pick) pick = {0};
    g_autoptr(JsonObject) recipe = NULL;
    g_autoptr(JsonObject) target = NULL;
    g_autofree char *name = NULL;
    W2wJobResult *result;
    guint64 seed;

    if (!pick_init(&pick, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    target = w2w_recipe_of_identity(pick.target);
    seed = w2w_rendering_get_seed(values, target);
    recipe = w2w_recipe_new(w2w_pick_job.name, pipeline, seed, NULL);
    name = name_person(&pick);
    json_object_set_string_member(recipe, "name", name);
    json_object_set_int_member(recipe, "row", pick.row);
    if (pick.dataset != NULL) {
        g_autofree char *basename = g_path_get_basename(pick.dataset->path);
        g_autofree char *shown = g_filename_display_name(basename);

        json_object_set_string_member(recipe, "dataset", shown);
    }
    result = w2w_rendering_make_result(pipeline, values, &w2w_pick_job, pick.identity, recipe, seed,
                                       progress, error);
    if (result == NULL)
        return FALSE;
    result->report = make_report(&pick, (guint)w2w_values_get_int(values, "count"));
    on_result(result, user_data);
    return TRUE;
}

const W2wJob w2w_pick_job = {
    .name = "pick",
    .label = N_("_Pick a Person…"),
    .blurb = N_("Take a person of the dataset as an identity, and see who is near."),
    .help = N_("Takes one of the people that the space was made of: by row, by name, or the one "
               "nearest to an identity, with a picture. The report lists the nearest neighbours; "
               "distances count every component in its own standard deviation."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .check = check,
    .run = run,
};
