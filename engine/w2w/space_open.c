/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening a space: upstream's files, checked against each other.
 *
 * mean.pt sets n; every other file must agree with it, and a contradiction names both.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/pt.h"
#include "engine/memory.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/lora_key.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* Upstream's alpha over rank, for folders without adapter_config.json. */
#define UPSTREAM_SCALE 27.0f

/* Rows of proj that are read at a time. */
#define BLOCK_ROWS 256

static gboolean has_file(const W2wSpace *space, const char *name)
{
    g_autofree char *path = w2w_space_file(space, name);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

G_GNUC_PRINTF(5, 6)
static gboolean fail(const W2wSpace *space, const char *name, W2wError code, GError **error,
                     const char *format, ...)
{
    g_autofree char *path = w2w_space_file(space, name);
    g_autofree char *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, code, "%s %s", path, detail);
    return FALSE;
}

static W2wArray *open_floats(const W2wSpace *space, const char *name, GError **error)
{
    g_autofree char *path = w2w_space_file(space, name);
    g_autoptr(W2wArray) array = w2w_pt_open_array(path, error);

    if (array != NULL && !w2w_dtype_is_float(array->dtype)) {
        fail(space, name, W2W_ERROR_FORMAT, error, "holds %s numbers; floating point was expected.",
             w2w_dtype_name(array->dtype));
        return NULL;
    }
    return g_steal_pointer(&array);
}

/* A tensor with at most one dimension that is not 1, as finite doubles. */
static double *read_vector(const W2wSpace *space, const char *name, gint64 *n, GError **error)
{
    g_autoptr(W2wArray) array = open_floats(space, name, error);
    double *values;
    guint n_long = 0;

    if (array == NULL)
        return NULL;
    for (guint d = 0; d < array->n_dims; d++)
        n_long += array->shape[d] != 1;
    if (n_long > 1 || array->n_elements < 1) {
        g_autofree char *shape = w2w_array_shape_to_string(array);

        fail(space, name, W2W_ERROR_FORMAT, error,
             "has the shape %s; one row of numbers was expected.", shape);
        return NULL;
    }
    values = w2w_aligned_alloc((gsize)array->n_elements, sizeof *values, name, error);
    if (values == NULL)
        return NULL;
    w2w_array_to_f64(array, values);
    for (gint64 i = 0; i < array->n_elements; i++) {
        if (!isfinite(values[i])) {
            fail(space, name, W2W_ERROR_FORMAT, error,
                 "holds a number that is not finite (at %" G_GINT64_FORMAT ").", i);
            w2w_aligned_free(values);
            return NULL;
        }
    }
    *n = array->n_elements;
    return values;
}

static gboolean read_mean_and_std(W2wSpace *space, GError **error)
{
    gint64 n_std = 0;

    space->mean = read_vector(space, W2W_SPACE_MEAN, &space->n_weights, error);
    if (space->mean == NULL)
        return FALSE;
    space->std = read_vector(space, W2W_SPACE_STD, &n_std, error);
    if (space->std == NULL)
        return FALSE;
    if (n_std != space->n_weights)
        return fail(space, W2W_SPACE_STD, W2W_ERROR_MISMATCH, error,
                    "has %" G_GINT64_FORMAT " numbers, " W2W_SPACE_MEAN
                    " beside it %" G_GINT64_FORMAT ".",
                    n_std, space->n_weights);
    for (gint64 i = 0; i < n_std; i++)
        if (space->std[i] < 0.0)
            return fail(space, W2W_SPACE_STD, W2W_ERROR_FORMAT, error,
                        "holds a negative deviation (at %" G_GINT64_FORMAT ").", i);
    return TRUE;
}

/* A matrix of at least one row and column, with no more components than identities can have. */
static W2wArray *open_matrix(const W2wSpace *space, const char *name, guint component_dimension,
                             GError **error)
{
    g_autoptr(W2wArray) array = open_floats(space, name, error);

    if (array == NULL)
        return NULL;
    if (array->n_dims != 2 || array->n_elements < 1 ||
        array->shape[component_dimension] > W2W_IDENTITY_MAX_COEFFICIENTS) {
        g_autofree char *shape = w2w_array_shape_to_string(array);

        fail(space, name, W2W_ERROR_FORMAT, error,
             "has the shape %s; a matrix of at most %d components was expected.", shape,
             W2W_IDENTITY_MAX_COEFFICIENTS);
        return NULL;
    }
    return g_steal_pointer(&array);
}

