/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between coefficients and weights, and what a space tells about itself. */
#include "engine/w2w/space.h"

#include <math.h>

#include "engine/error.h"
#include "engine/formats/mapped_file.h"
#include "engine/memory.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* Of V, in the fingerprint. */
#define FINGERPRINT_COLUMNS 256

void w2w_space_free(W2wSpace *space)
{
    if (space == NULL)
        return;
    g_free(space->directory);
    w2w_aligned_free(space->mean);
    w2w_aligned_free(space->std);
    g_clear_pointer(&space->v, w2w_array_unref);
    g_clear_pointer(&space->keys, g_array_unref);
    g_free(space->fingerprint);
    g_clear_pointer(&space->projections, w2w_array_unref);
    g_clear_pointer(&space->pinverse, w2w_array_unref);
    w2w_aligned_free(space->coefficient_mean);
    w2w_aligned_free(space->coefficient_std);
    g_clear_pointer(&space->people, w2w_people_table_free);
    g_clear_pointer(&space->dataset, w2w_array_unref);
    g_clear_pointer(&space->missing, g_array_unref);
    g_clear_pointer(&space->added, w2w_direction_store_free);
    g_free(space->card);
    w2w_aligned_free(space->directions);
    g_free(space->ranges);
    g_free(space);
}

const char *w2w_space_get_directory(const W2wSpace *space)
{
    return space->directory;
}

gint64 w2w_space_get_n_weights(const W2wSpace *space)
{
    return space->n_weights;
}

guint w2w_space_get_n_components(const W2wSpace *space)
{
    return space->n_components;
}

guint w2w_space_get_n_with_statistics(const W2wSpace *space)
{
    return space->n_with_statistics;
}

gint64 w2w_space_get_n_people(const W2wSpace *space)
{
    return space->n_people;
}

float w2w_space_get_lora_scale(const W2wSpace *space)
{
    return space->lora_scale;
}

const double *w2w_space_get_coefficient_mean(const W2wSpace *space)
{
    return space->coefficient_mean;
}

const double *w2w_space_get_coefficient_std(const W2wSpace *space)
{
    return space->coefficient_std;
}

W2wArray *w2w_space_get_projections(const W2wSpace *space)
{
    return space->projections;
}

const char *const *w2w_space_get_attributes(const W2wSpace *space)
{
    return (const char *const *)space->people->attributes->pdata;
}

const char *w2w_space_get_card(const W2wSpace *space)
{
    return space->card;
}

const W2wSpaceMissing *w2w_space_get_missing(const W2wSpace *space, guint *n_missing)
{
    *n_missing = space->missing->len;
    return (const W2wSpaceMissing *)(gpointer)space->missing->data;
}

const gint8 *w2w_space_get_labels(const W2wSpace *space, const char *attribute, GError **error)
{
    const gint i = w2w_space_find_attribute(space, attribute);
    g_autofree char *list = NULL;

    if (!w2w_space_require_people(space, "A label", error))
        return NULL;
    if (i >= 0)
        return space->people->labels->pdata[i];
    list = g_strjoinv(", ", (char **)space->people->attributes->pdata);
    g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                "“%s” is no attribute of the space %s. It has: %s.", attribute, space->directory,
                list);
    return NULL;
}

gboolean w2w_space_require_people(const W2wSpace *space, const char *what, GError **error)
{
    if (space->n_with_statistics > 0)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "%s needs the people of the space, and %s has no %s%s.", what, space->directory,
                w2w_space_part_name(space, W2W_SPACE_PROJECTIONS),
                space->dataset != NULL ? " (w2w convert can make it of the space's weights)" : "");
    return FALSE;
}

gint w2w_space_find_attribute(const W2wSpace *space, const char *attribute)
{
    for (guint i = 0; i < space->people->labels->len; i++)
        if (g_str_equal(space->people->attributes->pdata[i], attribute))
            return (gint)i;
    return -1;
}

/* V is too large to be looked through when it is opened: what it gives is checked instead. */
static gboolean check_product(const W2wSpace *space, double value, GError **error)
{
    g_autofree char *place = NULL;

    /* Also more than a float can hold: it would become infinite. */
    if (fabs(value) <= G_MAXFLOAT)
        return TRUE;
    place = w2w_space_describe_part(space, W2W_SPACE_V);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "The product with %s is not finite: the file is damaged, or the values are far "
                "out of range.",
                place);
    return FALSE;
}

