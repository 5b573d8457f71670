/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of today → those of older tools and of the original program (model_forms.h). */
#pragma once

#include "engine/models/model_parts.h"
#include "engine/models/weight_table.h"

G_BEGIN_DECLS

typedef enum {
    MODEL_NAMES_OLD,          /* diffusers' first ones; position_ids beside the text encoder's */
    MODEL_NAMES_OLD_CONV,     /* the same with attentions of the VAE as 1×1 convolutions */
    MODEL_NAMES_OLD_TEXT,     /* the text encoder's without "text_model." */
    MODEL_NAMES_LDM,          /* the original's, with the prefixes of a checkpoint */
    MODEL_NAMES_LDM_OLD_TEXT, /* the same without "text_model." */
} ModelNames;

/* A new table. */
GHashTable *model_names_of(GHashTable *table, W2wModelPart part, ModelNames names);

G_END_DECLS
