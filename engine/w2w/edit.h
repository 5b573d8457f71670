/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Edits: settings of directions and components, composed and with protected attributes.
 *
 * As text, one line for scripts, dialogs and recipes alike:
 *     Young=-0.8;Wavy_Hair=0.5;#3=1.5;protect=Male,Chubby
 * A name is a direction of the space, #3 the third component (from 1; in standard
 * deviations of the population). Source of both metrics: DESIGN (population edits) and
 * weights2weights (euclidean).
 */
#pragma once

#include "engine/w2w/space.h"

G_BEGIN_DECLS

typedef enum {
    W2W_METRIC_POPULATION, /* delta = S Q (Qᵀ S Q)⁻¹ t: the smallest change as the population varies
                            */
    W2W_METRIC_EUCLIDEAN, /* setting · reach · unit direction, debiased against the protected ones
                           */
} W2wMetric;
extern const char *const w2w_metric_names[]; /* "population", "euclidean"; NULL terminated */

typedef struct {
    char *name;
    double setting;
} W2wDirectionSetting;

typedef struct {
    guint component; /* from 0 */
    double setting;
} W2wComponentSetting;

typedef struct {
    GArray *directions; /* W2wDirectionSetting */
    GArray *components; /* W2wComponentSetting */
    GPtrArray *protect; /* names */
} W2wEdits;

W2wEdits *w2w_edits_new(void);
void w2w_edits_free(W2wEdits *edits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wEdits, w2w_edits_free)

/*
 * One part each, "NAME=VALUE" and "N=VALUE"; a direction or component set twice is W2W_ERROR_USAGE.
 * Names are UTF-8 without ';', ',' and control characters, and do not begin with '#'. A name
 * may be protected twice.
 */
gboolean w2w_edits_add_direction(W2wEdits *edits, const char *assignment, GError **error);
gboolean w2w_edits_add_component(W2wEdits *edits, const char *assignment, GError **error);
void w2w_edits_add_protected(W2wEdits *edits, const char *name);

/* "Male,Chubby": one name at least, each of them checked; W2W_ERROR_USAGE. */
gboolean w2w_edits_add_protected_list(W2wEdits *edits, const char *list, GError **error);

/* W2W_ERROR_USAGE for what cannot be the name of a direction in edits. */
gboolean w2w_edits_check_name(const char *name, GError **error);

/* The text form; to_string gives what parse reads back to equal edits. Locale independent. */
W2wEdits *w2w_edits_parse(const char *text, GError **error);
char *w2w_edits_to_string(const W2wEdits *edits);

/*
 * delta (n_components numbers) that the edits ask for. A setting of 0 is as good as none: it
 * changes no bit, and an edit without settings gives exactly 0.
 *
 * Population: Q holds the directions of attributes that are set (t = setting · half range) or
 * protected (t = 0), and for a component that is set its own axis (t = setting · deviation).
 * So all settings hold at once: each attribute's score moves by just what was asked, each
 * component too, and the protected ones not at all.
 * Euclidean: settings add up, each along its unit direction, or the component's axis, debiased
 * against the protected ones.
 *
 * W2W_ERROR_USAGE names unknown attributes, components without statistics, attributes both set
 * and protected, and those that depend on others so that no change can satisfy all.
 */
gboolean w2w_edits_get_change(const W2wEdits *edits, W2wSpace *space, W2wMetric metric,
                              double *delta, GError **error);

/*
 * What moves: each attribute's score before and after in units of its half range (f/h), and
 * whether it is now outside of all people's. In the order of w2w_space_get_direction_names(),
 * whose beginning is w2w_space_get_attributes().
 */
typedef struct {
    double before, after;
    gboolean outside;
} W2wAttributeShift;
W2wAttributeShift *w2w_edits_get_shifts(W2wSpace *space, const float *before, guint n_before,
                                        const float *after, guint n_after, GError **error);

/* d without its part along each of `others` (jointly): d − E (EᵀE)⁻¹ Eᵀ d. All of length n. */
gboolean w2w_direction_debias(double *direction, guint n, const double *const *others,
                              guint n_others, GError **error);

G_END_DECLS