static gboolean open_v(W2wSpace *space, GError **error)
{
    space->v = open_matrix(space, W2W_SPACE_V, 1, error);
    if (space->v == NULL)
        return FALSE;
    if (space->v->shape[0] != space->n_weights)
        return fail(space, W2W_SPACE_V, W2W_ERROR_MISMATCH, error,
                    "has %" G_GINT64_FORMAT " rows, " W2W_SPACE_MEAN " beside it %" G_GINT64_FORMAT
                    " numbers: they must be equal.",
                    space->v->shape[0], space->n_weights);
    space->n_components = (guint)space->v->shape[1];
    return TRUE;
}

/*
 * Mean and standard deviation (over m − 1) of the columns of proj, in two walks: the second one
 * adds squares of deviations, which are small, and looks at every number for NaN.
 */
static gboolean read_statistics(W2wSpace *space, GError **error)
{
    const guint n = space->n_with_statistics;
    const gint64 m = space->n_people;
    W2W_AUTO_ALIGNED double *rows = NULL;
    double *const mean =
        w2w_aligned_alloc0(n, sizeof(double), "the population's statistics", error);
    double *std;

    space->coefficient_mean = mean;
    if (mean == NULL)
        return FALSE;
    std = space->coefficient_std =
        w2w_aligned_alloc0(n, sizeof(double), "the population's statistics", error);
    if (std == NULL)
        return FALSE;
    rows = w2w_aligned_alloc((gsize)MIN(m, BLOCK_ROWS) * n, sizeof *rows, "rows of the population",
                             error);
    if (rows == NULL)
        return FALSE;
    for (guint pass = 0; pass < 2; pass++) {
        for (gint64 first = 0; first < m; first += BLOCK_ROWS) {
            const gint64 n_rows = MIN(BLOCK_ROWS, m - first);

            w2w_matrix_read_rows(space->projections, first, n_rows, rows);
            for (gint64 r = 0; r < n_rows; r++) {
                const double *row = rows + (gsize)r * n;

                for (guint j = 0; j < n; j++) {
                    if (pass == 0)
                        mean[j] += row[j];
                    else
                        std[j] += (row[j] - mean[j]) * (row[j] - mean[j]);
                }
            }
        }
        for (guint j = 0; j < n; j++) {
            if (pass == 0)
                mean[j] /= (double)m;
            else
                std[j] = sqrt(std[j] / (double)(m - 1));
            if (!isfinite(pass == 0 ? mean[j] : std[j]))
                return fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_FORMAT, error,
                            "holds numbers that are not finite (in column %u).", j);
        }
    }
    return TRUE;
}

static gboolean open_projections(W2wSpace *space, GError **error)
{
    if (!has_file(space, W2W_SPACE_PROJECTIONS))
        return TRUE;
    space->projections = open_matrix(space, W2W_SPACE_PROJECTIONS, 1, error);
    if (space->projections == NULL)
        return FALSE;
    if (space->projections->shape[1] > space->n_components)
        return fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_MISMATCH, error,
                    "has %" G_GINT64_FORMAT " components, " W2W_SPACE_V " beside it only %u.",
                    space->projections->shape[1], space->n_components);
    if (space->projections->shape[0] < 2)
        return fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_FORMAT, error,
                    "holds one person; a population has two at least.");
    space->n_people = space->projections->shape[0];
    space->n_with_statistics = (guint)space->projections->shape[1];
    return read_statistics(space, error);
}

static gboolean open_pinverse(W2wSpace *space, GError **error)
{
    if (space->projections == NULL || !has_file(space, W2W_SPACE_PINVERSE))
        return TRUE;
    space->pinverse = open_matrix(space, W2W_SPACE_PINVERSE, 0, error);
    if (space->pinverse == NULL)
        return FALSE;
    if (space->pinverse->shape[0] != space->n_with_statistics ||
        space->pinverse->shape[1] != space->n_people) {
        g_autofree char *shape = w2w_array_shape_to_string(space->pinverse);
        g_autofree char *other = w2w_array_shape_to_string(space->projections);

        return fail(space, W2W_SPACE_PINVERSE, W2W_ERROR_MISMATCH, error,
                    "has the shape %s, " W2W_SPACE_PROJECTIONS
                    " beside it %s: it cannot be its pseudo-inverse.",
                    shape, other);
    }
    return TRUE;
}

