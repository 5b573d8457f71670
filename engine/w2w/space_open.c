/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening a space: its parts, wherever they lie, checked against each other.
 *
 * The mean sets n; every other part must agree with it, and a contradiction names both.
 */
#include <math.h>

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/w2w/identity.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* Rows of proj that are read at a time. */
#define BLOCK_ROWS 256

static const char *const folder_names[W2W_N_SPACE_PARTS] = {
    [W2W_SPACE_MEAN] = "mean.pt",
    [W2W_SPACE_STD] = "std.pt",
    [W2W_SPACE_V] = "V.pt",
    [W2W_SPACE_PROJECTIONS] = "proj_1000pc.pt",
    [W2W_SPACE_PINVERSE] = "pinverse_1000pc.pt",
    [W2W_SPACE_LABELS] = "identity_df.pt",
    [W2W_SPACE_KEYS] = "weight_dimensions.pt",
    [W2W_SPACE_ADAPTER] = "adapter_config.json",
    [W2W_SPACE_DATASET] = "all_weights.pt",
};

/* Of our own form: tensors, and metadata. */
static const char *const file_names[W2W_N_SPACE_PARTS] = {
    [W2W_SPACE_MEAN] = "“mean”",           [W2W_SPACE_STD] = "“std”",
    [W2W_SPACE_V] = "“components”",        [W2W_SPACE_PROJECTIONS] = "“projections”",
    [W2W_SPACE_PINVERSE] = "“directions”", [W2W_SPACE_LABELS] = "“labels”",
    [W2W_SPACE_KEYS] = "“keys”",           [W2W_SPACE_ADAPTER] = "“lora_scale”",
    [W2W_SPACE_DATASET] = "“all_weights”",
};

const char *w2w_space_part_name(const W2wSpace *space, W2wSpacePart part)
{
    return space->part_names[part];
}

char *w2w_space_describe_part(const W2wSpace *space, W2wSpacePart part)
{
    if (space->is_file)
        return g_strdup_printf("%s of %s", space->part_names[part], space->directory);
    return g_build_filename(space->directory, space->part_names[part], NULL);
}

gboolean w2w_space_fail(const W2wSpace *space, W2wSpacePart part, W2wError code, GError **error,
                        const char *format, ...)
{
    g_autofree char *place = w2w_space_describe_part(space, part);
    g_autofree char *detail = NULL;
    va_list arguments;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, code, "%s %s", place, detail);
    return FALSE;
}

static gboolean check_floats(const W2wSpace *space, W2wSpacePart part, const W2wArray *array,
                             GError **error)
{
    if (w2w_dtype_is_float(array->dtype))
        return TRUE;
    return w2w_space_fail(space, part, W2W_ERROR_FORMAT, error,
                          "holds %s numbers; floating point was expected.",
                          w2w_dtype_name(array->dtype));
}

/* A tensor with at most one dimension that is not 1, as finite doubles. */
static double *read_vector(const W2wSpace *space, W2wSpacePart part, const W2wArray *array,
                           GError **error)
{
    double *values;
    guint n_long = 0;

    if (!check_floats(space, part, array, error))
        return NULL;
    for (guint d = 0; d < array->n_dims; d++)
        n_long += array->shape[d] != 1;
    if (n_long > 1 || array->n_elements < 1) {
        g_autofree char *shape = w2w_array_shape_to_string(array);

        w2w_space_fail(space, part, W2W_ERROR_FORMAT, error,
                       "has the shape %s; one row of numbers was expected.", shape);
        return NULL;
    }
    values = w2w_aligned_alloc((gsize)array->n_elements, sizeof *values,
                               w2w_space_part_name(space, part), error);
    if (values == NULL)
        return NULL;
    w2w_array_to_f64(array, values);
    for (gint64 i = 0; i < array->n_elements; i++) {
        if (!isfinite(values[i])) {
            w2w_space_fail(space, part, W2W_ERROR_FORMAT, error,
                           "holds a number that is not finite (at %" G_GINT64_FORMAT ").", i);
            w2w_aligned_free(values);
            return NULL;
        }
    }
    return values;
}

gboolean w2w_space_take_mean(W2wSpace *space, const W2wArray *array, GError **error)
{
    space->mean = read_vector(space, W2W_SPACE_MEAN, array, error);
    space->n_weights = array->n_elements;
    return space->mean != NULL;
}

gboolean w2w_space_take_std(W2wSpace *space, const W2wArray *array, GError **error)
{
    space->std = read_vector(space, W2W_SPACE_STD, array, error);
    if (space->std == NULL)
        return FALSE;
    if (array->n_elements != space->n_weights)
        return w2w_space_fail(
            space, W2W_SPACE_STD, W2W_ERROR_MISMATCH, error,
            "has %" G_GINT64_FORMAT " numbers, %s beside it %" G_GINT64_FORMAT ".",
            array->n_elements, w2w_space_part_name(space, W2W_SPACE_MEAN), space->n_weights);
    for (gint64 i = 0; i < space->n_weights; i++)
        if (space->std[i] < 0.0)
            return w2w_space_fail(space, W2W_SPACE_STD, W2W_ERROR_FORMAT, error,
                                  "holds a negative deviation (at %" G_GINT64_FORMAT ").", i);
    return TRUE;
}

