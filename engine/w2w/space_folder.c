/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A space in upstream's files. All but mean, std and V may be missing; what is then not possible
 * is noted. The weights that a space was made of (all_weights.pt, dog_weights.pt) stand in for the
 * people's coefficients where these are missing.
 */
#include "engine/formats/json.h"
#include "engine/formats/pt.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/lora_config.h"
#include "engine/w2w/lora_key.h"
#include "engine/w2w/space_internal.h"

static gboolean has_part(const W2wSpace *space, W2wSpacePart part)
{
    g_autofree char *path = w2w_space_describe_part(space, part);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static W2wArray *open_part(const W2wSpace *space, W2wSpacePart part, GError **error)
{
    g_autofree char *path = w2w_space_describe_part(space, part);

    return w2w_pt_open_array(path, error);
}

static gboolean read_key(const W2wSpace *space, const char *name, W2wPtValue *entry, GArray *keys,
                         GError **error)
{
    W2wPtValue *sizes = NULL, *shape = NULL;
    W2wSpaceKey key = {.length = 1};
    gint64 dimensions[2] = {0, 0};

    if (w2w_pt_value_get_type(entry) == W2W_PT_LIST && w2w_pt_value_get_length(entry) == 2) {
        sizes = w2w_pt_value_get_item(entry, 0);
        shape = w2w_pt_value_get_item(entry, 1);
    }
    if (shape == NULL || w2w_pt_value_get_type(sizes) != W2W_PT_LIST ||
        w2w_pt_value_get_type(shape) != W2W_PT_LIST || w2w_pt_value_get_length(sizes) != 1 ||
        w2w_pt_value_get_length(shape) != 2 ||
        w2w_pt_value_get_type(w2w_pt_value_get_item(sizes, 0)) != W2W_PT_INT)
        return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                              "has no ((size), (rows, columns)) for “%s”.", name);
    for (guint d = 0; d < 2; d++) {
        const W2wPtValue *number = w2w_pt_value_get_item(shape, d);

        if (w2w_pt_value_get_type(number) == W2W_PT_INT)
            dimensions[d] = w2w_pt_value_get_int(number);
        if (dimensions[d] < 1 || dimensions[d] > space->n_weights)
            return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                                  "has an impossible shape for “%s”.", name);
    }
    key.path = w2w_lora_key_parse(name, &key.is_b);
    if (key.path == NULL)
        return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                              "has the key “%s”, which names no LoRA factor.", name);
    key.length = dimensions[key.is_b ? 0 : 1];
    g_array_append_val(keys, key);
    if (dimensions[key.is_b ? 1 : 0] != 1)
        return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_UNSUPPORTED, error,
                              "has a LoRA of rank %" G_GINT64_FORMAT
                              " (“%s”); spaces of rank 1 are supported.",
                              dimensions[key.is_b ? 1 : 0], name);
    if (w2w_pt_value_get_int(w2w_pt_value_get_item(sizes, 0)) != key.length)
        return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                              "has a size and a shape for “%s” that do not agree.", name);
    return TRUE;
}

static gboolean open_keys(W2wSpace *space, GError **error)
{
    g_autofree char *path = w2w_space_describe_part(space, W2W_SPACE_KEYS);
    g_autoptr(W2wPtValue) dictionary = NULL;
    g_autoptr(GArray) keys = w2w_space_keys_new();

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        w2w_space_add_missing(space, W2W_SPACE_KEYS);
        return TRUE;
    }
    dictionary = w2w_pt_open(path, error);
    if (dictionary == NULL)
        return FALSE;
    if (w2w_pt_value_get_type(dictionary) != W2W_PT_DICT)
        return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                              "holds %s; a dictionary was expected.",
                              w2w_pt_type_describe(w2w_pt_value_get_type(dictionary)));
    for (guint i = 0; i < w2w_pt_value_get_length(dictionary); i++) {
        W2wPtValue *key = w2w_pt_value_get_key(dictionary, i);

        if (w2w_pt_value_get_type(key) != W2W_PT_STRING)
            return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                                  "has a key that is no string (entry %u).", i);
        if (!read_key(space, w2w_pt_value_get_string(key), w2w_pt_value_get_item(dictionary, i),
                      keys, error))
            return FALSE;
    }
    return w2w_space_take_keys(space, keys, path, error);
}

