/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A world: a model, a space over it, and the card that says how they are used.
 *
 * The card (world.json) holds what is not mathematics: prompts, default sizes, names and
 * groups of the directions, the licence. Folders without one get defaults. Opening a
 * world reads the card and the space; models are opened by the pipeline.
 */
#pragma once

#include "engine/w2w/space.h"

G_BEGIN_DECLS

typedef struct {
    char *name;  /* of the attribute in the space's labels: "Wavy_Hair" */
    char *label; /* for people: "Wavy hair" */
    char *group; /* "Hair" */
} W2wDirectionCard;

typedef struct {
    char *name, *description;
    char *instance_prompt; /* "sks person" */
    char *class_prompt;    /* "person" */
    char *negative_prompt;
    gint width, height; /* pixels */
    char *scheduler;    /* "pndm"; NULL: what the model's own folder names */
    gint steps;
    double guidance_scale;
    char *licence, *licence_text; /* may be NULL */
    GPtrArray *directions;        /* W2wDirectionCard, in the card's order */
} W2wWorldCard;

typedef struct _W2wWorld W2wWorld;

/*
 * A folder with world.json, or an upstream-like folder with model/ and space/ (or
 * space.safetensors) in it. Directions in its folder directions/ are added to the space.
 */
W2wWorld *w2w_world_open(const char *directory, GError **error);

/*
 * A diffusers folder and, where not NULL, a space; the card is the one that a space of our own
 * form carries, else made of defaults.
 */
W2wWorld *w2w_world_open_parts(const char *model_directory, const char *space_directory,
                               GError **error);
void w2w_world_free(W2wWorld *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wWorld, w2w_world_free)

const W2wWorldCard *w2w_world_get_card(const W2wWorld *world);
const char *w2w_world_get_model_directory(const W2wWorld *world);

/* NULL where the world has none (a model alone can still render). */
W2wSpace *w2w_world_get_space(const W2wWorld *world);

/* The text of the world.json beside a space's folder, without the places of model and space; NULL
 * where there is none that is about this space. Caller frees. */
char *w2w_world_find_card(const char *space_directory);

/*
 * The folder of the embedded world: W2W_DATA_DIR from the environment, the source tree's data/ for
 * a program that runs from its build folder, or the installed one.
 */
const char *w2w_world_get_default_directory(void);

G_END_DECLS
