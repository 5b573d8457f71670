/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of a recipe by name. */
#include "tests/study/recipe_text.h"

#include "engine/error.h"

static gboolean read_preset(const char *name, guint n_components, W2wInversionRecipe *recipe)
{
    for (guint i = 0; w2w_inversion_preset_names[i] != NULL; i++)
        if (g_str_equal(w2w_inversion_preset_names[i], name)) {
            w2w_inversion_recipe_init(recipe, i, n_components);
            return TRUE;
        }
    return FALSE;
}

static gboolean set_part(const char *key, const char *text, W2wInversionRecipe *recipe)
{
    guint schedule = recipe->lr_schedule, timesteps = recipe->timesteps;
    guint means = recipe->posterior_means, antithetic = recipe->antithetic;
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
        {"schedule", &schedule, NULL},
        {"timesteps", &timesteps, NULL},
        {"means", &means, NULL},
        {"antithetic", &antithetic, NULL},
        {"lr", NULL, &recipe->lr},
        {"beta1", NULL, &recipe->beta1},
        {"beta2", NULL, &recipe->beta2},
        {"decay", NULL, &recipe->weight_decay},
        {"precondition", NULL, &recipe->preconditioning},
        {"population", NULL, &recipe->population_weight},
        {"averaged", NULL, &recipe->averaged},
    };
    char *end = NULL;
    const double number = g_ascii_strtod(text, &end);

    if (end == text || *end != '\0' || number < 0.0)
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (!g_str_equal(parts[i].key, key))
            continue;
        if (parts[i].whole != NULL)
            *parts[i].whole = (guint)number;
        else
            *parts[i].real = number;
        recipe->lr_schedule = schedule;
        recipe->timesteps = timesteps;
        recipe->posterior_means = means != 0;
        recipe->antithetic = antithetic != 0;
        return schedule <= W2W_LR_COSINE && timesteps <= W2W_TIMESTEPS_SPREAD;
    }
    return FALSE;
}

gboolean study_recipe_parse(const char *text, guint n_components_of_space,
                            W2wInversionRecipe *recipe, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    w2w_inversion_recipe_init(recipe, W2W_INVERSION_PAPER, n_components_of_space);
    for (char **word = words; *word != NULL; word++) {
        g_auto(GStrv) pair = g_strsplit(*word, "=", 2);
        gboolean ok = **word == '\0';

        if (g_strv_length(pair) == 2)
            ok = g_str_equal(pair[0], "preset")
                     ? read_preset(pair[1], n_components_of_space, recipe)
                     : set_part(pair[0], pair[1], recipe);
        if (!ok) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "\"%s\" is no part of a recipe; parts are like \"lr=0.5\".", *word);
            return FALSE;
        }
    }
    return w2w_inversion_recipe_check(recipe, error);
}
