/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walks over file-backed matrices. Each inner loop is compiled once per element type
 * (the type is a constant where it is inlined), so that float32 runs at the speed of memory.
 */
#include "engine/w2w/matrix.h"

#include <string.h>

/* Runs that are summed side by side: their sums do not wait for each other. */
#define N_LANES 8

static inline double load(W2wDType dtype, const guint8 *p)
{
    union {
        float f32;
        double f64;
        guint16 u16;
    } bits;

    switch (dtype) {
    case W2W_DTYPE_F32:
        memcpy(&bits.f32, p, sizeof bits.f32);
        return bits.f32;
    case W2W_DTYPE_F16:
        memcpy(&bits.u16, p, sizeof bits.u16);
        return w2w_f16_to_f32(bits.u16);
    case W2W_DTYPE_BF16:
        memcpy(&bits.u16, p, sizeof bits.u16);
        return w2w_bf16_to_f32(bits.u16);
    default:
        memcpy(&bits.f64, p, sizeof bits.f64);
        return bits.f64;
    }
}

/*
 * out[lane] = sum of run[i] · vector[i] for `n_lanes` runs, each added in the order of its
 * elements, which is the order in which add_run() adds them: so a matrix and its transposed
 * copy give the same bits.
 */
static inline void dot_lanes(W2wDType dtype, const guint8 *run, gsize run_stride, gsize step,
                             guint n_lanes, const double *vector, gint64 n, double *out)
{
    double sum[N_LANES] = {0.0};

    for (gint64 i = 0; i < n; i++)
        for (guint lane = 0; lane < n_lanes; lane++)
            sum[lane] += load(dtype, run + lane * run_stride + (gsize)i * step) * vector[i];
    memcpy(out, sum, n_lanes * sizeof *out);
}

/* out[i] += factor · run[i] */
static inline void add_run(W2wDType dtype, const guint8 *run, gsize step, double factor, gint64 n,
                           double *out)
{
    for (gint64 i = 0; i < n; i++)
        out[i] += factor * load(dtype, run + (gsize)i * step);
}

static inline void copy_run(W2wDType dtype, const guint8 *run, gsize step, gint64 n, double *out,
                            gsize out_step)
{
    for (gint64 i = 0; i < n; i++)
        out[(gsize)i * out_step] = load(dtype, run + (gsize)i * step);
}

/*
 * A matrix as runs: one run after the other, each along the smaller stride. The runs are
 * rows (`along_rows`) or columns.
 */
typedef struct {
    const guint8 *data;
    gint64 n_runs, run_length;
    gsize run_stride, step; /* bytes */
} Runs;

static gboolean find_runs(const W2wArray *matrix, Runs *runs)
{
    const gsize size = w2w_dtype_size(matrix->dtype);
    /* A dimension of one element has a stride that means nothing. */
    const gboolean along_rows =
        matrix->shape[0] == 1 || (matrix->shape[1] > 1 && matrix->stride[1] <= matrix->stride[0]);
    const guint outer = along_rows ? 0 : 1;

    g_assert(matrix->n_dims == 2 && w2w_dtype_is_float(matrix->dtype));
    *runs = (Runs){.data = matrix->data,
                   .n_runs = matrix->shape[outer],
                   .run_length = matrix->shape[1 - outer],
                   .run_stride = (gsize)matrix->stride[outer] * size,
                   .step = (gsize)matrix->stride[1 - outer] * size};
    return along_rows;
}

static inline void dot_runs_of(W2wDType dtype, gsize step, const Runs *runs, const double *vector,
                               double *out)
{
    gint64 r = 0;

    for (; r + N_LANES <= runs->n_runs; r += N_LANES)
        dot_lanes(dtype, runs->data + (gsize)r * runs->run_stride, runs->run_stride, step, N_LANES,
                  vector, runs->run_length, out + r);
    for (; r < runs->n_runs; r++)
        dot_lanes(dtype, runs->data + (gsize)r * runs->run_stride, runs->run_stride, step, 1,
                  vector, runs->run_length, out + r);
}

/* out (n_runs) = each run · vector */
static void dot_runs(const W2wArray *matrix, const Runs *runs, const double *vector, double *out)
{
    switch (matrix->dtype) {
    case W2W_DTYPE_F32:
        if (runs->step == sizeof(float)) /* a constant step lets the compiler use vector loads */
            dot_runs_of(W2W_DTYPE_F32, sizeof(float), runs, vector, out);
        else
            dot_runs_of(W2W_DTYPE_F32, runs->step, runs, vector, out);
        break;
    case W2W_DTYPE_F16:
        dot_runs_of(W2W_DTYPE_F16, runs->step, runs, vector, out);
        break;
    case W2W_DTYPE_BF16:
        dot_runs_of(W2W_DTYPE_BF16, runs->step, runs, vector, out);
        break;
    default:
        dot_runs_of(W2W_DTYPE_F64, runs->step, runs, vector, out);
        break;
    }
}

static inline void add_runs_of(W2wDType dtype, gsize step, const Runs *runs, const double *vector,
                               double *out)
{
    for (gint64 r = 0; r < runs->n_runs; r++)
        if (vector[r] != 0.0)
            add_run(dtype, runs->data + (gsize)r * runs->run_stride, step, vector[r],
                    runs->run_length, out);
}