/* The labels of a column, or NULL where it holds anything but 1 and −1, or only one of them. */
static gint8 *read_labels(const W2wPtValue *table, guint column, gint64 n_people)
{
    g_autoptr(W2wArray) numbers = w2w_pt_value_get_column(table, column);
    g_autofree gint8 *labels = NULL;
    gint64 n_positive = 0;

    if (numbers == NULL || numbers->n_elements != n_people)
        return NULL;
    labels = g_try_new(gint8, (gsize)n_people);
    if (labels == NULL)
        return NULL;
    for (gint64 i = 0; i < n_people; i++) {
        const double value = w2w_array_get(numbers, i);

        if (value != 1.0 && value != -1.0)
            return NULL;
        labels[i] = (gint8)value;
        n_positive += value > 0.0;
    }
    return n_positive > 0 && n_positive < n_people ? g_steal_pointer(&labels) : NULL;
}

static gboolean open_labels(W2wSpace *space, GError **error)
{
    g_autofree char *path = w2w_space_file(space, W2W_SPACE_LABELS);
    g_autoptr(W2wPtValue) table = NULL;

    if (space->projections == NULL || !g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    table = w2w_pt_open(path, error);
    if (table == NULL)
        return FALSE;
    if (w2w_pt_value_get_type(table) != W2W_PT_DATAFRAME)
        return fail(space, W2W_SPACE_LABELS, W2W_ERROR_FORMAT, error,
                    "holds %s; a DataFrame with a column per attribute was expected.",
                    w2w_pt_type_describe(w2w_pt_value_get_type(table)));
    if (w2w_pt_value_get_n_rows(table) != space->n_people)
        return fail(space, W2W_SPACE_LABELS, W2W_ERROR_MISMATCH, error,
                    "has %" G_GINT64_FORMAT " rows, " W2W_SPACE_PROJECTIONS
                    " beside it %" G_GINT64_FORMAT " people: they must be equal.",
                    w2w_pt_value_get_n_rows(table), space->n_people);
    for (guint i = 0; i < w2w_pt_value_get_n_columns(table); i++) {
        const W2wPtValue *name = w2w_pt_value_get_column_name(table, i);
        gint8 *labels;

        if (w2w_pt_value_get_type(name) != W2W_PT_STRING)
            continue;
        labels = read_labels(table, i, space->n_people);
        if (labels == NULL)
            continue;
        g_ptr_array_add(space->attributes, g_strdup(w2w_pt_value_get_string(name)));
        g_ptr_array_add(space->labels, labels);
    }
    return TRUE;
}

/* One entry of weight_dimensions.pt: name → ((numel), (shape)). */
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
        return fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                    "has no ((size), (rows, columns)) for “%s”.", name);
    for (guint d = 0; d < 2; d++) {
        const W2wPtValue *number = w2w_pt_value_get_item(shape, d);

        if (w2w_pt_value_get_type(number) == W2W_PT_INT)
            dimensions[d] = w2w_pt_value_get_int(number);
        if (dimensions[d] < 1 || dimensions[d] > space->n_weights)
            return fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                        "has an impossible shape for “%s”.", name);
    }
    key.path = w2w_lora_key_parse(name, &key.is_b);
    if (key.path == NULL)
        return fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                    "has the key “%s”, which names no LoRA factor.", name);
    key.length = dimensions[key.is_b ? 0 : 1];
    g_array_append_val(keys, key);
    if (dimensions[key.is_b ? 1 : 0] != 1)
        return fail(space, W2W_SPACE_KEYS, W2W_ERROR_UNSUPPORTED, error,
                    "has a LoRA of rank %" G_GINT64_FORMAT
                    " (“%s”); spaces of rank 1 are supported.",
                    dimensions[key.is_b ? 1 : 0], name);
    if (w2w_pt_value_get_int(w2w_pt_value_get_item(sizes, 0)) != key.length)
        return fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                    "has a size and a shape for “%s” that do not agree.", name);
    return TRUE;
}

