/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Applying edits. */
#include "engine/job/changed_identity.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/job/nearest_name.h"
#include "engine/job/recipe.h"
#include "engine/job/rendering.h"
#include "engine/memory.h"
#include "engine/w2w/direction.h"

const char *const w2w_changed_identity_metric_labels[] = {N_("As the population varies"),
                                                          N_("Euclidean, as in the paper"), NULL};

static gboolean check_name(W2wSpace *space, const char *name, GError **error)
{
    const char *const *names = w2w_space_get_direction_names(space);
    const char *nearest;
    g_autofree char *problems = NULL;

    if (g_strv_contains(names, name))
        return TRUE;
    nearest = w2w_nearest_name(name, names);
    if (nearest != NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "There is no direction “%s”; did you mean “%s”?", name, nearest);
        return FALSE;
    }
    problems = g_strjoinv(" ", (char **)w2w_space_get_direction_problems(space));
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "There is no direction “%s” among the space's %u.%s%s", name,
                g_strv_length((char **)w2w_space_get_direction_names(space)),
                *problems != 0 ? " " : "", problems);
    return FALSE;
}

gboolean w2w_changed_identity_check_names(W2wSpace *space, const W2wEdits *edits, GError **error)
{
    for (guint i = 0; i < edits->directions->len; i++)
        if (!check_name(space, g_array_index(edits->directions, W2wDirectionSetting, i).name,
                        error))
            return FALSE;
    for (guint i = 0; i < edits->protect->len; i++)
        if (!check_name(space, g_ptr_array_index(edits->protect, i), error))
            return FALSE;
    return TRUE;
}

W2wIdentity *w2w_changed_identity_new(W2wSpace *space, const W2wIdentity *before,
                                      const W2wEdits *edits, W2wMetric metric, GError **error)
{
    const guint n_components = w2w_space_get_n_components(space);
    guint n_after = before->n_coefficients;
    g_autoptr(W2wIdentity) after = NULL;
    W2W_AUTO_ALIGNED double *delta =
        w2w_aligned_alloc0(n_components, sizeof *delta, "the change of an identity", error);

    if (delta == NULL || !w2w_edits_get_change(edits, space, metric, delta, error))
        return NULL;
    for (guint i = 0; i < w2w_space_get_n_with_statistics(space); i++)
        if (delta[i] != 0.0)
            n_after = MAX(n_after, i + 1);
    after = w2w_identity_new(n_after, error);
    if (after == NULL)
        return NULL;
    for (guint i = 0; i < n_after; i++) {
        const float own = i < before->n_coefficients ? before->coefficients[i] : 0.0f;

        after->coefficients[i] = delta[i] != 0.0 ? (float)(own + delta[i]) : own;
    }
    after->model_fingerprint = g_strdup(before->model_fingerprint);
    return g_steal_pointer(&after);
}

void w2w_changed_identity_append_setting(GString *text, const char *label, double setting)
{
    g_autofree char *digits = w2w_json_format_double(fabs(setting));

    g_string_append_printf(text, "%s%s %s%s", text->len > 0 ? ", " : "", label,
                           setting < 0.0 ? "−" : "+", digits);
}

gboolean w2w_edits_are_empty(const W2wEdits *edits)
{
    return edits->directions->len == 0 && edits->components->len == 0;
}

const char *w2w_direction_label(const W2wWorldCard *card, const char *name)
{
    for (guint i = 0; card->directions != NULL && i < card->directions->len; i++) {
        const W2wDirectionCard *direction = g_ptr_array_index(card->directions, i);

        if (strcmp(direction->name, name) == 0)
            return direction->label != NULL ? direction->label : name;
    }
    return name;
}

char *w2w_changed_identity_name(const W2wWorldCard *card, const W2wEdits *edits,
                                JsonObject *earlier)
{
    g_autofree char *before = w2w_recipe_get_name(earlier);
    g_autoptr(GString) settings = g_string_new(NULL);

    for (guint i = 0; i < edits->directions->len; i++) {
        const W2wDirectionSetting *direction =
            &g_array_index(edits->directions, W2wDirectionSetting, i);

        w2w_changed_identity_append_setting(settings, w2w_direction_label(card, direction->name),
                                            direction->setting);
    }
    for (guint i = 0; i < edits->components->len; i++) {
        const W2wComponentSetting *component =
            &g_array_index(edits->components, W2wComponentSetting, i);
        g_autofree char *label = g_strdup_printf("#%u", component->component + 1);

        w2w_changed_identity_append_setting(settings, label, component->setting);
    }
    if (settings->len == 0)
        return g_strdup(before);
    return g_strconcat(before, strstr(before, ": ") != NULL ? ", " : ": ", settings->str, NULL);
}

gboolean w2w_changed_identity_warn(W2wWorld *world, const W2wIdentity *before,
                                   const W2wIdentity *after, char **message, GError **error)
{
    W2wSpace *space = w2w_world_get_space(world);
    const char *const *names = w2w_space_get_direction_names(space);
    g_autofree W2wAttributeShift *shifts = NULL;
    g_autoptr(GString) outside = g_string_new(NULL);

    if (names[0] == NULL)
        return TRUE;
    shifts = w2w_edits_get_shifts(space, before->coefficients, before->n_coefficients,
                                  after->coefficients, after->n_coefficients, error);
    if (shifts == NULL)
        return FALSE;
    names = w2w_space_get_direction_names(space);
    for (guint i = 0; names[i] != NULL; i++)
        if (shifts[i].outside && fabs(shifts[i].after) > fabs(shifts[i].before)) {
            g_autofree char *position = g_strdup_printf("%.2f", fabs(shifts[i].after));

            g_string_append_printf(outside, "%s%s (%s%s)", outside->len > 0 ? ", " : "",
                                   w2w_direction_label(w2w_world_get_card(world), names[i]),
                                   shifts[i].after < 0.0 ? "−" : "+", position);
        }
    if (outside->len > 0)
        w2w_message_append(message,
                           "Further than any of the %" G_GINT64_FORMAT
                           " people, where pictures may break: %s.",
                           w2w_space_get_n_people(space), outside->str);
    return TRUE;
}
