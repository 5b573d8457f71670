/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * W2wArray: an n-dimensional array on the host, as files hold it.
 *
 * A view: `data` usually points into a mapped file that `owner` keeps alive, so
 * that opening a 4 GB matrix costs nothing. Reference counted and immutable.
 * Layout is that of the file (PyTorch's own: (out,in,kh,kw) and so on); devices
 * repack weights into what their kernels like when a graph is prepared.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
    W2W_DTYPE_F32,
    W2W_DTYPE_F16,
    W2W_DTYPE_BF16,
    W2W_DTYPE_F64,
    W2W_DTYPE_I8,
    W2W_DTYPE_I16,
    W2W_DTYPE_I32,
    W2W_DTYPE_I64,
    W2W_DTYPE_U8,
    W2W_DTYPE_BOOL,
} W2wDType;

/* Bytes of one element; its name as safetensors writes it ("F32", "BF16", "BOOL"). */
gsize w2w_dtype_size(W2wDType dtype);
const char *w2w_dtype_name(W2wDType dtype);
gboolean w2w_dtype_is_float(W2wDType dtype);

/* No format that we read has more; a file that claims more is refused by its reader. */
#define W2W_ARRAY_MAX_DIMS 8

typedef struct {
    W2wDType dtype;
    guint n_dims; /* 0 is a scalar: one element */
    gint64 shape[W2W_ARRAY_MAX_DIMS];
    gint64
        stride[W2W_ARRAY_MAX_DIMS]; /* in elements, never negative; checked against the storage */
    gint64 n_elements;              /* product of shape; checked not to overflow */
    const void *data;               /* first element; may be unaligned */
    /*< private >*/
    gatomicrefcount ref_count;
    GBytes *owner;
} W2wArray;

/*
 * A view of `n_dims` dimensions into `owner`, starting `offset` bytes in.
 * `stride` NULL means contiguous (row major). Fails with W2W_ERROR_FORMAT when a
 * dimension or stride is negative, the element count overflows, or any element
 * would lie outside of `owner`; `what` names the array and its file in the message.
 */
W2wArray *w2w_array_new_view(W2wDType dtype, guint n_dims, const gint64 *shape,
                             const gint64 *stride, GBytes *owner, gsize offset, const char *what,
                             GError **error);

/* A contiguous float32 array that owns a copy of `values`; W2W_ERROR_MEMORY. */
W2wArray *w2w_array_new_f32(guint n_dims, const gint64 *shape, const float *values, GError **error);

/* A view of a matrix with its dimensions swapped; `array` must have two. */
W2wArray *w2w_array_transpose(const W2wArray *array);

/*
 * out (n, n_columns, n_rows) of in (n, n_rows, n_columns): an image's planes to pixels with their
 * channels side by side, or back.
 */
void w2w_transpose_f32(const float *in, gint64 n, gint64 n_rows, gint64 n_columns, float *out);

W2wArray *w2w_array_ref(W2wArray *array);
void w2w_array_unref(W2wArray *array);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wArray, w2w_array_unref)

gboolean w2w_array_is_contiguous(const W2wArray *array);

/* Element at flat row-major index `i`, whatever the dtype and strides. I64 beyond 2^53 lose bits.
 */
double w2w_array_get(const W2wArray *array, gint64 i);

/* The same, exact for whole numbers; a float is cut off towards zero, and what does not fit is 0.
 */
gint64 w2w_array_get_int(const W2wArray *array, gint64 i);

/* All elements in row-major order, converted. `out` has room for n_elements. */
void w2w_array_to_f32(const W2wArray *array, float *out);
void w2w_array_to_f64(const W2wArray *array, double *out);

/* Equal shapes? `n_dims` numbers follow. */
gboolean w2w_array_has_shape(const W2wArray *array, guint n_dims, const gint64 *shape);

/* "(320, 768)", for messages. Caller frees. */
char *w2w_array_shape_to_string(const W2wArray *array);

/* float16 and bfloat16 bits to float32 (exact), and back (round to nearest even). */
float w2w_f16_to_f32(guint16 bits);
float w2w_bf16_to_f32(guint16 bits);
guint16 w2w_f32_to_f16(float value);
guint16 w2w_f32_to_bf16(float value);

G_END_DECLS