static gboolean open_keys(W2wSpace *space, GError **error)
{
    g_autofree char *path = w2w_space_file(space, W2W_SPACE_KEYS);
    g_autoptr(W2wPtValue) dictionary = NULL;
    g_autoptr(GArray) keys = w2w_space_keys_new();

    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    dictionary = w2w_pt_open(path, error);
    if (dictionary == NULL)
        return FALSE;
    if (w2w_pt_value_get_type(dictionary) != W2W_PT_DICT)
        return fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                    "holds %s; a dictionary was expected.",
                    w2w_pt_type_describe(w2w_pt_value_get_type(dictionary)));
    for (guint i = 0; i < w2w_pt_value_get_length(dictionary); i++) {
        W2wPtValue *key = w2w_pt_value_get_key(dictionary, i);

        if (w2w_pt_value_get_type(key) != W2W_PT_STRING)
            return fail(space, W2W_SPACE_KEYS, W2W_ERROR_FORMAT, error,
                        "has a key that is no string (entry %u).", i);
        if (!read_key(space, w2w_pt_value_get_string(key), w2w_pt_value_get_item(dictionary, i),
                      keys, error))
            return FALSE;
    }
    return w2w_space_take_keys(space, keys, path, error);
}

static gboolean read_number(JsonObject *object, const char *member, double *number)
{
    JsonNode *node = json_object_get_member(object, member);
    const GType type = node != NULL && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node)
                                                                   : G_TYPE_INVALID;

    if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
        return FALSE;
    *number = json_node_get_double(node);
    return isfinite(*number);
}

/* Present and neither null, false, empty nor "none": something that changes what a LoRA does. */
static gboolean asks_for(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return FALSE;
    if (JSON_NODE_HOLDS_OBJECT(node))
        return json_object_get_size(json_node_get_object(node)) > 0;
    if (JSON_NODE_HOLDS_ARRAY(node))
        return json_array_get_length(json_node_get_array(node)) > 0;
    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return !g_str_equal(json_node_get_string(node), "none");
    return json_node_get_value_type(node) != G_TYPE_BOOLEAN || json_node_get_boolean(node);
}

static gboolean open_adapter(W2wSpace *space, GError **error)
{
    /* Of rank 1, use_rslora changes nothing: the square root of 1. */
    static const char *const unsupported[] = {"use_dora",       "rank_pattern", "alpha_pattern",
                                              "fan_in_fan_out", "bias",         "lora_bias"};
    g_autofree char *path = w2w_space_file(space, W2W_SPACE_ADAPTER);
    g_autoptr(JsonObject) config = NULL;
    double rank, alpha;

    space->lora_scale = UPSTREAM_SCALE;
    if (!g_file_test(path, G_FILE_TEST_EXISTS))
        return TRUE;
    config = w2w_json_load(path, error);
    if (config == NULL)
        return FALSE;
    if (!read_number(config, "r", &rank))
        return fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_FORMAT, error, "has no number “r”.");
    if (!read_number(config, "lora_alpha", &alpha) || alpha <= 0.0 || alpha > 1e6)
        return fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_FORMAT, error,
                    "has no positive number “lora_alpha”.");
    if (rank != 1.0)
        return fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_UNSUPPORTED, error,
                    "has r = %g; spaces of rank 1 are supported.", rank);
    for (guint i = 0; i < G_N_ELEMENTS(unsupported); i++)
        if (asks_for(config, unsupported[i]))
            return fail(space, W2W_SPACE_ADAPTER, W2W_ERROR_UNSUPPORTED, error,
                        "sets “%s”, which is not supported.", unsupported[i]);
    space->lora_scale = (float)(alpha / rank);
    return TRUE;
}

W2wSpace *w2w_space_open(const char *directory, GError **error)
{
    g_autoptr(W2wSpace) space = g_new0(W2wSpace, 1);

    space->directory = g_strdup(directory);
    space->keys = w2w_space_keys_new();
    space->attributes = g_ptr_array_new_with_free_func(g_free);
    space->labels = g_ptr_array_new_with_free_func(g_free);
    if (!g_file_test(directory, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "There is no folder %s; a w2w space was expected there.", directory);
        return NULL;
    }
    if (!read_mean_and_std(space, error) || !open_v(space, error) ||
        !open_projections(space, error) || !open_pinverse(space, error) ||
        !open_labels(space, error) || !open_keys(space, error) || !open_adapter(space, error))
        return NULL;
    g_ptr_array_add(space->attributes, NULL);
    return g_steal_pointer(&space);
}
