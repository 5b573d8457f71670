/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * direction: a direction of one's own from two groups of identities (engine/w2w/direction.h has the
 * mathematics), kept for all worlds with this space, or one of them taken away again.
 */
#include "engine/w2w/direction.h"

#include <math.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/memory.h"

/* Directions that the report names as going along with the new one. */
#define N_RELATED 5

static const W2wParameter parameters[] = {
    {
        .name = "name",
        .type = W2W_PARAMETER_STRING,
        .label = N_("_Name"),
        .blurb = N_("What the new direction is called."),
    },
    {
        .name = "with",
        .type = W2W_PARAMETER_IDENTITIES,
        .minimum = 1.0,
        .maximum = 1.0,
        .label = N_("_With"),
        .blurb = N_("An identity that shows it; the more of them, the better."),
    },
    {
        .name = "without",
        .type = W2W_PARAMETER_IDENTITIES,
        .minimum = 1.0,
        .maximum = 1.0,
        .label = N_("With_out"),
        .blurb = N_("An identity that does not show it; best as many as there are with it, and "
                    "like them in all else."),
    },
    {
        .name = "remove",
        .type = W2W_PARAMETER_STRING,
        .label = N_("_Remove"),
        .blurb = N_("Takes the direction of this name away for good, instead of making one."),
    },
};

typedef struct {
    W2wSpace *space;
    const char *name, *remove;
    GPtrArray *with, *without; /* W2wIdentity */
    double *direction;
} Making;

static void making_clear(Making *making)
{
    g_clear_pointer(&making->with, g_ptr_array_unref);
    g_clear_pointer(&making->without, g_ptr_array_unref);
    w2w_aligned_free(making->direction);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Making, making_clear)

static gboolean fail(GError **error, const char *message)
{
    g_set_error_literal(error, W2W_ERROR, W2W_ERROR_USAGE, message);
    return FALSE;
}

static gboolean get_group(W2wWorld *world, const W2wValues *values, const char *name,
                          GPtrArray **group, GError **error)
{
    g_autoptr(GArray) weights = NULL;

    return w2w_rendering_get_identities(world, values, name, group, &weights, error);
}

static gboolean making_init(Making *making, W2wWorld *world, const W2wValues *values,
                            GError **error)
{
    if (!w2w_values_check_required(values, error))
        return FALSE;
    making->space = w2w_world_get_space(world);
    making->name = w2w_values_get_string(values, "name");
    making->remove = w2w_values_get_string(values, "remove");
    if (making->space == NULL)
        return fail(error, "A model alone has no directions: choose a world, or add a space.");
    if (*making->remove != 0) {
        if (*making->name != 0 || w2w_values_get_n_items(values, "with") > 0 ||
            w2w_values_get_n_items(values, "without") > 0)
            return fail(error, "A direction is either made or removed; both at once were asked "
                               "for.");
        return TRUE;
    }
    if (*making->name == 0)
        return fail(error, "The new direction needs a name.");
    if (!w2w_space_check_new_direction(making->space, making->name, error) ||
        !get_group(world, values, "with", &making->with, error) ||
        !get_group(world, values, "without", &making->without, error))
        return FALSE;
    making->direction = w2w_direction_from_groups(
        making->space, (W2wIdentity *const *)making->with->pdata, making->with->len,
        (W2wIdentity *const *)making->without->pdata, making->without->len, error);
    return making->direction != NULL;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Making) making = {0};

    return making_init(&making, world, values, error);
}

typedef struct {
    const char *name;
    double correlation;
} Related;

static gint compare_related(gconstpointer first, gconstpointer second)
{
    const double a = fabs(((const Related *)first)->correlation);
    const double b = fabs(((const Related *)second)->correlation);

    return (a < b) - (a > b);
}

/* Σ s² a b: how two directions' scores vary together over the population. */
static double covariance(const W2wSpace *space, const double *a, const double *b)
{
    const double *std = w2w_space_get_coefficient_std(space);
    double sum = 0.0;

    for (guint j = 0; j < w2w_space_get_n_with_statistics(space); j++)
        sum += std[j] * std[j] * a[j] * b[j];
    return sum;
}

