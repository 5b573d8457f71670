/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of weights, and what coefficients they come to. */
#include "engine/w2w/dataset.h"

#include <math.h>

#include "engine/error.h"
#include "engine/formats/pt.h"
#include "engine/memory.h"
#include "engine/w2w/matrix.h"
#include "engine/w2w/space_internal.h"

/* People and rows of V at a time: their weights take some 50 MB of 100,000 each. */
#define BLOCK_PEOPLE 64
#define BLOCK_ROWS   64

/* Multiplications that a person will wait for unasked: some seconds. */
#define MAX_UNASKED 4e9

/*
 * How far, in parts of a deviation, the mean of the standardised columns may be from 0, and their
 * variance from 1: float32 files of one dataset stay within a thousandth.
 */
#define MAX_DEVIATION 0.02

static char *find_one(const char *directory, const char *const *names)
{
    for (; *names != NULL; names++) {
        char *path = g_build_filename(directory, *names, NULL);

        if (g_file_test(path, G_FILE_TEST_EXISTS))
            return path;
        g_free(path);
    }
    return NULL;
}

char *w2w_dataset_find_file(const char *directory)
{
    const char *const names[] = {"all_weights.pt", "dog_weights.pt", NULL};

    return find_one(directory, names);
}

char *w2w_dataset_find_labels(const char *directory)
{
    const char *const names[] = {"identity_df.pt", "dog_labels.pt", NULL};

    return find_one(directory, names);
}

void w2w_dataset_free(W2wDataset *dataset)
{
    if (dataset == NULL)
        return;
    g_free(dataset->path);
    g_clear_pointer(&dataset->weights, w2w_array_unref);
    g_clear_pointer(&dataset->people, w2w_people_table_free);
    g_free(dataset);
}

W2wDataset *w2w_dataset_open(const char *path, GError **error)
{
    g_autoptr(W2wDataset) dataset = g_new0(W2wDataset, 1);
    const gboolean is_folder = g_file_test(path, G_FILE_TEST_IS_DIR);
    g_autofree char *directory = is_folder ? g_strdup(path) : g_path_get_dirname(path);
    g_autofree char *labels = w2w_dataset_find_labels(directory);
    const W2wArray *weights;

    dataset->path = is_folder ? w2w_dataset_find_file(directory) : g_strdup(path);
    if (dataset->path == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "%s has no dataset: all_weights.pt or dog_weights.pt was expected.", path);
        return NULL;
    }
    weights = dataset->weights = w2w_pt_open_array(dataset->path, error);
    if (weights == NULL)
        return NULL;
    if (weights->n_dims != 2 || weights->n_elements < 1 || !w2w_dtype_is_float(weights->dtype)) {
        g_autofree char *shape = w2w_array_shape_to_string(weights);

        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds %s numbers of shape %s; a row of weights for each person was "
                    "expected, in floating point.",
                    dataset->path, w2w_dtype_name(weights->dtype), shape);
        return NULL;
    }
    dataset->people = labels != NULL
                          ? w2w_people_table_load(labels, weights->shape[0], dataset->path, error)
                          : w2w_people_table_new();
    return dataset->people != NULL ? g_steal_pointer(&dataset) : NULL;
}

gboolean w2w_dataset_get_row(const W2wDataset *dataset, gint64 row, float *theta, GError **error)
{
    const gint64 n = dataset->weights->shape[1];
    W2W_AUTO_ALIGNED double *values = NULL;

    if (row < 0 || row >= dataset->weights->shape[0]) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "There is no row %" G_GINT64_FORMAT
                    " in %s: they are numbered from 0 to %" G_GINT64_FORMAT ".",
                    row, dataset->path, dataset->weights->shape[0] - 1);
        return FALSE;
    }
    values = w2w_aligned_alloc((gsize)n, sizeof *values, "a row of weights", error);
    if (values == NULL)
        return FALSE;
    w2w_matrix_read_rows(dataset->weights, row, 1, values);
    for (gint64 i = 0; i < n; i++)
        theta[i] = (float)values[i];
    return TRUE;
}

gint64 w2w_dataset_find(const W2wDataset *dataset, const char *name, GError **error)
{
    const gint64 row = w2w_people_table_find(dataset->people, name);

    if (row < 0)
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE, "Nobody in %s is called “%s”.",
                    dataset->path, name);
    return row;
}

static guint count_components(const W2wSpace *space)
{
    const gint64 n = MIN(space->n_components, space->dataset->shape[0] - 1);

    return (guint)MIN(n, W2W_SPACE_MAX_WITH_STATISTICS);
}

gboolean w2w_space_can_compute_projections(const W2wSpace *space)
{
    return (double)space->dataset->n_elements * count_components(space) <= MAX_UNASKED;
}

typedef struct {
    double *people; /* (BLOCK_PEOPLE, n_weights): standardised */
    double *rows;   /* (BLOCK_ROWS, n_used): of V */
    double *sums;   /* (BLOCK_PEOPLE, n_used) */
    double *totals; /* (n_weights): of the standardised columns */
    double square;  /* of all standardised numbers */
} Work;

