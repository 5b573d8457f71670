/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dense solver and the products with file-backed matrices, against plain loops. */
#include <math.h>
#include <string.h>

#include "engine/array.h"
#include "engine/w2w/linear_algebra.h"
#include "engine/w2w/matrix.h"

/* B Bᵀ of any B is positive definite; its rows differ in scale by many powers of ten. */
static void test_solve(void)
{
    enum { N = 37 };
    g_autofree double *b = g_new(double, N *N);
    g_autofree double *matrix = g_new0(double, N *N);
    double x[N], expected[N];
    guint dependent;
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wCholesky) cholesky = NULL;

    for (guint i = 0; i < N * N; i++)
        b[i] = sin(1.0 + 0.37 * i * i) * pow(10.0, (i / N) % 7 - 3.0);
    for (guint i = 0; i < N; i++)
        for (guint j = 0; j < N; j++)
            for (guint l = 0; l < N; l++)
                matrix[i * N + j] += b[i * N + l] * b[j * N + l];
    for (guint i = 0; i < N; i++)
        expected[i] = cos(i);
    for (guint i = 0; i < N; i++) {
        x[i] = 0.0;
        for (guint j = 0; j < N; j++)
            x[i] += matrix[i * N + j] * expected[j];
    }
    cholesky = w2w_cholesky_new(matrix, N, 0.0, &dependent, &error);
    g_assert_no_error(error);
    g_assert_nonnull(cholesky);
    w2w_cholesky_solve(cholesky, x);
    for (guint i = 0; i < N; i++)
        g_assert_cmpfloat_with_epsilon(x[i], expected[i], 1e-6);
}

static void test_dependent(void)
{
    const double matrix[9] = {1e8, 0.0, 0.0, 2e8, 4e8, 0.0, 1.0, 2.0, 5e-8};
    const double zero_row[4] = {2.0, 0.0, 0.0, 0.0};
    double x[2] = {4.0, 0.0};
    guint dependent = 77;
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wCholesky) cholesky = NULL;

    g_assert_null(w2w_cholesky_new(matrix, 3, 0.0, &dependent, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(dependent, ==, 1);
    g_assert_null(w2w_cholesky_new(zero_row, 2, 0.0, &dependent, &error));
    g_assert_cmpuint(dependent, ==, 1);
    cholesky = w2w_cholesky_new(zero_row, 2, 1e-8, &dependent, &error);
    g_assert_nonnull(cholesky);
    w2w_cholesky_solve(cholesky, x);
    g_assert_cmpfloat_with_epsilon(x[0], 2.0, 1e-6);
    g_assert_cmpfloat(x[1], ==, 0.0);
}

/* Every floating type, both layouts, gaps between elements, and an odd address. */
static void test_matrix(void)
{
    enum { ROWS = 21, COLUMNS = 13, GAP = 3 };
    static const W2wDType dtypes[] = {W2W_DTYPE_F32, W2W_DTYPE_F16, W2W_DTYPE_BF16, W2W_DTYPE_F64};

    for (guint t = 0; t < G_N_ELEMENTS(dtypes); t++) {
        for (guint layout = 0; layout < 4; layout++) {
            const gboolean by_rows = layout % 2 == 0;
            const gint64 step = layout < 2 ? 1 : GAP;
            const gint64 shape[2] = {ROWS, COLUMNS};
            const gint64 stride[2] = {by_rows ? COLUMNS * step : step,
                                      by_rows ? step : ROWS * step};
            const gsize size = w2w_dtype_size(dtypes[t]);
            g_autofree guint8 *bytes = g_new0(guint8, ROWS * COLUMNS * GAP * size + 1);
            double plain[ROWS][COLUMNS], x[COLUMNS], y[ROWS], product[ROWS], back[COLUMNS],
                some[COLUMNS - 4];
            double rows[4][COLUMNS];
            g_autoptr(GBytes) owner = NULL;
            g_autoptr(W2wArray) matrix = NULL;
            g_autoptr(GError) error = NULL;

            for (guint i = 0; i < ROWS; i++) {
                for (guint j = 0; j < COLUMNS; j++) {
                    const float value = (float)((int)(i * 31 + j * 17) % 64 - 32) / 8.0f;
                    const guint16 half = w2w_f32_to_f16(value);
                    guint8 *at = bytes + 1 + (gsize)(i * stride[0] + j * stride[1]) * size;
                    union {
                        float f32;
                        guint32 bits;
                    } single = {.f32 = value};
                    const guint16 brain = (guint16)(single.bits >> 16); /* few enough bits */

                    plain[i][j] = value;
                    if (dtypes[t] == W2W_DTYPE_F32)
                        memcpy(at, &value, size);
                    else if (dtypes[t] == W2W_DTYPE_F16)
                        memcpy(at, &half, size);
                    else if (dtypes[t] == W2W_DTYPE_BF16)
                        memcpy(at, &brain, size);
                    else
                        memcpy(at, &plain[i][j], size);
                }
            }
            owner = g_bytes_new(bytes, ROWS * COLUMNS * GAP * size + 1);
            matrix = w2w_array_new_view(dtypes[t], 2, shape, stride, owner, 1, "test", &error);
            g_assert_no_error(error);
            for (guint j = 0; j < COLUMNS; j++)
                x[j] = sin(j);
            for (guint i = 0; i < ROWS; i++)
                y[i] = cos(i);
            w2w_matrix_multiply(matrix, x, COLUMNS - 2, product);
            w2w_matrix_multiply_transposed(matrix, y, matrix->shape[1], back);
            w2w_matrix_multiply_transposed(matrix, y, COLUMNS - 4, some);
            g_assert_cmpmem(some, sizeof some, back, sizeof some);
            w2w_matrix_read_rows(matrix, 5, 4, &rows[0][0]);
            for (guint i = 0; i < ROWS; i++) {
                double sum = 0.0;

                for (guint j = 0; j + 2 < COLUMNS; j++)
                    sum += plain[i][j] * x[j];
                g_assert_cmpfloat_with_epsilon(product[i], sum, 1e-12);
            }
            for (guint j = 0; j < COLUMNS; j++) {
                double sum = 0.0;

                for (guint i = 0; i < ROWS; i++)
                    sum += plain[i][j] * y[i];
                g_assert_cmpfloat_with_epsilon(back[j], sum, 1e-12);
                for (guint r = 0; r < 4; r++)
                    g_assert_cmpfloat(rows[r][j], ==, plain[5 + r][j]);
            }
        }
    }
}

static void test_gram(void)
{
    enum { ROWS = 9, MAX = 11 };

    for (guint n = 1; n <= MAX; n++) {
        double rows[ROWS * MAX], gram[MAX * MAX] = {0.0};

        for (guint i = 0; i < ROWS * n; i++)
            rows[i] = sin(1.0 + i);
        w2w_matrix_add_gram(rows, 4, n, gram); /* in two blocks */
        w2w_matrix_add_gram(rows + 4 * n, ROWS - 4, n, gram);
        for (guint i = 0; i < n; i++) {
            for (guint j = 0; j <= i; j++) {
                double sum = 0.0;

                for (guint r = 0; r < ROWS; r++)
                    sum += rows[r * n + i] * rows[r * n + j];
                g_assert_cmpfloat_with_epsilon(gram[i * n + j], sum, 1e-12);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/linear-algebra/solve", test_solve);
    g_test_add_func("/linear-algebra/dependent-rows", test_dependent);
    g_test_add_func("/linear-algebra/file-backed-products", test_matrix);
    g_test_add_func("/linear-algebra/gram", test_gram);
    return g_test_run();
}
