/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The card of a world: world.json, every field checked; errors name file and field.
 *
 * A field that this version does not know is refused: a misspelt one would silently
 * mean its default. What a later version adds comes with a higher "version".
 */
#pragma once

#include "engine/w2w/world.h"

G_BEGIN_DECLS

/* Model and space as the card names them, relative to its folder or absolute; NULL where it does
 * not. */
typedef struct {
    char *model, *space;
} W2wWorldPlaces;

/* The card in `path`. */
W2wWorldCard *w2w_world_card_load(const char *path, W2wWorldPlaces *places, GError **error);

/* The same from memory, where it names no places; `name` stands for the file in messages. */
W2wWorldCard *w2w_world_card_parse(const char *text, const char *name, GError **error);

/*
 * A card of defaults, called `name`: upstream's prompts and settings; the size is the one that the
 * model's configs say it was trained at, 512 where they do not. W2W_ERROR_MEMORY.
 */
W2wWorldCard *w2w_world_card_new_default(const char *name, const char *model_directory,
                                         GError **error);
void w2w_world_card_free(W2wWorldCard *card);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wWorldCard, w2w_world_card_free)

/*
 * Holds the directions against those that the space (may be NULL) has. A card without directions
 * gets all attributes; a direction that the space does not have is W2W_ERROR_MISMATCH, unless the
 * space's optional files are missing and there are no attributes at all: then there are no
 * directions. Nor does it count where files of added directions cannot be read: then it goes.
 */
gboolean w2w_world_card_match(W2wWorldCard *card, W2wSpace *space, const char *path,
                              GError **error);

G_END_DECLS
