/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From an inversion and its identity to a report. */
#include "engine/job/invert_report.h"

#include <math.h>

#include "engine/w2w/edit.h"
#include "engine/w2w/people.h"

#define N_NEAREST    5
#define N_CURVE      16 /* points of the curve */
#define LOSS_DIGITS  1e6
#define SCORE_DIGITS 1e2

static double round_to(double value, double digits)
{
    return round(value * digits) / digits;
}

static const char *const lr_schedules[] = {"constant", "linear", "cosine"};
static const char *const timestep_samplings[] = {"uniform", "stratified", "spread"};

JsonObject *w2w_invert_describe_recipe(const W2wInversionRecipe *recipe, W2wInversionPreset preset,
                                       guint n_components)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "preset", w2w_inversion_preset_names[preset]);
    json_object_set_int_member(object, "components", n_components);
    json_object_set_int_member(object, "steps", recipe->n_steps);
    json_object_set_int_member(object, "batch", recipe->batch);
    json_object_set_double_member(object, "lr", recipe->lr);
    json_object_set_string_member(object, "lr_schedule", lr_schedules[recipe->lr_schedule]);
    json_object_set_double_member(object, "weight_decay", recipe->weight_decay);
    json_object_set_string_member(object, "timesteps", timestep_samplings[recipe->timesteps]);
    json_object_set_boolean_member(object, "antithetic", recipe->antithetic);
    json_object_set_string_member(object, "latents", recipe->posterior_means ? "means" : "samples");
    json_object_set_double_member(object, "preconditioning", recipe->preconditioning);
    json_object_set_double_member(object, "population_weight", recipe->population_weight);
    json_object_set_double_member(object, "averaged", recipe->averaged);
    return object;
}

/* The running mean, at steps that are spread over the run; the last one is the last step. */
static void report_losses(const W2wInversion *inversion, JsonObject *report)
{
    const guint n = w2w_inversion_get_n_done(inversion);
    const double *running = w2w_inversion_get_running_losses(inversion);
    const guint n_points = MIN(n, N_CURVE);
    JsonArray *curve = json_array_new();

    json_object_set_int_member(report, "steps", n);
    if (n > 0 && isfinite(running[n - 1]))
        json_object_set_double_member(report, "loss", round_to(running[n - 1], LOSS_DIGITS));
    for (guint i = 1; i <= n_points; i++) {
        const guint step = (guint)((guint64)i * n / n_points);
        JsonObject *point;

        if (!isfinite(running[step - 1])) /* not every band has been seen */
            continue;
        point = json_object_new();
        json_object_set_int_member(point, "step", step);
        json_object_set_double_member(point, "loss", round_to(running[step - 1], LOSS_DIGITS));
        json_array_add_object_element(curve, point);
    }
    if (json_array_get_length(curve) > 0)
        json_object_set_array_member(report, "loss_curve", curve);
    else
        json_array_unref(curve);
}

char *w2w_invert_describe_distance(gint64 n_nearer, gint64 n_people)
{
    if (n_nearer >= n_people)
        return g_strdup_printf("further out than all %" G_GINT64_FORMAT " people of the space",
                               n_people);
    if (n_nearer == 0)
        return g_strdup_printf(
            "nearer to the middle than all %" G_GINT64_FORMAT " people of the space", n_people);
    return g_strdup_printf("%" G_GINT64_FORMAT " of the space's %" G_GINT64_FORMAT
                           " people are nearer to the middle, %" G_GINT64_FORMAT " are further out",
                           n_nearer, n_people, n_people - n_nearer);
}

/* From the middle of the population, in its standard deviations. */
static gboolean report_distance(W2wSpace *space, const W2wIdentity *identity, JsonObject *report,
                                GError **error)
{
    const gint64 n_people = w2w_space_get_n_people(space);
    JsonObject *object = json_object_new();
    g_autofree char *words = NULL;
    double distance, within;

    json_object_set_object_member(report, "distance", object);
    if (!w2w_space_measure_distance(space, identity->coefficients, identity->n_coefficients,
                                    &distance, &within, error))
        return FALSE;
    words = w2w_invert_describe_distance((gint64)llround(within * (double)n_people), n_people);
    json_object_set_string_member(object, "place", words);
    json_object_set_double_member(object, "from_middle", round_to(distance, SCORE_DIGITS));
    json_object_set_double_member(
        object, "usual_from_middle",
        round_to(sqrt(w2w_space_get_n_with_statistics(space)), SCORE_DIGITS));
    json_object_set_double_member(object, "percent_of_people_nearer",
                                  round_to(100.0 * within, SCORE_DIGITS));
    return TRUE;
}

static gboolean report_nearest(W2wSpace *space, const W2wIdentity *identity, JsonObject *report,
                               GError **error)
{
    g_autoptr(GArray) nearest = w2w_space_find_nearest(space, identity->coefficients,
                                                       identity->n_coefficients, N_NEAREST, error);
    JsonArray *people;

    if (nearest == NULL)
        return FALSE;
    people = json_array_new();
    for (guint i = 0; i < nearest->len; i++) {
        const W2wNeighbour *neighbour = &g_array_index(nearest, W2wNeighbour, i);
        const char *name = w2w_space_get_person_name(space, neighbour->row);
        JsonObject *person = json_object_new();

        json_object_set_int_member(person, "row", neighbour->row);
        if (name != NULL)
            json_object_set_string_member(person, "name", name);
        json_object_set_double_member(person, "distance",
                                      round_to(neighbour->distance, SCORE_DIGITS));
        json_array_add_object_element(people, person);
    }
    json_object_set_array_member(report, "nearest_people", people);
    return TRUE;
}

static gboolean report_attributes(W2wSpace *space, const W2wIdentity *identity, JsonObject *report,
                                  GError **error)
{
    const char *const *attributes = w2w_space_get_attributes(space);
    g_autofree W2wAttributeShift *shifts =
        w2w_edits_get_shifts(space, identity->coefficients, identity->n_coefficients,
                             identity->coefficients, identity->n_coefficients, error);
    JsonArray *array;

    if (shifts == NULL)
        return FALSE;
    array = json_array_new();
    for (guint i = 0; attributes[i] != NULL; i++) {
        JsonObject *attribute = json_object_new();

        json_object_set_string_member(attribute, "name", attributes[i]);
        json_object_set_double_member(attribute, "score", round_to(shifts[i].after, SCORE_DIGITS));
        json_object_set_boolean_member(attribute, "outside_all_people", shifts[i].outside);
        json_array_add_object_element(array, attribute);
    }
    json_object_set_array_member(report, "attributes", array);
    return TRUE;
}

gboolean w2w_invert_report(const W2wInversion *inversion, W2wSpace *space,
                           const W2wIdentity *identity, JsonObject *report, GError **error)
{
    report_losses(inversion, report);
    if (w2w_space_get_n_people(space) == 0)
        return TRUE;
    return report_distance(space, identity, report, error) &&
           report_nearest(space, identity, report, error) &&
           report_attributes(space, identity, report, error);
}
