/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NumPy's dtypes, arrays and scalars in pickles. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_handlers.h"

static const struct {
    const char *name; /* as numpy.dtype.str without the byte order */
    W2wDType dtype;
} dtypes[] = {
    {"f4", W2W_DTYPE_F32}, {"f2", W2W_DTYPE_F16}, {"f8", W2W_DTYPE_F64},
    {"i1", W2W_DTYPE_I8},  {"i2", W2W_DTYPE_I16}, {"i4", W2W_DTYPE_I32},
    {"i8", W2W_DTYPE_I64}, {"u1", W2W_DTYPE_U8},  {"b1", W2W_DTYPE_BOOL},
};

W2W_PT_HANDLER(w2w_pt_call_dtype)
{
    const W2wPtValue *name = w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_STRING, error);
    W2wPtValue *value;

    if (name == NULL)
        return NULL;
    value = w2w_pt_value_new(machine->document, W2W_PT_DTYPE, sizeof(W2wPtDType), machine->position,
                             error);
    if (value == NULL)
        return NULL;
    /* "O8" says the size of a pointer where it was written. */
    value->dtype->is_object = name->string->text[0] == 'O';
    if (value->dtype->is_object)
        return value;
    for (guint i = 0; i < G_N_ELEMENTS(dtypes); i++) {
        if (strcmp(dtypes[i].name, name->string->text) == 0) {
            value->dtype->dtype = dtypes[i].dtype;
            return value;
        }
    }
    w2w_pt_machine_fail(machine, error, "the NumPy dtype “%s” is not supported",
                        name->string->text);
    return NULL;
}

/* (version, byte order, …): the rest describes dtypes that were refused above. */
gboolean w2w_pt_build_dtype(W2wPtMachine *machine, W2wPtValue *dtype, const W2wPtValue *state,
                            GError **error)
{
    const W2wPtValue *order;

    if (state->kind != W2W_PT_TUPLE || w2w_pt_sequence_get_length(state) < 2 ||
        w2w_pt_sequence_get(state, 1)->kind != W2W_PT_STRING)
        return w2w_pt_machine_fail(machine, error, "a NumPy dtype has an unknown state");
    order = w2w_pt_sequence_get(state, 1);
    dtype->dtype->is_swapped = strcmp(order->string->text, ">") == 0;
    return TRUE;
}

/* _reconstruct(ndarray, (0,), b"b") makes an empty array: its state says the rest. */
W2W_PT_HANDLER(w2w_pt_call_reconstruct)
{
    if (!w2w_pt_value_is_symbol(w2w_pt_sequence_get(arguments, 0), "numpy", "ndarray")) {
        w2w_pt_machine_fail(machine, error, "_reconstruct is for numpy.ndarray only");
        return NULL;
    }
    return w2w_pt_value_new(machine->document, W2W_PT_NDARRAY, 0, machine->position, error);
}

typedef struct {
    guint n_dims;
    gint64 shape[W2W_ARRAY_MAX_DIMS], stride[W2W_ARRAY_MAX_DIMS];
    gint64 n_elements;
} Layout;

static gboolean read_layout(W2wPtMachine *machine, const W2wPtValue *shape, gboolean is_fortran,
                            Layout *layout, GError **error)
{
    if (shape->kind != W2W_PT_TUPLE)
        return w2w_pt_machine_fail(machine, error, "the shape of a NumPy array is %s",
                                   w2w_pt_kind_describe(shape->kind));
    layout->n_dims = w2w_pt_sequence_get_length(shape);
    layout->n_elements = 1;
    if (layout->n_dims > W2W_ARRAY_MAX_DIMS)
        return w2w_pt_machine_fail(machine, error,
                                   "a NumPy array has %u dimensions; at most %d are supported",
                                   layout->n_dims, W2W_ARRAY_MAX_DIMS);
    for (guint i = 0; i < layout->n_dims; i++) {
        const guint d = is_fortran ? i : layout->n_dims - 1 - i; /* the fastest first */
        const W2wPtValue *size = w2w_pt_sequence_get(shape, d);

        if (size->kind != W2W_PT_INT || size->integer < 0)
            return w2w_pt_machine_fail(machine, error, "a NumPy array has no valid shape");
        layout->shape[d] = size->integer;
        layout->stride[d] = layout->n_elements;
        if (__builtin_mul_overflow(layout->n_elements, size->integer, &layout->n_elements))
            return w2w_pt_machine_fail(machine, error,
                                       "a NumPy array claims more elements than can be counted");
    }
    return TRUE;
}

static W2wArray *new_array(W2wPtMachine *machine, const W2wPtDType *dtype, const Layout *layout,
                           const W2wPtValue *bytes, GError **error)
{
    g_autofree char *what =
        g_strdup_printf("A NumPy array of %s (byte %" G_GSIZE_FORMAT " of its pickle)",
                        machine->document->name, machine->position);

    if (!w2w_pt_charge(machine->document, sizeof(W2wArray), machine->position, error))
        return NULL;
    if (bytes->kind != W2W_PT_BYTES || dtype->is_object) {
        w2w_pt_machine_fail(machine, error, "the numbers of a NumPy array are %s",
                            dtype->is_object ? "objects" : w2w_pt_kind_describe(bytes->kind));
        return NULL;
    }
    if (dtype->is_swapped && w2w_dtype_size(dtype->dtype) > 1) {
        w2w_pt_machine_fail(machine, error, "a NumPy array is big endian");
        return NULL;
    }
    return w2w_array_new_view(dtype->dtype, layout->n_dims, layout->shape, layout->stride,
                              bytes->bytes, 0, what, error);
}