gboolean w2w_space_unproject(const W2wSpace *space, const float *coefficients, guint n_coefficients,
                             float *theta, GError **error)
{
    W2W_AUTO_ALIGNED double *sums = NULL;
    W2W_AUTO_ALIGNED double *factors = NULL;

    if (n_coefficients > space->n_components) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The identity has %u coefficients, the space %s only %u components.",
                    n_coefficients, space->directory, space->n_components);
        return FALSE;
    }
    sums = w2w_aligned_alloc((gsize)space->n_weights, sizeof *sums, "an identity's weights", error);
    if (sums == NULL)
        return FALSE;
    factors = w2w_aligned_alloc(n_coefficients, sizeof *factors, "an identity", error);
    if (factors == NULL)
        return FALSE;
    for (guint j = 0; j < n_coefficients; j++) {
        if (!isfinite(coefficients[j])) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "Coefficient %u of the identity is not a finite number.", j + 1);
            return FALSE;
        }
        factors[j] = coefficients[j];
    }
    w2w_matrix_multiply(space->v, factors, n_coefficients, sums);
    for (gint64 i = 0; i < space->n_weights; i++) {
        const double value = space->mean[i] + space->std[i] * sums[i];

        if (!check_product(space, value, error))
            return FALSE;
        theta[i] = (float)value;
    }
    return w2w_mapped_files_check(error);
}

gboolean w2w_space_project(const W2wSpace *space, const float *theta, float *coefficients,
                           GError **error)
{
    W2W_AUTO_ALIGNED double *deviations = NULL;
    W2W_AUTO_ALIGNED double *sums = NULL;

    deviations = w2w_aligned_alloc((gsize)space->n_weights, sizeof *deviations,
                                   "an identity's weights", error);
    if (deviations == NULL)
        return FALSE;
    sums = w2w_aligned_alloc(space->n_components, sizeof *sums, "an identity", error);
    if (sums == NULL)
        return FALSE;
    for (gint64 i = 0; i < space->n_weights; i++) {
        if (!isfinite(theta[i])) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "Weight %" G_GINT64_FORMAT " is not a finite number.", i + 1);
            return FALSE;
        }
        deviations[i] =
            space->std[i] > 0.0 ? ((double)theta[i] - space->mean[i]) / space->std[i] : 0.0;
    }
    w2w_matrix_multiply_transposed(space->v, deviations, space->n_components, sums);
    for (guint j = 0; j < space->n_components; j++) {
        if (!check_product(space, sums[j], error))
            return FALSE;
        coefficients[j] = (float)sums[j];
    }
    return w2w_mapped_files_check(error);
}

gboolean w2w_space_project_gradient(const W2wSpace *space, const float *d_theta,
                                    guint n_coefficients, float *d_coefficients, GError **error)
{
    W2W_AUTO_ALIGNED double *scaled = NULL;
    W2W_AUTO_ALIGNED double *sums = NULL;

    g_assert(n_coefficients <= space->n_components);
    scaled =
        w2w_aligned_alloc((gsize)space->n_weights, sizeof *scaled, "an identity's weights", error);
    if (scaled == NULL)
        return FALSE;
    sums = w2w_aligned_alloc(n_coefficients, sizeof *sums, "an identity", error);
    if (sums == NULL)
        return FALSE;
    for (gint64 i = 0; i < space->n_weights; i++)
        scaled[i] = space->std[i] * (double)d_theta[i];
    w2w_matrix_multiply_transposed(space->v, scaled, n_coefficients, sums);
    for (guint j = 0; j < n_coefficients; j++) {
        if (!check_product(space, sums[j], error))
            return FALSE;
        d_coefficients[j] = (float)sums[j];
    }
    return w2w_mapped_files_check(error);
}

static void add_int(GChecksum *checksum, gint64 value)
{
    const guint64 bytes = GUINT64_TO_LE((guint64)value);

    g_checksum_update(checksum, (const guchar *)&bytes, sizeof bytes);
}

static void add_doubles(GChecksum *checksum, const double *values, gsize n)
{
    for (gsize i = 0; i < n; i++) {
        union {
            double value;
            guint64 bits;
        } number = {.value = values[i]};

        number.bits = GUINT64_TO_LE(number.bits);
        g_checksum_update(checksum, (const guchar *)&number.bits, sizeof number.bits);
    }
}

/*
 * The first columns of its first and its middle row: signs and places of the components show there.
 * No more, because where columns lie in one piece every number of a row is a page of its own.
 */
static void add_rows(GChecksum *checksum, const W2wArray *matrix)
{
    const gint64 n = MIN(matrix->shape[1], FINGERPRINT_COLUMNS);
    double row[FINGERPRINT_COLUMNS];

    for (gint64 i = 0; i < 2; i++) {
        w2w_matrix_read_block(matrix, i * (matrix->shape[0] / 2), 1, n, row);
        add_doubles(checksum, row, (gsize)n);
    }
}

const char *w2w_space_get_fingerprint(W2wSpace *space)
{
    g_autoptr(GChecksum) checksum = NULL;
    const double scale = space->lora_scale;

    if (space->fingerprint != NULL)
        return space->fingerprint;
    checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(checksum, (const guchar *)"w2w-space 1", -1);
    add_int(checksum, space->n_weights);
    add_int(checksum, space->n_components);
    add_doubles(checksum, &scale, 1);
    add_doubles(checksum, space->mean, (gsize)space->n_weights);
    add_doubles(checksum, space->std, (gsize)space->n_weights);
    add_rows(checksum, space->v);
    space->fingerprint = g_strdup(g_checksum_get_string(checksum));
    return space->fingerprint;
}
