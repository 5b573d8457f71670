/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a space that is one file. */
#include "engine/w2w/space_file.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"
#include "engine/w2w/space_internal.h"

#define VERSION 1

static gboolean check_format(const W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    const char *version = w2w_safetensors_get_metadata(file, "version");

    if (g_strcmp0(w2w_safetensors_get_metadata(file, "format"), W2W_SPACE_FORMAT) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s is no space: its metadata lacks the format “" W2W_SPACE_FORMAT "”.",
                    space->directory);
        return FALSE;
    }
    if (g_strcmp0(version, G_STRINGIFY(VERSION)) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "%s was written by another program: its version is %s, this program reads %d.",
                    space->directory, version != NULL ? version : "missing", VERSION);
        return FALSE;
    }
    return TRUE;
}

static gboolean read_scale(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    const char *text = w2w_safetensors_get_metadata(file, "lora_scale");
    char *end = NULL;
    double scale;

    if (text == NULL) {
        w2w_space_add_missing(space, W2W_SPACE_ADAPTER);
        return TRUE;
    }
    scale = g_ascii_strtod(text, &end);
    if (end == text || *end != 0 || !(scale > 0.0 && scale <= 1e6))
        return w2w_space_fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_FORMAT, error,
                              "is no positive number.");
    space->lora_scale = (float)scale;
    return TRUE;
}

/* A JSON list of the metadata; NULL without an error where there is none. */
static JsonNode *read_list(const W2wSpace *space, const W2wSafetensors *file, const char *key,
                           GError **error)
{
    const char *text = w2w_safetensors_get_metadata(file, key);
    g_autofree char *name = g_strdup_printf("“%s” of %s", key, space->directory);
    g_autoptr(JsonNode) node = NULL;

    if (text == NULL)
        return NULL;
    node = w2w_json_parse_any(text, strlen(text), name, error);
    if (node != NULL && !JSON_NODE_HOLDS_ARRAY(node)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s is no list.", name);
        return NULL;
    }
    return g_steal_pointer(&node);
}

static const char *get_text(JsonArray *array, guint i)
{
    JsonNode *node = i < json_array_get_length(array) ? json_array_get_element(array, i) : NULL;

    return node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
}

static gboolean read_key(JsonNode *node, GArray *keys)
{
    JsonArray *entry = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    const char *path, *factor;
    JsonNode *length;
    W2wSpaceKey key;

    if (entry == NULL || json_array_get_length(entry) != 3)
        return FALSE;
    path = get_text(entry, 0);
    factor = get_text(entry, 1);
    length = json_array_get_element(entry, 2);
    if (path == NULL || *path == 0 ||
        (g_strcmp0(factor, "A") != 0 && g_strcmp0(factor, "B") != 0) ||
        !JSON_NODE_HOLDS_VALUE(length) || json_node_get_value_type(length) != G_TYPE_INT64)
        return FALSE;
    key = (W2wSpaceKey){
        .path = g_strdup(path), .is_b = *factor == 'B', .length = json_node_get_int(length)};
    g_array_append_val(keys, key);
    return TRUE;
}

static gboolean read_keys(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    GError *problem = NULL;
    g_autoptr(JsonNode) node = read_list(space, file, "keys", &problem);
    g_autoptr(GArray) keys = w2w_space_keys_new();
    g_autofree char *place = w2w_space_describe_part(space, W2W_SPACE_KEYS);
    JsonArray *list;

    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    list = node != NULL ? json_node_get_array(node) : NULL;
    if (list == NULL || json_array_get_length(list) == 0) {
        w2w_space_add_missing(space, W2W_SPACE_KEYS);
        return TRUE;
    }
    for (guint i = 0; i < json_array_get_length(list); i++)
        if (!read_key(json_array_get_element(list, i), keys))
            return w2w_space_fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                                  "has an entry (%u) that is not [path, \"A\" or \"B\", length].",
                                  i);
    return w2w_space_take_keys(space, keys, place, error);
}

static gboolean read_card(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    const char *text = w2w_safetensors_get_metadata(file, "card");
    g_autofree char *name = g_strdup_printf("“card” of %s", space->directory);
    g_autoptr(JsonObject) card = NULL;

    if (text == NULL)
        return TRUE;
    card = w2w_json_parse(text, strlen(text), name, error);
    space->card = card != NULL ? g_strdup(text) : NULL;
    return card != NULL;
}

/* n_people texts with a NUL behind each. */
static gboolean read_texts(const W2wSpace *space, const W2wSafetensors *file, const char *key,
                           GPtrArray **texts, GError **error)
{
    const W2wArray *array = w2w_safetensors_peek(file, key);
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    const char *at, *end;

    if (array == NULL)
        return TRUE;
    at = array->data;
    end = at + (array->dtype == W2W_DTYPE_U8 && array->n_dims == 1 ? array->n_elements : 0);
    while (at < end) {
        const char *stop = memchr(at, 0, (gsize)(end - at));

        if (stop == NULL || !g_utf8_validate(at, stop - at, NULL))
            break;
        g_ptr_array_add(found, g_strndup(at, (gsize)(stop - at)));
        at = stop + 1;
    }
    if (at != end || found->len != space->n_people) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "“%s” of %s does not hold %" G_GINT64_FORMAT
                    " texts in UTF-8, one for each person.",
                    key, space->directory, space->n_people);
        return FALSE;
    }
    *texts = g_steal_pointer(&found);
    return TRUE;
}

static gboolean has_shape(const W2wArray *array, W2wDType dtype, gint64 n_rows, gint64 n_columns)
{
    const gint64 shape[2] = {n_rows, n_columns};

    return array != NULL && array->dtype == dtype && w2w_array_has_shape(array, 2, shape);
}

