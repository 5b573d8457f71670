/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recipes' numbers. */
#include "engine/training/inversion_recipe.h"

#include <math.h>

#include "engine/error.h"
#include "engine/training/optimizer.h"

const char *const w2w_inversion_preset_names[] = {"paper", "paper-ood", "fast", NULL};

void w2w_inversion_recipe_init(W2wInversionRecipe *recipe, W2wInversionPreset preset,
                               guint n_components_of_space)
{
    const guint n = MIN(n_components_of_space, W2W_INVERSION_MAX_COMPONENTS);

    *recipe = (W2wInversionRecipe){.n_components = n,
                                   .n_steps = 400,
                                   .batch = 1,
                                   .lr = 0.1,
                                   .beta1 = W2W_ADAM_BETA1,
                                   .beta2 = W2W_ADAM_BETA2,
                                   .weight_decay = 1e-10};
    switch (preset) {
    case W2W_INVERSION_PAPER:
        break;
    case W2W_INVERSION_PAPER_OOD:
        recipe->n_components = MAX(n / 10, 1);
        recipe->n_steps = 800;
        recipe->lr = 1.0;
        recipe->weight_decay = 0.0;
        break;
    case W2W_INVERSION_FAST:
        recipe->n_steps = 32;
        recipe->batch = 4;
        recipe->lr = 2.0;
        recipe->weight_decay = 0.0;
        recipe->lr_schedule = W2W_LR_LINEAR;
        recipe->posterior_means = TRUE;
        recipe->timesteps = W2W_TIMESTEPS_SPREAD;
        recipe->antithetic = TRUE;
        recipe->preconditioning = 1.0;
        recipe->population_weight = 3e-6;
        break;
    }
}

gboolean w2w_inversion_recipe_check(const W2wInversionRecipe *recipe, GError **error)
{
    const gboolean ok =
        recipe->n_components >= 1 && recipe->n_steps >= 1 &&
        recipe->n_steps <= W2W_INVERSION_MAX_STEPS && recipe->batch >= 1 &&
        recipe->batch <= W2W_INVERSION_MAX_BATCH &&
        (!recipe->antithetic || recipe->batch % 2 == 0) && recipe->lr > 0.0 &&
        recipe->lr <= W2W_INVERSION_MAX_LR && recipe->weight_decay >= 0.0 && recipe->beta1 >= 0.0 &&
        recipe->beta1 < 1.0 && recipe->beta2 >= 0.0 && recipe->beta2 < 1.0 &&
        isfinite(recipe->weight_decay) && isfinite(recipe->preconditioning) &&
        recipe->population_weight >= 0.0 && isfinite(recipe->population_weight) &&
        recipe->averaged >= 0.0 && recipe->averaged <= 1.0 &&
        (recipe->n_candidates == 0 || (recipe->n_tries >= 1 && recipe->n_nearest >= 1));

    if (!ok)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "An inversion needs at least one component, 1 to %d steps and a learning rate "
                    "above 0 and up to %g; it was asked for %u components, %u steps of %u images "
                    "and a learning rate of %g.",
                    W2W_INVERSION_MAX_STEPS, W2W_INVERSION_MAX_LR, recipe->n_components,
                    recipe->n_steps, recipe->batch, recipe->lr);
    return ok;
}

double w2w_inversion_recipe_get_lr(const W2wInversionRecipe *recipe, guint step)
{
    const double part = (double)step / recipe->n_steps;

    switch (recipe->lr_schedule) {
    case W2W_LR_CONSTANT:
        return recipe->lr;
    case W2W_LR_LINEAR:
        return recipe->lr * MAX(1.0 - part, 0.0);
    case W2W_LR_COSINE:
        return recipe->lr * 0.5 * (1.0 + cos(G_PI * MIN(part, 1.0)));
    }
    g_assert_not_reached();
}
