/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recipes as text: "preset=fast lr=1 antithetic=0". Presets are what people choose from; a study
 * has to change one part of a recipe at a time.
 */
#pragma once

#include "engine/training/inversion_recipe.h"

G_BEGIN_DECLS

/* Begins as the preset that is named first, or as the paper's. W2W_ERROR_USAGE names what is no
 * part of a recipe. */
gboolean study_recipe_parse(const char *text, guint n_components_of_space,
                            W2wInversionRecipe *recipe, GError **error);

G_END_DECLS
