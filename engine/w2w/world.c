/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening worlds: a folder with a card, a folder with model/ and space/, or the parts by name. */
#include "engine/w2w/world.h"

#include "engine/error.h"
#include "engine/w2w/world_card.h"

#define CARD  "world.json"
#define MODEL "model"
#define SPACE "space"

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

/* Takes `card` over. `space_directory` NULL: a world without a space. */
static W2wWorld *world_new(W2wWorldCard *card, const char *card_path, const char *model_directory,
                           const char *space_directory, GError **error)
{
    g_autoptr(W2wWorld) world = g_new0(W2wWorld, 1);

    world->card = card;
    world->model_directory = g_strdup(model_directory);
    if (!is_directory(model_directory)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "There is no folder %s; the world's model was expected there.",
                    model_directory);
        return NULL;
    }
    if (space_directory != NULL) {
        world->space = w2w_space_open(space_directory, error);
        if (world->space == NULL)
            return NULL;
    }
    if (!w2w_world_card_match(card, world->space, card_path, error))
        return NULL;
    return g_steal_pointer(&world);
}

static W2wWorld *open_with_card(const char *directory, const char *card_path, GError **error)
{
    W2wWorldPlaces places = {NULL, NULL};
    W2wWorldCard *card = w2w_world_card_load(card_path, &places, error);
    g_autofree char *model = resolve(directory, places.model, MODEL);
    g_autofree char *space = resolve(directory, places.space, SPACE);
    W2wWorld *world = NULL;

    /* A card need not name a space; if it does, there must be one. */
    if (card != NULL)
        world = world_new(card, card_path, model,
                          places.space != NULL || is_directory(space) ? space : NULL, error);
    g_free(places.model);
    g_free(places.space);
    return world;
}

/* A card of defaults, called like the folder. */
static W2wWorldCard *default_card(const char *directory, const char *model_directory)
{
    g_autofree char *path = g_canonicalize_filename(directory, NULL);
    g_autofree char *basename = g_path_get_basename(path);
    g_autofree char *name = g_filename_display_name(basename);

    return w2w_world_card_new_default(name, model_directory);
}

W2wWorld *w2w_world_open(const char *directory, GError **error)
{
    g_autofree char *card = g_build_filename(directory, CARD, NULL);
    g_autofree char *model = g_build_filename(directory, MODEL, NULL);
    g_autofree char *space = g_build_filename(directory, SPACE, NULL);

    if (!is_directory(directory)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "There is no folder %s; a world was expected there.", directory);
        return NULL;
    }
    if (g_file_test(card, G_FILE_TEST_EXISTS))
        return open_with_card(directory, card, error);
    if (!is_directory(model) || !is_directory(space)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "%s is no world: it has neither " CARD " nor the folders " MODEL " and " SPACE
                    ".",
                    directory);
        return NULL;
    }
    return world_new(default_card(directory, model), card, model, space, error);
}

W2wWorld *w2w_world_open_parts(const char *model_directory, const char *space_directory,
                               GError **error)
{
    return world_new(default_card(model_directory, model_directory), "world.json", model_directory,
                     space_directory, error);
}