/* A matrix of at least one row and column, with no more components than identities can have. */
static gboolean check_matrix(const W2wSpace *space, W2wSpacePart part, const W2wArray *array,
                             guint component_dimension, GError **error)
{
    g_autofree char *shape = NULL;

    if (!check_floats(space, part, array, error))
        return FALSE;
    if (array->n_dims == 2 && array->n_elements >= 1 &&
        array->shape[component_dimension] <= W2W_IDENTITY_MAX_COEFFICIENTS)
        return TRUE;
    shape = w2w_array_shape_to_string(array);
    return w2w_space_fail(space, part, W2W_ERROR_FORMAT, error,
                          "has the shape %s; a matrix of at most %d components was expected.",
                          shape, W2W_IDENTITY_MAX_COEFFICIENTS);
}

gboolean w2w_space_take_v(W2wSpace *space, W2wArray *array, GError **error)
{
    if (!check_matrix(space, W2W_SPACE_V, array, 1, error))
        return FALSE;
    if (array->shape[0] != space->n_weights)
        return w2w_space_fail(space, W2W_SPACE_V, W2W_ERROR_MISMATCH, error,
                              "has %" G_GINT64_FORMAT " rows, %s beside it %" G_GINT64_FORMAT
                              " numbers: they must be equal.",
                              array->shape[0], w2w_space_part_name(space, W2W_SPACE_MEAN),
                              space->n_weights);
    space->v = w2w_array_ref(array);
    space->n_components = (guint)array->shape[1];
    return TRUE;
}

gboolean w2w_space_take_dataset(W2wSpace *space, W2wArray *array, GError **error)
{
    g_autofree char *shape = w2w_array_shape_to_string(array);

    if (!check_floats(space, W2W_SPACE_DATASET, array, error))
        return FALSE;
    if (array->n_dims != 2 || array->shape[0] < 2)
        return w2w_space_fail(space, W2W_SPACE_DATASET, W2W_ERROR_FORMAT, error,
                              "has the shape %s; a row of weights for each of several people was "
                              "expected.",
                              shape);
    if (array->shape[1] != space->n_weights)
        return w2w_space_fail(space, W2W_SPACE_DATASET, W2W_ERROR_MISMATCH, error,
                              "has rows of %" G_GINT64_FORMAT
                              " weights, %s beside it %" G_GINT64_FORMAT ": they must be equal.",
                              array->shape[1], w2w_space_part_name(space, W2W_SPACE_MEAN),
                              space->n_weights);
    space->dataset = w2w_array_ref(array);
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
                return w2w_space_fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_FORMAT, error,
                                      "holds numbers that are not finite (in column %u).", j);
        }
    }
    return TRUE;
}

gboolean w2w_space_take_projections(W2wSpace *space, W2wArray *array, GError **error)
{
    if (!check_matrix(space, W2W_SPACE_PROJECTIONS, array, 1, error))
        return FALSE;
    if (array->shape[1] > space->n_components)
        return w2w_space_fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_MISMATCH, error,
                              "has %" G_GINT64_FORMAT " components, %s beside it only %u.",
                              array->shape[1], w2w_space_part_name(space, W2W_SPACE_V),
                              space->n_components);
    if (array->shape[0] < 2)
        return w2w_space_fail(space, W2W_SPACE_PROJECTIONS, W2W_ERROR_FORMAT, error,
                              "holds one person; a population has two at least.");
    space->projections = w2w_array_ref(array);
    space->n_people = array->shape[0];
    space->n_with_statistics = (guint)array->shape[1];
    return read_statistics(space, error);
}

gboolean w2w_space_take_pinverse(W2wSpace *space, W2wArray *array, GError **error)
{
    g_autofree char *shape = w2w_array_shape_to_string(array);
    g_autofree char *other = w2w_array_shape_to_string(space->projections);

    if (!check_matrix(space, W2W_SPACE_PINVERSE, array, 0, error))
        return FALSE;
    if (array->shape[0] != space->n_with_statistics || array->shape[1] != space->n_people)
        return w2w_space_fail(space, W2W_SPACE_PINVERSE, W2W_ERROR_MISMATCH, error,
                              "has the shape %s, %s beside it %s: it cannot be its "
                              "pseudo-inverse.",
                              shape, w2w_space_part_name(space, W2W_SPACE_PROJECTIONS), other);
    space->pinverse = w2w_array_ref(array);
    return TRUE;
}

void w2w_space_add_missing(W2wSpace *space, W2wSpacePart part)
{
    static const char *const needed_for[W2W_N_SPACE_PARTS] = {
        [W2W_SPACE_PROJECTIONS] = "people, sampling, edits and directions",
        [W2W_SPACE_LABELS] = "the names of people and directions",
        [W2W_SPACE_KEYS] = "the order of the LoRA factors (the model's own order is taken)",
        [W2W_SPACE_ADAPTER] = "the LoRA's scale (27 is taken)",
    };
    const W2wSpaceMissing missing = {w2w_space_part_name(space, part), needed_for[part]};

    g_array_append_val(space->missing, missing);
}

W2wSpace *w2w_space_open(const char *path, GError **error)
{
    g_autoptr(W2wSpace) space = g_new0(W2wSpace, 1);

    space->directory = g_strdup(path);
    space->is_file = g_file_test(path, G_FILE_TEST_IS_REGULAR);
    space->part_names = space->is_file ? file_names : folder_names;
    space->keys = w2w_space_keys_new();
    space->people = w2w_people_table_new();
    space->added = w2w_direction_store_new();
    space->missing = g_array_new(FALSE, FALSE, sizeof(W2wSpaceMissing));
    space->lora_scale = W2W_SPACE_DEFAULT_SCALE;
    if (!space->is_file && !g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "There is no folder or file %s; a w2w space was expected there.", path);
        return NULL;
    }
    if (space->is_file ? !w2w_space_read_file(space, error) : !w2w_space_read_folder(space, error))
        return NULL;
    return g_steal_pointer(&space);
}