static gboolean read_labels(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    const W2wArray *labels = w2w_safetensors_peek(file, "labels");
    GError *problem = NULL;
    g_autoptr(JsonNode) node = read_list(space, file, "attributes", &problem);
    JsonArray *names = node != NULL ? json_node_get_array(node) : NULL;
    const guint n = names != NULL ? json_array_get_length(names) : 0;
    const gsize m = (gsize)space->n_people;

    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (labels == NULL) {
        w2w_space_add_missing(space, W2W_SPACE_LABELS);
        return TRUE;
    }
    if (!has_shape(labels, W2W_DTYPE_I8, n, space->n_people))
        return w2w_space_fail(space, W2W_SPACE_LABELS, W2W_ERROR_MISMATCH, error,
                              "must be I8 with a row for each of the %u “attributes” and a column "
                              "for each of the %" G_GINT64_FORMAT " people.",
                              n, space->n_people);
    for (guint a = 0; a < n; a++) {
        g_autofree gint8 *row = w2w_try_malloc(m, sizeof(gint8), "the labels of a space", error);
        const char *name = get_text(names, a);

        if (row == NULL)
            return FALSE;
        memcpy(row, (const gint8 *)labels->data + a * m, m);
        if (name == NULL || *name == 0 ||
            !w2w_people_table_add(space->people, name, row, space->n_people))
            return w2w_space_fail(space, W2W_SPACE_LABELS, W2W_ERROR_FORMAT, error,
                                  "must hold 1 and −1, both and nothing else, for every named "
                                  "attribute (row %u).",
                                  a);
        row = NULL;
    }
    return TRUE;
}

/* What w2w_space_fit_directions() would compute. */
static gboolean read_directions(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    const W2wArray *directions = w2w_safetensors_peek(file, "directions");
    const W2wArray *ranges = w2w_safetensors_peek(file, "score_ranges");
    const guint n = space->people->labels->len;

    if (n == 0 || directions == NULL || ranges == NULL)
        return TRUE;
    if (!has_shape(directions, W2W_DTYPE_F64, n, space->n_with_statistics) ||
        !has_shape(ranges, W2W_DTYPE_F64, n, 3))
        return w2w_space_fail(space, W2W_SPACE_PINVERSE, W2W_ERROR_MISMATCH, error,
                              "must be F64 with a row of %u numbers for each of the %u attributes, "
                              "“score_ranges” one of 3.",
                              space->n_with_statistics, n);
    space->directions =
        w2w_aligned_alloc((gsize)directions->n_elements, sizeof(double), "the directions", error);
    if (space->directions == NULL)
        return FALSE;
    w2w_array_to_f64(directions, space->directions);
    for (gint64 i = 0; i < directions->n_elements; i++)
        if (!isfinite(space->directions[i]))
            return w2w_space_fail(space, W2W_SPACE_PINVERSE, W2W_ERROR_FORMAT, error,
                                  "holds a number that is not finite.");
    space->ranges = g_new0(W2wScoreRange, n);
    for (guint a = 0; a < n; a++) {
        W2wScoreRange *range = &space->ranges[a];

        *range = (W2wScoreRange){.half_range = w2w_array_get(ranges, a * 3),
                                 .min = w2w_array_get(ranges, a * 3 + 1),
                                 .max = w2w_array_get(ranges, a * 3 + 2)};
        if (!(range->half_range >= 0.0 && range->min <= range->max && isfinite(range->min) &&
              isfinite(range->max) && isfinite(range->half_range)))
            return w2w_space_fail(space, W2W_SPACE_PINVERSE, W2W_ERROR_FORMAT, error,
                                  "has “score_ranges” beside it that are none (row %u).", a);
    }
    return TRUE;
}

static gboolean read_people(W2wSpace *space, const W2wSafetensors *file, GError **error)
{
    W2wArray *projections = w2w_safetensors_peek(file, "projections");

    if (projections == NULL) {
        w2w_space_add_missing(space, W2W_SPACE_PROJECTIONS);
        w2w_space_add_missing(space, W2W_SPACE_LABELS);
        return TRUE;
    }
    return w2w_space_take_projections(space, projections, error) &&
           read_labels(space, file, error) && read_directions(space, file, error) &&
           read_texts(space, file, "people", &space->people->names, error) &&
           read_texts(space, file, "files", &space->people->files, error);
}

gboolean w2w_space_read_file(W2wSpace *space, GError **error)
{
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(space->directory, error);
    g_autoptr(W2wArray) mean = NULL;
    g_autoptr(W2wArray) std = NULL;
    g_autoptr(W2wArray) components = NULL;
    g_autoptr(W2wArray) v = NULL;

    if (file == NULL || !check_format(space, file, error))
        return FALSE;
    mean = w2w_safetensors_get(file, "mean", error);
    if (mean == NULL || !w2w_space_take_mean(space, mean, error))
        return FALSE;
    std = w2w_safetensors_get(file, "std", error);
    if (std == NULL || !w2w_space_take_std(space, std, error))
        return FALSE;
    components = w2w_safetensors_get(file, "components", error);
    if (components == NULL)
        return FALSE;
    if (components->n_dims != 2)
        return w2w_space_fail(space, W2W_SPACE_V, W2W_ERROR_FORMAT, error,
                              "must have a row for each component.");
    v = w2w_array_transpose(components);
    return w2w_space_take_v(space, v, error) && read_people(space, file, error) &&
           read_keys(space, file, error) && read_scale(space, file, error) &&
           read_card(space, file, error);
}