static gboolean build_object_array(W2wPtMachine *machine, W2wPtValue *array, const Layout *layout,
                                   W2wPtValue *list, GError **error)
{
    if (layout->n_dims < 1 || layout->n_dims > 2 || list->kind != W2W_PT_LIST ||
        (gint64)w2w_pt_sequence_get_length(list) < layout->n_elements)
        return w2w_pt_machine_fail(machine, error,
                                   "a NumPy array of objects has no list that fits its shape");
    if (!w2w_pt_charge(machine->document, sizeof(W2wPtObjectArray), machine->position, error))
        return FALSE;
    array->kind = W2W_PT_OBJECT_ARRAY;
    array->object_array = g_new0(W2wPtObjectArray, 1);
    array->object_array->n_dims = layout->n_dims;
    array->object_array->list = list;
    memcpy(array->object_array->shape, layout->shape, layout->n_dims * sizeof *layout->shape);
    return TRUE;
}

/* (version, shape, dtype, is_fortran, bytes or list of objects) */
gboolean w2w_pt_build_ndarray(W2wPtMachine *machine, W2wPtValue *array, const W2wPtValue *state,
                              GError **error)
{
    const W2wPtValue *dtype, *is_fortran;
    Layout layout;
    W2wArray *numbers;

    if (state->kind != W2W_PT_TUPLE || w2w_pt_sequence_get_length(state) != 5)
        return w2w_pt_machine_fail(machine, error, "a NumPy array has an unknown state");
    dtype = w2w_pt_sequence_get(state, 2);
    is_fortran = w2w_pt_sequence_get(state, 3);
    if (dtype->kind != W2W_PT_DTYPE ||
        (is_fortran->kind != W2W_PT_BOOL && is_fortran->kind != W2W_PT_INT))
        return w2w_pt_machine_fail(machine, error, "a NumPy array has an unknown state");
    if (!read_layout(machine, w2w_pt_sequence_get(state, 1), is_fortran->integer != 0, &layout,
                     error))
        return FALSE;
    if (dtype->dtype->is_object)
        return build_object_array(machine, array, &layout, w2w_pt_sequence_get(state, 4), error);
    numbers = new_array(machine, dtype->dtype, &layout, w2w_pt_sequence_get(state, 4), error);
    if (numbers == NULL)
        return FALSE;
    array->kind = W2W_PT_ARRAY;
    array->array = numbers;
    return TRUE;
}

/* Takes `array`. */
static W2wPtValue *new_array_value(W2wPtMachine *machine, W2wArray *array, GError **error)
{
    W2wPtValue *value = array != NULL ? w2w_pt_value_new(machine->document, W2W_PT_ARRAY, 0,
                                                         machine->position, error)
                                      : NULL;

    if (value != NULL)
        value->array = array;
    else
        w2w_array_unref(array);
    return value;
}

/* _frombuffer(bytes, dtype, shape, order): how protocol 5 writes arrays. */
W2W_PT_HANDLER(w2w_pt_call_frombuffer)
{
    const W2wPtValue *dtype = w2w_pt_argument(machine, symbol, arguments, 1, W2W_PT_DTYPE, error);
    const W2wPtValue *order =
        dtype != NULL ? w2w_pt_argument(machine, symbol, arguments, 3, W2W_PT_STRING, error) : NULL;
    Layout layout;

    if (order == NULL || !read_layout(machine, w2w_pt_sequence_get(arguments, 2),
                                      strcmp(order->string->text, "F") == 0, &layout, error))
        return NULL;
    return new_array_value(
        machine,
        new_array(machine, dtype->dtype, &layout, w2w_pt_sequence_get(arguments, 0), error), error);
}

/* scalar(dtype, bytes): becomes a number of Python's. */
W2W_PT_HANDLER(w2w_pt_call_scalar)
{
    const W2wPtValue *dtype = w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_DTYPE, error);
    const Layout layout = {.n_elements = 1};
    g_autoptr(W2wArray) array = NULL;
    W2wPtValue *value;

    if (dtype != NULL)
        array = new_array(machine, dtype->dtype, &layout, w2w_pt_sequence_get(arguments, 1), error);
    value = array != NULL
                ? w2w_pt_value_new(machine->document, W2W_PT_INT, 0, machine->position, error)
                : NULL;
    if (value == NULL)
        return NULL;
    if (array->dtype == W2W_DTYPE_BOOL)
        value->kind = W2W_PT_BOOL;
    else if (w2w_dtype_is_float(array->dtype))
        value->kind = W2W_PT_FLOAT;
    if (value->kind == W2W_PT_FLOAT)
        value->real = w2w_array_get(array, 0);
    else
        value->integer = w2w_array_get_int(array, 0);
    return value;
}
