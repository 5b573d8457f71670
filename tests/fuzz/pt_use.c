/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See pt_use.h. Bounded: the memo makes trees of millions of nodes out of a hundred bytes. */
#include "tests/fuzz/pt_use.h"

#include <string.h>

#include "tests/fuzz/array_use.h"

#define MAX_VISITS 1000
#define MAX_DEPTH  64

static void use(W2wPtValue *value, guint depth, guint *n_visits);

static void use_cell(W2wPtValue *cell, guint depth, guint *n_visits)
{
    g_assert_nonnull(cell);
    use(cell, depth + 1, n_visits);
    w2w_pt_value_unref(cell);
}

static void use_frame(W2wPtValue *frame, guint depth, guint *n_visits)
{
    const guint n_columns = w2w_pt_value_get_n_columns(frame);
    const gint64 n_rows = w2w_pt_value_get_n_rows(frame);

    g_assert_cmpint(n_rows, >=, 0);
    if (n_rows > 0) {
        use_cell(w2w_pt_value_get_index(frame, 0), depth, n_visits);
        use_cell(w2w_pt_value_get_index(frame, n_rows - 1), depth, n_visits);
    }
    for (guint i = 0; i < n_columns && (*n_visits)++ < MAX_VISITS; i++) {
        g_autoptr(W2wArray) array = w2w_pt_value_get_column(frame, i);

        use(w2w_pt_value_get_column_name(frame, i), depth + 1, n_visits);
        if (array != NULL) {
            g_assert_cmpint(array->n_elements, ==, n_rows);
            w2w_array_use(array);
        }
        if (n_rows > 0) {
            use_cell(w2w_pt_value_get_cell(frame, i, 0), depth, n_visits);
            use_cell(w2w_pt_value_get_cell(frame, i, n_rows - 1), depth, n_visits);
        }
    }
}

static void use_items(W2wPtValue *value, guint depth, guint *n_visits)
{
    const gboolean is_dict = w2w_pt_value_get_type(value) == W2W_PT_DICT;
    const guint n = w2w_pt_value_get_length(value);

    for (guint i = 0; i < n && (*n_visits)++ < MAX_VISITS; i++) {
        use(w2w_pt_value_get_item(value, i), depth + 1, n_visits);
        if (!is_dict)
            continue;
        use(w2w_pt_value_get_key(value, i), depth + 1, n_visits);
        if (w2w_pt_value_get_type(w2w_pt_value_get_key(value, i)) == W2W_PT_STRING)
            g_assert_nonnull(w2w_pt_value_lookup(
                value, w2w_pt_value_get_string(w2w_pt_value_get_key(value, i))));
    }
}

static void use(W2wPtValue *value, guint depth, guint *n_visits)
{
    const W2wPtType type = w2w_pt_value_get_type(value);

    g_assert_cmpuint(depth, <=, MAX_DEPTH + 1);
    g_assert_nonnull(w2w_pt_type_describe(type));
    switch (type) {
    case W2W_PT_NONE:
        break;
    case W2W_PT_BOOL:
        (void)w2w_pt_value_get_bool(value);
        break;
    case W2W_PT_INT:
        (void)w2w_pt_value_get_int(value);
        (void)w2w_pt_value_get_float(value);
        break;
    case W2W_PT_FLOAT:
        (void)w2w_pt_value_get_float(value);
        break;
    case W2W_PT_STRING:
        g_assert_true(g_utf8_validate(w2w_pt_value_get_string(value), -1, NULL));
        break;
    case W2W_PT_BYTES: {
        gsize length;
        const guint8 *bytes = g_bytes_get_data(w2w_pt_value_get_bytes(value), &length);

        if (length > 0)
            (void)*(volatile const guint8 *)(bytes + length - 1);
        break;
    }
    case W2W_PT_LIST:
    case W2W_PT_DICT:
        use_items(value, depth, n_visits);
        break;
    case W2W_PT_ARRAY:
        w2w_array_use(w2w_pt_value_get_array(value));
        break;
    case W2W_PT_DATAFRAME:
        use_frame(value, depth, n_visits);
        break;
    default:
        g_assert_not_reached();
    }
}

void w2w_pt_use(W2wPtValue *value)
{
    guint n_visits = 0;

    use(value, 0, &n_visits);
}
