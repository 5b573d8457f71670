/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mix: several identities into one, c = Σ w_i c_i / Σ w_i. The weights are divided by their sum
 * (an affine combination): 0.3 and 0.7 are as good as 3 and 7, an identity mixed with itself is
 * itself, and a weight below 0 leads away from somebody. Identities of fewer coefficients have
 * zeros behind them, which is what they mean.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/job/job.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"

/* A smaller sum, beside the largest weight, leaves nothing but rounding. */
#define MIN_SUM 1e-6

static const W2wParameter parameters[] = {
    {
        .name = "identity",
        .type = W2W_PARAMETER_IDENTITIES,
        .flags = W2W_PARAMETER_REQUIRED,
        .minimum = -100.0,
        .maximum = 100.0,
        .label = N_("Identit_ies"),
        .blurb = N_("One of the identities and its weight; the weights are divided by their sum, "
                    "and one below 0 leads away from the identity."),
    },
    W2W_PICTURE_SEED_PARAMETER,
    W2W_NO_PICTURE_PARAMETER,
    W2W_RENDERING_PARAMETERS,
};

typedef struct {
    GPtrArray *parents; /* W2wIdentity */
    GArray *weights;    /* double; add up to 1 */
} Mix;

static void mix_clear(Mix *mix)
{
    g_clear_pointer(&mix->parents, g_ptr_array_unref);
    g_clear_pointer(&mix->weights, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Mix, mix_clear)

static gboolean mix_init(Mix *mix, W2wWorld *world, const W2wValues *values, GError **error)
{
    double sum = 0.0, largest = 0.0;

    if (!w2w_values_check_required(values, error) ||
        !w2w_rendering_get_identities(world, values, "identity", &mix->parents, &mix->weights,
                                      error))
        return FALSE;
    if (mix->parents->len < 2) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "A mixture needs two identities or more; one was given.");
        return FALSE;
    }
    for (guint i = 0; i < mix->weights->len; i++) {
        sum += g_array_index(mix->weights, double, i);
        largest = MAX(largest, fabs(g_array_index(mix->weights, double, i)));
    }
    if (!(fabs(sum) > MIN_SUM * largest)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "The weights add up to 0, so they cannot be divided by their sum.");
        return FALSE;
    }
    for (guint i = 0; i < mix->weights->len; i++)
        g_array_index(mix->weights, double, i) /= sum;
    return TRUE;
}

static gboolean check(W2wWorld *world, const W2wValues *values, GError **error)
{
    g_auto(Mix) mix = {0};

    return mix_init(&mix, world, values, error) && w2w_rendering_check(world, values, error);
}

static W2wIdentity *mix_identities(const Mix *mix, GError **error)
{
    g_autoptr(W2wIdentity) mixed = NULL;
    guint n = 0;

    for (guint i = 0; i < mix->parents->len; i++)
        n = MAX(n, ((const W2wIdentity *)mix->parents->pdata[i])->n_coefficients);
    mixed = w2w_identity_new(n, error);
    for (guint j = 0; mixed != NULL && j < n; j++) {
        double sum = 0.0;

        for (guint i = 0; i < mix->parents->len; i++) {
            const W2wIdentity *parent = mix->parents->pdata[i];

            if (j < parent->n_coefficients)
                sum += g_array_index(mix->weights, double, i) * parent->coefficients[j];
        }
        if (!(fabs(sum) <= G_MAXFLOAT)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The weights are too large for these identities.");
            return NULL;
        }
        mixed->coefficients[j] = (float)sum;
    }
    return g_steal_pointer(&mixed);
}

/* "Person 1 30 % + Person 2 70 %"; and the recipe's list of parents with their places in history.
 */
static char *describe(const Mix *mix, JsonObject *recipe)
{
    JsonArray *parents = json_array_new();
    g_autoptr(GString) name = g_string_new(NULL);
    g_autoptr(JsonObject) named = json_object_new();

    for (guint i = 0; i < mix->parents->len; i++) {
        const double weight = g_array_index(mix->weights, double, i);
        g_autoptr(JsonObject) earlier = w2w_recipe_of_identity(mix->parents->pdata[i]);
        g_autofree char *parent_name = w2w_recipe_get_name(earlier);
        JsonObject *parent = json_object_new();

        g_string_append_printf(name, "%s%s %s%.0f %%", i > 0 ? " + " : "", parent_name,
                               weight < 0.0 ? "−" : "", fabs(weight) * 100.0);
        json_object_set_double_member(parent, "weight", weight);
        json_object_set_string_member(parent, "name", parent_name);
        if (earlier != NULL)
            json_object_set_int_member(parent, "history", w2w_recipe_add_history(recipe, earlier));
        json_array_add_object_element(parents, parent);
    }
    json_object_set_array_member(recipe, "parents", parents);
    json_object_set_string_member(named, "name", name->str);
    return w2w_recipe_get_name(named); /* shortened */
}

static gboolean run(W2wPipeline *pipeline, const W2wValues *values, W2wJobResultFunc on_result,
                    gpointer user_data, const W2wProgress *progress, GError **error)
{
    g_auto(Mix) mix = {0};
    g_autoptr(W2wIdentity) mixed = NULL;
    g_autoptr(JsonObject) first = NULL;
    g_autoptr(JsonObject) recipe = NULL;
    g_autofree char *name = NULL;
    W2wJobResult *result;
    guint64 seed;

    if (!mix_init(&mix, w2w_pipeline_get_world(pipeline), values, error))
        return FALSE;
    mixed = mix_identities(&mix, error);
    if (mixed == NULL)
        return FALSE;
    first = w2w_recipe_of_identity(mix.parents->pdata[0]);
    seed = w2w_rendering_get_seed(values, first);
    recipe = w2w_recipe_new(w2w_mix_job.name, pipeline, seed, NULL);
    name = describe(&mix, recipe);
    json_object_set_string_member(recipe, "name", name);
    result = w2w_rendering_make_result(pipeline, values, &w2w_mix_job, mixed, recipe, seed,
                                       progress, error);
    if (result == NULL)
        return FALSE;
    on_result(result, user_data);
    return TRUE;
}

const W2wJob w2w_mix_job = {
    .name = "mix",
    .label = N_("_Mix Identities…"),
    .blurb = N_("Make one identity of several."),
    .help =
        N_("Takes the average of identities, each with its weight, and renders a picture of it "
           "with the first one's seed. Two people become somebody between them, who is neither: "
           "the further apart they are, the nearer to the average person."),
    .parameters = parameters,
    .n_parameters = G_N_ELEMENTS(parameters),
    .check = check,
    .run = run,
};
