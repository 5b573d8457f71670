/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening worlds: a folder with a card, a folder with model/ and space/, or the parts by name. */
#include "engine/w2w/world.h"

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"
#include "engine/w2w/direction.h"
#include "engine/w2w/world_card.h"

#define CARD       "world.json"
#define MODEL      "model"
#define SPACE      "space"
#define SPACE_FILE "space.safetensors"
/* Directions that a world brings along beside its attributes. */
#define DIRECTIONS "directions"

struct _W2wWorld {
    W2wWorldCard *card;
    char *model_directory;
    W2wSpace *space; /* may be NULL */
};

void w2w_world_free(W2wWorld *world)
{
    if (world == NULL)
        return;
    g_clear_pointer(&world->card, w2w_world_card_free);
    g_clear_pointer(&world->space, w2w_space_free);
    g_free(world->model_directory);
    g_free(world);
}

const W2wWorldCard *w2w_world_get_card(const W2wWorld *world)
{
    return world->card;
}

const char *w2w_world_get_model_directory(const W2wWorld *world)
{
    return world->model_directory;
}

W2wSpace *w2w_world_get_space(const W2wWorld *world)
{
    return world->space;
}

static gboolean is_directory(const char *path)
{
    return g_file_test(path, G_FILE_TEST_IS_DIR);
}

/* The card's place, or `name` in the folder; an absolute place stays what it is. */
static char *resolve(const char *directory, const char *place, const char *name)
{
    if (place != NULL && g_path_is_absolute(place))
        return g_strdup(place);
    return g_build_filename(directory, place != NULL ? place : name, NULL);
}

static gboolean exists(const char *path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* A card of defaults, called like the folder. */
static W2wWorldCard *default_card(const char *directory, const char *model_directory,
                                  GError **error)
{
    g_autofree char *path = g_canonicalize_filename(directory, NULL);
    g_autofree char *basename = g_path_get_basename(path);
    g_autofree char *name = g_filename_display_name(basename);

    return w2w_world_card_new_default(name, model_directory, error);
}

/* Takes `card` over, which is in `card_path`; NULL: the one that the space carries, or defaults. */
static gboolean choose_card(W2wWorld *world, W2wWorldCard *card, const char *card_path,
                            const char *directory, GError **error)
{
    const char *carried = world->space != NULL ? w2w_space_get_card(world->space) : NULL;
    g_autofree char *name = NULL;

    if (card == NULL && carried != NULL) {
        name = g_strdup_printf("The card of %s", w2w_space_get_directory(world->space));
        card_path = name;
        card = w2w_world_card_parse(carried, name, error);
        if (card == NULL)
            return FALSE;
    }
    world->card = card != NULL ? card : default_card(directory, world->model_directory, error);
    if (world->card == NULL)
        return FALSE;
    return w2w_world_card_match(world->card, world->space, card_path, error);
}

/* `space_directory` NULL: a world without a space. */
static W2wWorld *world_new(W2wWorldCard *given_card, const char *card_path, const char *directory,
                           const char *model_directory, const char *space_directory, GError **error)
{
    g_autoptr(W2wWorldCard) card = given_card;
    g_autofree char *directions = g_build_filename(directory, DIRECTIONS, NULL);
    g_autoptr(W2wWorld) world = g_new0(W2wWorld, 1);

    world->model_directory = g_strdup(model_directory);
    if (!exists(model_directory)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "There is no folder or file %s; the world's model was expected there.",
                    model_directory);
        return NULL;
    }
    if (space_directory != NULL) {
        world->space = w2w_space_open(space_directory, error);
        if (world->space == NULL)
            return NULL;
        w2w_space_add_direction_folder(world->space, directions);
    }
    if (!choose_card(world, g_steal_pointer(&card), card_path, directory, error))
        return NULL;
    return g_steal_pointer(&world);
}

/* The folder space/, or the file; NULL where there is neither. */
static char *find_space(const char *directory)
{
    g_autofree char *folder = g_build_filename(directory, SPACE, NULL);
    g_autofree char *file = g_build_filename(directory, SPACE_FILE, NULL);

    if (is_directory(folder))
        return g_steal_pointer(&folder);
    return exists(file) ? g_steal_pointer(&file) : NULL;
}

static W2wWorld *open_with_card(const char *directory, const char *card_path, GError **error)
{
    W2wWorldPlaces places = {NULL, NULL};
    W2wWorldCard *card = w2w_world_card_load(card_path, &places, error);
    g_autofree char *model = resolve(directory, places.model, MODEL);
    /* A card need not name a space; if it does, there must be one. */
    g_autofree char *space =
        places.space != NULL ? resolve(directory, places.space, SPACE) : find_space(directory);
    W2wWorld *world = NULL;

    if (card != NULL)
        world = world_new(card, card_path, directory, model, space, error);
    g_free(places.model);
    g_free(places.space);
    return world;
}

W2wWorld *w2w_world_open(const char *directory, GError **error)
{
    g_autofree char *card = g_build_filename(directory, CARD, NULL);
    g_autofree char *model = g_build_filename(directory, MODEL, NULL);
    g_autofree char *space = find_space(directory);

    if (!is_directory(directory)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "There is no folder %s; a world was expected there.", directory);
        return NULL;
    }
    if (exists(card))
        return open_with_card(directory, card, error);
    if (!is_directory(model) || space == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "%s is no world: it has neither " CARD " nor the folders " MODEL " and " SPACE
                    ".",
                    directory);
        return NULL;
    }
    return world_new(NULL, card, directory, model, space, error);
}

W2wWorld *w2w_world_open_parts(const char *model_directory, const char *space_directory,
                               GError **error)
{
    return world_new(NULL, CARD, model_directory, model_directory, space_directory, error);
}

char *w2w_world_find_card(const char *space_directory)
{
    g_autofree char *whole = g_canonicalize_filename(space_directory, NULL);
    g_autofree char *directory = g_path_get_dirname(whole);
    g_autofree char *path = g_build_filename(directory, CARD, NULL);
    g_autoptr(JsonObject) object = exists(path) ? w2w_json_load(path, NULL) : NULL;
    g_autofree char *place = NULL;
    g_autofree char *resolved = NULL;
    JsonNode *node;

    if (object == NULL)
        return NULL;
    node = json_object_get_member(object, "space");
    if (node != NULL && JSON_NODE_HOLDS_VALUE(node))
        place = json_node_dup_string(node);
    resolved = resolve(directory, place, SPACE);
    if (!g_str_equal(resolved, whole))
        return NULL;
    json_object_remove_member(object, "model");
    json_object_remove_member(object, "space");
    return w2w_json_write_object(object);
}