static void clear_work(Work *work)
{
    w2w_aligned_free(work->people);
    w2w_aligned_free(work->rows);
    w2w_aligned_free(work->sums);
    w2w_aligned_free(work->totals);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Work, clear_work)

static gboolean work_init(Work *work, const W2wSpace *space, guint n_used, GError **error)
{
    const gsize n = (gsize)space->n_weights;
    const char *what = "the people's coefficients";

    return (work->people = w2w_aligned_alloc(BLOCK_PEOPLE * n, sizeof(double), what, error)) !=
               NULL &&
           (work->rows = w2w_aligned_alloc((gsize)BLOCK_ROWS * n_used, sizeof(double), what,
                                           error)) != NULL &&
           (work->sums = w2w_aligned_alloc((gsize)BLOCK_PEOPLE * n_used, sizeof(double), what,
                                           error)) != NULL &&
           (work->totals = w2w_aligned_alloc0(n, sizeof(double), what, error)) != NULL;
}

static void standardise(const W2wSpace *space, Work *work, gint64 n_people)
{
    for (gint64 p = 0; p < n_people; p++) {
        double *z = work->people + p * space->n_weights;

        for (gint64 i = 0; i < space->n_weights; i++) {
            z[i] = space->std[i] > 0.0 ? (z[i] - space->mean[i]) / space->std[i] : 0.0;
            work->totals[i] += z[i];
            work->square += z[i] * z[i];
        }
    }
}

/* sums (n_people, n_used) = people · V[:, :n_used] */
static void multiply(const W2wSpace *space, Work *work, gint64 n_people, guint n_used)
{
    for (gsize i = 0; i < (gsize)n_people * n_used; i++)
        work->sums[i] = 0.0;
    for (gint64 first = 0; first < space->n_weights; first += BLOCK_ROWS) {
        const gint64 n_rows = MIN(BLOCK_ROWS, space->n_weights - first);

        w2w_matrix_read_block(space->v, first, n_rows, n_used, work->rows);
        for (gint64 p = 0; p < n_people; p++) {
            double *sum = work->sums + (gsize)p * n_used;

            for (gint64 r = 0; r < n_rows; r++) {
                const double factor = work->people[p * space->n_weights + first + r];
                const double *row = work->rows + (gsize)r * n_used;

                for (guint j = 0; j < n_used; j++)
                    sum[j] += factor * row[j];
            }
        }
    }
}

/* Are these the rows that mean and std were taken of? */
static gboolean check_statistics(const W2wSpace *space, const Work *work, GError **error)
{
    const gint64 m = space->dataset->shape[0];
    double off_centre = 0.0;
    gint64 n_varying = 0;

    for (gint64 i = 0; i < space->n_weights; i++) {
        n_varying += space->std[i] > 0.0;
        off_centre += pow(work->totals[i] / (double)m, 2);
    }
    if (n_varying == 0 ||
        (sqrt(off_centre / (double)n_varying) <= MAX_DEVIATION &&
         fabs(work->square / ((double)n_varying * (double)(m - 1)) - 1.0) <= MAX_DEVIATION))
        return TRUE;
    return w2w_space_fail(space, W2W_SPACE_DATASET, W2W_ERROR_MISMATCH, error,
                          "does not have the mean and deviation that %s and %s beside it say: they "
                          "belong to different people.",
                          w2w_space_part_name(space, W2W_SPACE_MEAN),
                          w2w_space_part_name(space, W2W_SPACE_STD));
}

gboolean w2w_space_compute_projections(W2wSpace *space, const W2wProgress *progress, GError **error)
{
    const gint64 m = space->dataset->shape[0];
    const guint n_used = count_components(space);
    const gint64 shape[2] = {m, n_used};
    g_auto(Work) work = {0};
    W2W_AUTO_ALIGNED float *values = NULL;
    g_autoptr(W2wArray) projections = NULL;

    if (!work_init(&work, space, n_used, error))
        return FALSE;
    values =
        w2w_aligned_alloc((gsize)m * n_used, sizeof *values, "the people's coefficients", error);
    if (values == NULL)
        return FALSE;
    for (gint64 first = 0; first < m; first += BLOCK_PEOPLE) {
        const gint64 n_people = MIN(BLOCK_PEOPLE, m - first);

        if (!w2w_progress_step(progress, (double)first / (double)m, "Projecting the people", error))
            return FALSE;
        w2w_matrix_read_rows(space->dataset, first, n_people, work.people);
        standardise(space, &work, n_people);
        multiply(space, &work, n_people, n_used);
        for (gsize i = 0; i < (gsize)n_people * n_used; i++)
            values[(gsize)first * n_used + i] = (float)work.sums[i];
    }
    if (!check_statistics(space, &work, error))
        return FALSE;
    projections = w2w_array_new_f32(2, shape, values, error);
    return projections != NULL && w2w_space_take_projections(space, projections, error);
}
