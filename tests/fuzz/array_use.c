/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See array_use.h. A stride of 0 makes arrays of any size out of one number. */
#include "tests/fuzz/array_use.h"

#define MAX_ELEMENTS 256

void w2w_array_use(const W2wArray *array)
{
    float values[MAX_ELEMENTS];
    g_autofree char *shape = w2w_array_shape_to_string(array);

    g_assert_nonnull(shape);
    g_assert_cmpint(array->n_elements, >=, 0);
    g_assert_nonnull(w2w_dtype_name(array->dtype));
    if (array->n_elements == 0)
        return;
    (void)w2w_array_get(array, 0);
    (void)w2w_array_get(array, array->n_elements - 1);
    (void)w2w_array_get_int(array, array->n_elements / 2);
    (void)w2w_array_is_contiguous(array);
    if (array->n_elements <= MAX_ELEMENTS)
        w2w_array_to_f32(array, values);
}
