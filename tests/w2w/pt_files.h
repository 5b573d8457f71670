/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Small .pt files for tests of spaces: tensors of any strides and dictionaries of
 * dimensions, written as torch.save() does (a stored zip around a pickle of protocol 2).
 * A failure aborts the test program.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* `n_values` floats as the storage; shape and strides of `n_dims` dimensions, in elements. */
void write_pt_tensor(const char *directory, const char *name, guint n_dims, const gint64 *shape,
                     const gint64 *stride, const float *values, gsize n_values);

/*
 * The same with a storage of `n_values` floats that are zero but for the first `n_first`: a sparse
 * file, of gigabytes if need be (below 4 GiB).
 */
void write_pt_sparse_tensor(const char *directory, const char *name, guint n_dims,
                            const gint64 *shape, const gint64 *stride, guint64 n_values,
                            const float *first, gsize n_first);

/* A row of numbers. */
void write_pt_vector(const char *directory, const char *name, const float *values, gsize n);

/* A row-major matrix. */
void write_pt_matrix(const char *directory, const char *name, gint64 n_rows, gint64 n_columns,
                     const float *values);

/* weight_dimensions.pt: keys (NULL terminated), and for each the rows and columns of its shape. */
void write_pt_dimensions(const char *directory, const char *const *keys, const int (*shapes)[2]);

G_END_DECLS
