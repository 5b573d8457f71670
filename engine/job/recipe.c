/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recipes, written and read. */
#include "engine/job/recipe.h"

#include <string.h>

#include "engine/formats/json.h"
#include "engine/job/parameter.h"

#define HISTORY  "history"
#define MAX_NAME 80 /* characters: a layer's name, a line */

/* A copy without its own history, which is flat beside it. */
static JsonNode *copy_without_history(JsonObject *recipe)
{
    JsonObject *copy = json_object_new();
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    g_autoptr(GList) names = json_object_get_members(recipe);

    for (GList *item = names; item != NULL; item = item->next)
        if (strcmp(item->data, HISTORY) != 0)
            json_object_set_member(copy, item->data,
                                   json_node_copy(json_object_get_member(recipe, item->data)));
    json_node_take_object(node, copy);
    return node;
}

static JsonArray *get_history(JsonObject *recipe)
{
    JsonNode *node = json_object_get_member(recipe, HISTORY);

    return node != NULL && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
}

guint w2w_recipe_add_history(JsonObject *recipe, JsonObject *earlier)
{
    JsonArray *history = get_history(recipe);
    JsonArray *before = get_history(earlier);

    if (history == NULL) {
        history = json_array_new();
        json_object_set_array_member(recipe, HISTORY, history);
    }
    for (guint i = 0; before != NULL && i < json_array_get_length(before); i++)
        json_array_add_element(history, json_node_copy(json_array_get_element(before, i)));
    json_array_add_element(history, copy_without_history(earlier));
    return json_array_get_length(history) - 1;
}

JsonObject *w2w_recipe_new(const char *job, W2wPipeline *pipeline, guint64 seed,
                           JsonObject *earlier)
{
    JsonObject *recipe = json_object_new();
    W2wWorld *world = w2w_pipeline_get_world(pipeline);
    W2wSpace *space = w2w_world_get_space(world);
    const W2wWorldCard *card = w2w_world_get_card(world);

    json_object_set_string_member(recipe, "job", job);
    json_object_set_string_member(recipe, "program", "w2w " W2W_VERSION);
    if (card->name != NULL)
        json_object_set_string_member(recipe, "world", card->name);
    json_object_set_string_member(recipe, "model", w2w_pipeline_get_model_fingerprint(pipeline));
    if (space != NULL)
        json_object_set_string_member(recipe, "space", w2w_space_get_fingerprint(space));
    json_object_set_int_member(recipe, "seed", (gint64)seed);
    if (earlier != NULL)
        w2w_recipe_add_history(recipe, earlier);
    return recipe;
}

JsonObject *w2w_recipe_of_identity(const W2wIdentity *identity)
{
    if (identity == NULL || identity->recipe == NULL)
        return NULL;
    return w2w_json_parse(identity->recipe, strlen(identity->recipe), "recipe", NULL);
}

static gboolean get_whole_number(JsonObject *object, const char *name, gint64 *number)
{
    JsonNode *node = json_object_get_member(object, name);

    if (node == NULL || !JSON_NODE_HOLDS_VALUE(node) ||
        json_node_get_value_type(node) != G_TYPE_INT64)
        return FALSE;
    *number = json_node_get_int(node);
    return TRUE;
}

gboolean w2w_recipe_get_seed(JsonObject *recipe, guint64 *seed)
{
    gint64 number;

    if (recipe == NULL || !get_whole_number(recipe, "seed", &number) || number < 0 ||
        number > W2W_SEED_MAX)
        return FALSE;
    *seed = (guint64)number;
    return TRUE;
}

char *w2w_recipe_get_name(JsonObject *recipe)
{
    JsonNode *node = recipe != NULL ? json_object_get_member(recipe, "name") : NULL;
    guint64 seed;

    if (node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
        json_node_get_value_type(node) == G_TYPE_STRING) {
        const char *name = json_node_get_string(node);

        if (g_utf8_strlen(name, -1) <= MAX_NAME)
            return g_strdup(name);
        else {
            g_autofree char *beginning = g_utf8_substring(name, 0, MAX_NAME - 1);

            return g_strconcat(beginning, "…", NULL);
        }
    }
    if (w2w_recipe_get_seed(recipe, &seed))
        return g_strdup_printf("Person %" G_GUINT64_FORMAT, seed);
    return g_strdup("Person");
}