/* What else moves: the directions whose scores go along with the new one's most. */
static JsonArray *list_related(const Making *making)
{
    const double own = covariance(making->space, making->direction, making->direction);
    const char *const *names = w2w_space_get_direction_names(making->space);
    g_autoptr(GArray) related = g_array_new(FALSE, FALSE, sizeof(Related));
    JsonArray *list = json_array_new();

    for (guint i = 0; names[i] != NULL; i++) {
        const double *other = w2w_space_get_direction(making->space, names[i], NULL);
        const double others = other != NULL ? covariance(making->space, other, other) : 0.0;
        Related entry = {.name = names[i]};

        if (!(others > 0.0 && own > 0.0) || g_str_equal(names[i], making->name))
            continue;
        entry.correlation =
            covariance(making->space, making->direction, other) / sqrt(others * own);
        g_array_append_val(related, entry);
    }
    g_array_sort(related, compare_related);
    for (guint i = 0; i < MIN(related->len, N_RELATED); i++) {
        const Related *entry = &g_array_index(related, Related, i);
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "direction", entry->name);
        json_object_set_double_member(row, "correlation",
                                      round(entry->correlation * 100.0) / 100.0);
        json_array_add_object_element(list, row);
    }
    return list;
}

static char *make_report(const Making *making, const char *path, const W2wScoreRange *range)
{
    g_autoptr(JsonObject) report = json_object_new();
    g_autofree char *shown = g_filename_display_name(path);

    json_object_set_string_member(report, "direction", making->name);
    json_object_set_string_member(report, "file", shown);
    json_object_set_int_member(report, "with", making->with->len);
    json_object_set_int_member(report, "without", making->without->len);
    json_object_set_double_member(report, "half_range", range->half_range);
    json_object_set_array_member(report, "goes_along_with", list_related(making));
    return w2w_json_write_object(report);
}

static char *make_removal_report(const char *name)
{
    g_autoptr(JsonObject) report = json_object_new();

    json_object_set_string_member(report, "removed", name);
    return w2w_json_write_object(report);
}

/* How it was made; small: the groups' names, not their histories. */
static char *make_recipe(const Making *making, W2wPipeline *pipeline)
{
    g_autoptr(JsonObject) recipe = w2w_recipe_new(w2w_direction_job.name, pipeline, 0, NULL);
    const struct {
        const char *name;
        const GPtrArray *identities;
    } groups[] = {{"with", making->with}, {"without", making->without}};

    json_object_remove_member(recipe, "seed");
    json_object_set_string_member(recipe, "name", making->name);
    for (guint g = 0; g < G_N_ELEMENTS(groups); g++) {
        JsonArray *names = json_array_new();

        for (guint i = 0; i < groups[g].identities->len; i++) {
            g_autoptr(JsonObject) of = w2w_recipe_of_identity(groups[g].identities->pdata[i]);
            g_autofree char *name = w2w_recipe_get_name(of);

            json_array_add_string_element(names, name);
        }
        json_object_set_array_member(recipe, groups[g].name, names);
    }
    return w2w_json_write_object(recipe);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_auto(Making) making = {0};
    g_autoptr(W2wJobResult) result = g_new0(W2wJobResult, 1);
    g_autofree char *path = NULL;
    W2wScoreRange range;

    if (!making_init(&making, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    if (*making.remove != 0) {
        if (!w2w_space_remove_direction(making.space, making.remove, error))
            return FALSE;
        result->name = g_strdup(making.remove);
        result->report = make_removal_report(making.remove);
    } else {
        result->name = g_strdup(making.name);
        result->recipe = make_recipe(&making, pipeline);
        path = w2w_space_add_direction(making.space, making.name, making.direction, result->recipe,
                                       error);
        if (path == NULL)
            return FALSE;
        if (!w2w_space_get_score_range(making.space, making.name, &range, error)) {
            w2w_space_remove_direction(making.space, making.name, NULL); /* failed is not kept */
            return FALSE;
        }
        result->report = make_report(&making, path, &range);
    }
    on_result(g_steal_pointer(&result), user_data);
    return TRUE;
}

const W2wJob w2w_direction_job = {
    .name = "direction",
    .label = N_("Make a _Direction…"),
    .blurb = N_("Make a direction of your own from two groups of identities."),
    .help = N_("Compares identities that show something with others that do not, and keeps the "
               "difference as a direction, which edits, strips and info know by its name from then "
               "on, in every world with this space. It moves whatever else tells the groups apart: "
               "the report says which directions go along."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .no_picture = TRUE,
    .check = check,
    .run = run,
};
