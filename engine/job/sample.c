/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sample: new identities from the population's statistics, and their pictures.
 * Picture j of several uses seed + j for identity and noise alike, so that any one of them can be
 * made again alone.
 */
#include "engine/error.h"
#include "engine/job/job.h"
#include "engine/job/part_progress.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

static const W2wParameter parameters[] = {
    {
        .name = "count",
        .short_name = 'n',
        .type = W2W_PARAMETER_INT,
        .minimum = 1,
        .maximum = 64,
        .number = 1,
        .label = N_("_Number of people"),
        .blurb = N_("How many people to sample, each with a picture."),
    },
    {
        .name = "factor",
        .type = W2W_PARAMETER_DOUBLE,
        .maximum = 3.0,
        .number = 1.0,
        .label = N_("_Factor"),
        .blurb = N_("How far from the average: 0 is the average person, 1 varies as the people do, "
                    "more exaggerates."),
    },
    {
        .name = "seed",
        .type = W2W_PARAMETER_SEED,
        .minimum = -1,
        .maximum = W2W_SEED_MAX,
        .number = -1,
        .label = N_("See_d"),
        .blurb =
            N_("Number that decides who it is: the next ones get seed + 1, seed + 2, and so on; "
               "−1: random."),
    },
    W2W_NO_PICTURE_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    W2wSpace *space = w2w_world_get_space(world);

    if (!w2w_values_check_required(values, error))
        return FALSE;
    if (space == NULL) {
        g_set_error(
            error, W2W_ERROR, W2W_ERROR_USAGE,
            "Identities cannot be sampled from a model alone: choose a world, or add a space.");
        return FALSE;
    }
    if (w2w_space_get_n_with_statistics(space) == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "Identities cannot be sampled: the space has no people "
                    "(its file proj_1000pc.pt is missing).");
        return FALSE;
    }
    if (w2w_values_get_int(values, "seed") >
        W2W_SEED_MAX - (w2w_values_get_int(values, "count") - 1)) {
        g_set_error(
            error, W2W_ERROR, W2W_ERROR_USAGE,
            "The seed is too large for that many people: each has the seed before it plus 1.");
        return FALSE;
    }
    return w2w_rendering_check(world, values, error);
}

static W2wIdentity *sample_identity(W2wPipeline *pipeline, double factor, guint64 seed,
                                    GError **error)
{
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    g_autoptr(W2wIdentity) identity =
        w2w_identity_new(w2w_space_get_n_with_statistics(space), error);

    if (identity == NULL || !w2w_space_sample(space, factor, seed, identity->coefficients, error))
        return NULL;
    return g_steal_pointer(&identity);
}

static W2wJobResult *sample_one(W2wPipeline *pipeline, const W2wValues *values, guint64 seed,
                                const W2wProgress *progress, GError **error)
{
    const double factor = w2w_values_get_double(values, "factor");
    g_autoptr(W2wIdentity) identity = sample_identity(pipeline, factor, seed, error);
    g_autoptr(JsonObject) recipe = NULL;
    g_autofree char *name = g_strdup_printf("Person %" G_GUINT64_FORMAT, seed);

    if (identity == NULL)
        return NULL;
    recipe = w2w_recipe_new(w2w_sample_job.name, pipeline, seed, NULL);
    json_object_set_string_member(recipe, "name", name);
    json_object_set_double_member(recipe, "factor", factor);
    return w2w_rendering_make_result(pipeline, values, &w2w_sample_job, identity, recipe, seed,
                                     progress, error);
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    W2wProgressPart part = {.whole = progress};
    const W2wProgress part_progress = w2w_progress_part(&part);
    guint64 first_seed;

    if (!check(w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    first_seed = w2w_rendering_get_seed(values, NULL);
    part.count = (guint)w2w_values_get_int(values, "count");
    for (; part.index < part.count; part.index++) {
        W2wJobResult *result =
            sample_one(pipeline, values, first_seed + part.index, &part_progress, error);

        if (result == NULL)
            return FALSE;
        on_result(result, user_data);
    }
    return TRUE;
}

const W2wJob w2w_sample_job = {
    .name = "sample",
    .label = N_("_Sample Identities…"),
    .blurb = N_("Make new people, each with an identity and a picture."),
    .help = N_("Draws identities at random from how the people of the world's space vary, and "
               "renders a picture of each. Every result carries its identity, so that it can be "
               "edited and rendered again."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .check = check,
    .run = run,
};
