/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an inversion found, for people and scripts. */
#pragma once

#include <json-glib/json-glib.h>

#include "engine/training/inversion.h"
#include "engine/w2w/identity.h"

G_BEGIN_DECLS

/* The recipe's numbers as an object of their own: beside them a recipe has those of a picture. */
JsonObject *w2w_invert_describe_recipe(const W2wInversionRecipe *recipe, W2wInversionPreset preset,
                                       guint n_components);

/*
 * Where among `n_people` people somebody is who has `n_nearer` of them nearer to their middle: a
 * sentence. Caller frees.
 */
char *w2w_invert_describe_distance(gint64 n_nearer, gint64 n_people);

/*
 * Adds to `report` how it went ("steps", "loss", "loss_curve": running means over equal bands of
 * timesteps), and where it ended: "distance" from the population beside what is usual there,
 * "nearest_people", "attributes" as the directions judge them, in units of their half ranges. The
 * last three only where the space has people.
 */
gboolean w2w_invert_report(const W2wInversion *inversion, W2wSpace *space,
                           const W2wIdentity *identity, JsonObject *report, GError **error);

G_END_DECLS
