/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recipes: what made a picture or an identity, as a JSON object with every number that is needed
 * to make it again.
 *
 *   job, program, world, model and space (fingerprints), seed, and the job's values under the names
 * of its parameters; "history" holds the recipes of what it started from, oldest first
 *
 * A list and not recipes inside of recipes: an identity may be edited any number of times.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/pipeline/pipeline.h"

G_BEGIN_DECLS

/* The beginning of a recipe. `earlier` (may be NULL) is the recipe of what the job starts from. */
JsonObject *w2w_recipe_new(const char *job, W2wPipeline *pipeline, guint64 seed,
                           JsonObject *earlier);

/*
 * Adds the recipe of one more thing that the job starts from, with its history before it. Its place
 * in the history.
 */
guint w2w_recipe_add_history(JsonObject *recipe, JsonObject *earlier);

/*
 * Of an identity; NULL where it has none that can be read. Identity files come from strangers:
 * nothing in it is relied on beyond what the functions here check. Caller unrefs.
 */
JsonObject *w2w_recipe_of_identity(const W2wIdentity *identity);

/* FALSE where there is no recipe (NULL) or it names no seed. */
gboolean w2w_recipe_get_seed(JsonObject *recipe, guint64 *seed);

/*
 * Its "name", shortened where it is long: "Person 42: Young −0.8"; "Person 42" by the seed where it
 * has none, "Person" where there is nothing (recipe may be NULL). Caller frees.
 */
char *w2w_recipe_get_name(JsonObject *recipe);

G_END_DECLS
