/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Products with matrices that stay in their files: V (4 GB) and proj (260 MB).
 *
 * `matrix` is a W2wArray of two dimensions of any floating type and any strides: an
 * SVD's V is often stored as a transposed view. Every product walks it once, in the
 * order of its memory, and adds in double. Nothing of it is copied but blocks of rows.
 * The layout of a matrix changes no bit of what is computed with it, nor do zeros at the
 * end of a vector.
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

/*
 * out (n_rows) = matrix[:, :n_used] · vector (n_used). Where columns lie in one piece, those
 * whose factor is 0 are not read.
 */
void w2w_matrix_multiply(const W2wArray *matrix, const double *vector, gint64 n_used, double *out);

/* out (n_used) = matrix[:, :n_used]ᵀ · vector (n_rows). */
void w2w_matrix_multiply_transposed(const W2wArray *matrix, const double *vector, gint64 n_used,
                                    double *out);

/*
 * The same of several pieces of the vector at once, each on its rows: block b ends before row
 * ends[b], and out (n_blocks, n_columns) adds up to matrixᵀ · vector.
 */
void w2w_matrix_multiply_transposed_blocks(const W2wArray *matrix, const double *vector,
                                           guint n_blocks, const gint64 *ends, double *out);

/* out (n_rows, n_columns): rows first_row …, row major. */
void w2w_matrix_read_rows(const W2wArray *matrix, gint64 first_row, gint64 n_rows, double *out);

/* The same of the first `n_used` columns: out (n_rows, n_used). */
void w2w_matrix_read_block(const W2wArray *matrix, gint64 first_row, gint64 n_rows, gint64 n_used,
                           double *out);

/*
 * The lower triangle of gram (n, n) += rowsᵀ rows, rows (n_rows, n) row major.
 * The only product here that grows with n²: 64,974 people of 1,000 components take 3·10¹⁰
 * multiplications.
 */
void w2w_matrix_add_gram(const double *rows, gint64 n_rows, guint n, double *gram);

G_END_DECLS
