/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An identity and what edits make of it, for the jobs that edit. */
#pragma once

#include <glib/gi18n.h>
#include <json-glib/json-glib.h>

#include "engine/job/parameter.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/world.h"

G_BEGIN_DECLS

/* Labels of w2w_metric_names, in their order. */
extern const char *const w2w_changed_identity_metric_labels[];

/* What to change, and how it is measured: for tables of parameters. */
#define W2W_CHANGE_PARAMETERS                                                                      \
    {                                                                                              \
        .name = "edits",                                                                           \
        .type = W2W_PARAMETER_EDITS,                                                               \
        .label = N_("_Edits"),                                                                     \
        .blurb = N_("What to change, as one text: Young=-0.8;Wavy_Hair=0.5;#3=1.5;"                \
                    "protect=Male,Chubby (#3 is the third component)."),                           \
    },                                                                                             \
    {                                                                                              \
        .name = "metric", .type = W2W_PARAMETER_CHOICE, .string = "population",                    \
        .choices = w2w_metric_names, .choice_labels = w2w_changed_identity_metric_labels,          \
        .label = N_("_Metric"),                                                                    \
        .blurb = N_("How the change is measured: by how the population varies, or euclidean as "   \
                    "in the paper."),                                                              \
    }

/* W2W_ERROR_USAGE, with the name that was most likely meant, for a direction that there is not. */
gboolean w2w_changed_identity_check_names(W2wSpace *space, const W2wEdits *edits, GError **error);

/*
 * before + delta, in as many numbers as either has; what the edits do not touch keeps its every
 * bit. Its model_fingerprint is that of `before`.
 */
W2wIdentity *w2w_changed_identity_new(W2wSpace *space, const W2wIdentity *before,
                                      const W2wEdits *edits, W2wMetric metric, GError **error);

/* Is nothing set? (Protected names alone change nothing.) */
gboolean w2w_edits_are_empty(const W2wEdits *edits);

/* "Wavy hair" where the card knows it, else "Wavy_Hair". Owned by one of the two. */
const char *w2w_direction_label(const W2wWorldCard *card, const char *name);

/*
 * The name of what the edits make of an identity with the recipe `earlier` (may be NULL):
 * "Person 42: Young −0.8". Caller frees.
 */
char *w2w_changed_identity_name(const W2wWorldCard *card, const W2wEdits *edits,
                                JsonObject *earlier);

/* Appends to a result's message in which directions it is now further than any of the people. */
gboolean w2w_changed_identity_warn(W2wWorld *world, const W2wIdentity *before,
                                   const W2wIdentity *after, char **message, GError **error);

/* "Young −0.8" for people, with the minus sign of print, behind a comma where text has some. */
void w2w_changed_identity_append_setting(GString *text, const char *label, double setting);

G_END_DECLS