/* out (run_length) = sum of runs, each times its factor */
static void add_runs(const W2wArray *matrix, const Runs *runs, const double *vector, double *out)
{
    memset(out, 0, (gsize)runs->run_length * sizeof *out);
    switch (matrix->dtype) {
    case W2W_DTYPE_F32:
        if (runs->step == sizeof(float))
            add_runs_of(W2W_DTYPE_F32, sizeof(float), runs, vector, out);
        else
            add_runs_of(W2W_DTYPE_F32, runs->step, runs, vector, out);
        break;
    case W2W_DTYPE_F16:
        add_runs_of(W2W_DTYPE_F16, runs->step, runs, vector, out);
        break;
    case W2W_DTYPE_BF16:
        add_runs_of(W2W_DTYPE_BF16, runs->step, runs, vector, out);
        break;
    default:
        add_runs_of(W2W_DTYPE_F64, runs->step, runs, vector, out);
        break;
    }
}

void w2w_matrix_multiply(const W2wArray *matrix, const double *vector, gint64 n_used, double *out)
{
    Runs runs;

    g_assert(n_used >= 0 && n_used <= matrix->shape[1]);
    if (find_runs(matrix, &runs)) {
        runs.run_length = n_used;
        dot_runs(matrix, &runs, vector, out);
    } else {
        runs.n_runs = n_used;
        add_runs(matrix, &runs, vector, out);
    }
}

void w2w_matrix_multiply_transposed(const W2wArray *matrix, const double *vector, gint64 n_used,
                                    double *out)
{
    Runs runs;

    g_assert(n_used >= 0 && n_used <= matrix->shape[1]);
    if (find_runs(matrix, &runs)) {
        runs.run_length = n_used;
        add_runs(matrix, &runs, vector, out);
    } else {
        runs.n_runs = n_used;
        dot_runs(matrix, &runs, vector, out);
    }
}

/* Columns in one piece are read in their order, from end to end, as the file has them. */
static void dot_blocks(const W2wArray *matrix, const Runs *runs, const double *vector,
                       guint n_blocks, const gint64 *ends, double *out)
{
    for (gint64 c = 0; c < runs->n_runs; c++) {
        gint64 first = 0;

        for (guint b = 0; b < n_blocks; b++) {
            Runs part = *runs;

            part.data += (gsize)c * runs->run_stride + (gsize)first * runs->step;
            part.n_runs = 1;
            part.run_length = ends[b] - first;
            dot_runs(matrix, &part, vector + first, out + b * runs->n_runs + c);
            first = ends[b];
        }
    }
}

void w2w_matrix_multiply_transposed_blocks(const W2wArray *matrix, const double *vector,
                                           guint n_blocks, const gint64 *ends, double *out)
{
    Runs runs;
    gint64 first = 0;

    g_assert(n_blocks > 0 && ends[n_blocks - 1] == matrix->shape[0]);
    if (!find_runs(matrix, &runs)) {
        dot_blocks(matrix, &runs, vector, n_blocks, ends, out);
        return;
    }
    for (guint b = 0; b < n_blocks; b++) {
        Runs part = runs;

        part.data += (gsize)first * runs.run_stride;
        part.n_runs = ends[b] - first;
        add_runs(matrix, &part, vector + first, out + b * runs.run_length);
        first = ends[b];
    }
}

void w2w_matrix_read_rows(const W2wArray *matrix, gint64 first_row, gint64 n_rows, double *out)
{
    w2w_matrix_read_block(matrix, first_row, n_rows, matrix->shape[1], out);
}

void w2w_matrix_read_block(const W2wArray *matrix, gint64 first_row, gint64 n_rows, gint64 n_used,
                           double *out)
{
    const gsize size = w2w_dtype_size(matrix->dtype);
    const gsize n_columns = (gsize)n_used;
    Runs runs;
    const gboolean along_rows = find_runs(matrix, &runs);

    g_assert(first_row >= 0 && n_rows >= 0 && first_row + n_rows <= matrix->shape[0]);
    g_assert(n_used >= 0 && n_used <= matrix->shape[1]);
    runs.data += (gsize)first_row * (gsize)matrix->stride[0] * size;
    if (along_rows) {
        for (gint64 r = 0; r < n_rows; r++)
            copy_run(matrix->dtype, runs.data + (gsize)r * runs.run_stride, runs.step, n_used,
                     out + (gsize)r * n_columns, 1);
    } else {
        for (gsize c = 0; c < n_columns; c++)
            copy_run(matrix->dtype, runs.data + c * runs.run_stride, runs.step, n_rows, out + c,
                     n_columns);
    }
}

/* A tile of 4 × 4 sums stays in registers while the rows pass by. */
#define TILE 4

static void add_gram_tile(const double *rows, gint64 n_rows, guint n, guint i, guint j,
                          double *gram)
{
    double sum[TILE][TILE] = {{0.0}};

    for (gint64 r = 0; r < n_rows; r++) {
        const double *left = rows + (gsize)r * n + i;
        const double *right = rows + (gsize)r * n + j;

        for (guint a = 0; a < TILE; a++)
            for (guint b = 0; b < TILE; b++)
                sum[a][b] += left[a] * right[b];
    }
    for (guint a = 0; a < TILE; a++)
        for (guint b = 0; b < TILE; b++)
            gram[(gsize)(i + a) * n + j + b] += sum[a][b];
}

void w2w_matrix_add_gram(const double *rows, gint64 n_rows, guint n, double *gram)
{
    const guint n_tiled = n - n % TILE;

    for (guint i = 0; i < n_tiled; i += TILE)
        for (guint j = 0; j <= i; j += TILE)
            add_gram_tile(rows, n_rows, n, i, j, gram);
    for (guint i = n_tiled; i < n; i++) { /* the last few */
        for (guint j = 0; j <= i; j++) {
            double sum = 0.0;

            for (gint64 r = 0; r < n_rows; r++)
                sum += rows[(gsize)r * n + i] * rows[(gsize)r * n + j];
            gram[(gsize)i * n + j] += sum;
        }
    }
}