static gboolean open_adapter(W2wSpace *space, GError **error)
{
    /* Of rank 1, use_rslora changes nothing: the square root of 1. */
    static const char *const unsupported[] = {"use_dora",       "rank_pattern", "alpha_pattern",
                                              "fan_in_fan_out", "bias",         "lora_bias"};
    g_autofree char *path = w2w_space_describe_part(space, W2W_SPACE_ADAPTER);
    g_autoptr(JsonObject) config = NULL;
    double rank, alpha;

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        w2w_space_add_missing(space, W2W_SPACE_ADAPTER);
        return TRUE;
    }
    config = w2w_json_load(path, error);
    if (config == NULL)
        return FALSE;
    if (!w2w_json_get_number(json_object_get_member(config, "r"), &rank))
        return w2w_space_fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_FORMAT, error,
                              "has no number “r”.");
    if (!w2w_json_get_number(json_object_get_member(config, "lora_alpha"), &alpha) ||
        alpha <= 0.0 || alpha > 1e6)
        return w2w_space_fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_FORMAT, error,
                              "has no positive number “lora_alpha”.");
    if (rank != 1.0)
        return w2w_space_fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_UNSUPPORTED, error,
                              "has r = %g; spaces of rank 1 are supported.", rank);
    for (guint i = 0; i < G_N_ELEMENTS(unsupported); i++)
        if (w2w_lora_config_is_set(json_object_get_member(config, unsupported[i])))
            return w2w_space_fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_UNSUPPORTED, error,
                                  "sets “%s”, which is not supported.", unsupported[i]);
    space->lora_scale = (float)(alpha / rank);
    return TRUE;
}

static gboolean read_required(W2wSpace *space, GError **error)
{
    g_autoptr(W2wArray) mean = open_part(space, W2W_SPACE_MEAN, error);
    g_autoptr(W2wArray) std = NULL;
    g_autoptr(W2wArray) v = NULL;

    if (mean == NULL || !w2w_space_take_mean(space, mean, error))
        return FALSE;
    std = open_part(space, W2W_SPACE_STD, error);
    if (std == NULL || !w2w_space_take_std(space, std, error))
        return FALSE;
    v = open_part(space, W2W_SPACE_V, error);
    return v != NULL && w2w_space_take_v(space, v, error);
}

static gboolean read_dataset(W2wSpace *space, GError **error)
{
    g_autofree char *path = w2w_dataset_find_file(space->directory);
    g_autoptr(W2wArray) array = NULL;

    if (path == NULL)
        return TRUE;
    array = w2w_pt_open_array(path, error);
    return array != NULL && w2w_space_take_dataset(space, array, error);
}

/* proj and what needs it. */
static gboolean read_people(W2wSpace *space, GError **error)
{
    g_autoptr(W2wArray) projections = NULL;
    g_autoptr(W2wArray) pinverse = NULL;
    g_autofree char *labels = w2w_dataset_find_labels(space->directory);

    if (has_part(space, W2W_SPACE_PROJECTIONS)) {
        projections = open_part(space, W2W_SPACE_PROJECTIONS, error);
        if (projections == NULL || !w2w_space_take_projections(space, projections, error))
            return FALSE;
    } else {
        w2w_space_add_missing(space, W2W_SPACE_PROJECTIONS);
        if (space->dataset != NULL && w2w_space_can_compute_projections(space) &&
            !w2w_space_compute_projections(space, NULL, error))
            return FALSE;
    }
    if (labels == NULL)
        w2w_space_add_missing(space, W2W_SPACE_LABELS);
    if (space->projections == NULL)
        return TRUE;
    if (has_part(space, W2W_SPACE_PINVERSE)) {
        pinverse = open_part(space, W2W_SPACE_PINVERSE, error);
        if (pinverse == NULL || !w2w_space_take_pinverse(space, pinverse, error))
            return FALSE;
    }
    if (labels != NULL) {
        W2wPeopleTable *people = w2w_people_table_load(
            labels, space->n_people, w2w_space_part_name(space, W2W_SPACE_PROJECTIONS), error);

        if (people == NULL)
            return FALSE;
        w2w_people_table_free(space->people);
        space->people = people;
    }
    return TRUE;
}

gboolean w2w_space_read_folder(W2wSpace *space, GError **error)
{
    return read_required(space, error) && read_dataset(space, error) && read_people(space, error) &&
           open_keys(space, error) && open_adapter(space, error);
}
