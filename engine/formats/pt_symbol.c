/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The globals that a pickle may name, all of them. A symbol is inert: a row of this
 * table. What is not here is refused by name; there is no other way to call anything.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_handlers.h"

#define STORAGE(name, dtype)                                                                       \
    {                                                                                              \
        "torch", name, NULL, 0, 0, dtype                                                           \
    }
/* NumPy 2 renamed numpy.core. */
#define NUMPY_CORE(module, name, call, min, max)                                                   \
    {"numpy.core." module, name, call, min, max},                                                  \
    {                                                                                              \
        "numpy._core." module, name, call, min, max                                                \
    }
/* Protocol 2 writes Python 2's names of the built-in modules. */
#define BUILTIN(name, call, min, max)                                                              \
    {"builtins", name, call, min, max},                                                            \
    {                                                                                              \
        "__builtin__", name, call, min, max                                                        \
    }

static const W2wPtSymbol symbols[] = {
    {"collections", "OrderedDict", w2w_pt_call_dict, 0, 0},
    BUILTIN("set", w2w_pt_call_set, 1, 1),
    BUILTIN("frozenset", w2w_pt_call_set, 1, 1),
    BUILTIN("bytes", w2w_pt_call_bytes, 0, 0),
    BUILTIN("bytearray", w2w_pt_call_encode, 2, 2),
    BUILTIN("slice", w2w_pt_call_slice, 3, 3),
    BUILTIN("object", NULL, 0, 0),
    {"_codecs", "encode", w2w_pt_call_encode, 2, 2},
    {"functools", "partial", w2w_pt_call_partial, 1, 1},
    {"copyreg", "_reconstructor", w2w_pt_call_reconstructor, 3, 3},
    {"copy_reg", "_reconstructor", w2w_pt_call_reconstructor, 3, 3},

    /* (storage, offset, size, stride, requires_grad, backward_hooks, metadata) */
    {"torch._utils", "_rebuild_tensor_v2", w2w_pt_call_rebuild_tensor, 6, 7},
    {"torch._utils", "_rebuild_tensor", w2w_pt_call_rebuild_tensor, 4, 4},
    {"torch._utils", "_rebuild_parameter", w2w_pt_call_rebuild_parameter, 3, 3},
    {"torch", "Size", w2w_pt_call_size, 1, 1},
    STORAGE("FloatStorage", W2W_DTYPE_F32),
    STORAGE("HalfStorage", W2W_DTYPE_F16),
    STORAGE("BFloat16Storage", W2W_DTYPE_BF16),
    STORAGE("DoubleStorage", W2W_DTYPE_F64),
    STORAGE("CharStorage", W2W_DTYPE_I8),
    STORAGE("ShortStorage", W2W_DTYPE_I16),
    STORAGE("IntStorage", W2W_DTYPE_I32),
    STORAGE("LongStorage", W2W_DTYPE_I64),
    STORAGE("ByteStorage", W2W_DTYPE_U8),
    STORAGE("BoolStorage", W2W_DTYPE_BOOL),

    {"numpy", "ndarray", NULL, 0, 0},
    {"numpy", "dtype", w2w_pt_call_dtype, 1, 3},
    NUMPY_CORE("multiarray", "_reconstruct", w2w_pt_call_reconstruct, 3, 3),
    NUMPY_CORE("multiarray", "scalar", w2w_pt_call_scalar, 2, 2),
    NUMPY_CORE("numeric", "_frombuffer", w2w_pt_call_frombuffer, 4, 4),

    {"pandas.core.frame", "DataFrame", w2w_pt_call_data_frame, 0, 0},
    {"pandas.core.internals.managers", "BlockManager", w2w_pt_call_block_manager, 0, 2},
    {"pandas._libs.internals", "_unpickle_block", w2w_pt_call_block, 3, 3},
    {"pandas.core.internals.blocks", "new_block", w2w_pt_call_block, 2, 3},
    {"pandas.core.indexes.base", "_new_Index", w2w_pt_call_index, 2, 2},
    {"pandas.core.indexes.base", "Index", NULL, 0, 0},
    {"pandas.core.indexes.range", "RangeIndex", NULL, 0, 0},
    {"pandas.core.indexes.numeric", "Int64Index", NULL, 0, 0},
    {"pandas.core.indexes.numeric", "UInt64Index", NULL, 0, 0},
    {"pandas.core.indexes.numeric", "Float64Index", NULL, 0, 0},
};

/*
 * Classes that checkpoints name beside their weights, as keys of what a training's helpers
 * remember. All that is wanted of them is that the file can be read: they become texts.
 */
static const struct {
    const char *module, *name, *text;
} mentioned[] = {
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", "ModelCheckpoint"},
};

W2wPtValue *w2w_pt_symbol_lookup(W2wPtMachine *machine, const char *module, const char *name,
                                 GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(symbols); i++) {
        W2wPtValue *value;

        if (strcmp(symbols[i].module, module) != 0 || strcmp(symbols[i].name, name) != 0)
            continue;
        value = w2w_pt_value_new(machine->document, W2W_PT_SYMBOL, 0, machine->position, error);
        if (value != NULL)
            value->symbol = &symbols[i];
        return value;
    }
    for (guint i = 0; i < G_N_ELEMENTS(mentioned); i++)
        if (strcmp(mentioned[i].module, module) == 0 && strcmp(mentioned[i].name, name) == 0)
            return w2w_pt_value_new_string(machine->document, mentioned[i].text,
                                           strlen(mentioned[i].text), machine->position, error);
    w2w_pt_machine_fail(machine, error,
                        "it asks for “%s.%s”, which is not among the few things that files of "
                        "weights and labels need; nothing of it was run",
                        module, name);
    return NULL;
}

gboolean w2w_pt_value_is_symbol(const W2wPtValue *value, const char *module, const char *name)
{
    return value->kind == W2W_PT_SYMBOL && strcmp(value->symbol->module, module) == 0 &&
           strcmp(value->symbol->name, name) == 0;
}

W2wPtValue *w2w_pt_argument(W2wPtMachine *machine, const W2wPtSymbol *symbol,
                            const W2wPtValue *arguments, guint i, int kind, GError **error)
{
    W2wPtValue *argument = w2w_pt_sequence_get(arguments, i);

    if (argument->kind == kind)
        return argument;
    w2w_pt_machine_fail(machine, error, "%s gets %s where %s was expected", symbol->name,
                        w2w_pt_kind_describe(argument->kind), w2w_pt_kind_describe(kind));
    return NULL;
}

W2wPtValue *w2w_pt_call(W2wPtMachine *machine, const W2wPtValue *callee,
                        const W2wPtValue *arguments, GError **error)
{
    const W2wPtValue *target = callee->kind == W2W_PT_PARTIAL ? callee->target : callee;
    const W2wPtSymbol *symbol;
    guint n_arguments;

    if (target->kind != W2W_PT_SYMBOL || target->symbol->call == NULL ||
        arguments->kind != W2W_PT_TUPLE) {
        w2w_pt_machine_fail(machine, error, "it calls %s, which is no function",
                            target->kind == W2W_PT_SYMBOL ? target->symbol->name
                                                          : w2w_pt_kind_describe(target->kind));
        return NULL;
    }
    symbol = target->symbol;
    n_arguments = w2w_pt_sequence_get_length(arguments);
    if (n_arguments < symbol->min_arguments || n_arguments > symbol->max_arguments) {
        w2w_pt_machine_fail(machine, error, "%s gets %u arguments where %u to %u were expected",
                            symbol->name, n_arguments, symbol->min_arguments,
                            symbol->max_arguments);
        return NULL;
    }
    return symbol->call(machine, symbol, arguments, error);
}

gboolean w2w_pt_build(W2wPtMachine *machine, W2wPtValue *object, const W2wPtValue *state,
                      GError **error)
{
    switch (object->kind) {
    case W2W_PT_DTYPE:
        return w2w_pt_build_dtype(machine, object, state, error);
    case W2W_PT_NDARRAY:
        return w2w_pt_build_ndarray(machine, object, state, error);
    case W2W_PT_BLOCK_MANAGER:
        return w2w_pt_build_block_manager(machine, object, state, error);
    case W2W_PT_DATAFRAME:
        return w2w_pt_build_data_frame(machine, object, state, error);
    case W2W_PT_DICT:    /* an OrderedDict's attributes: state dicts have _metadata */
    case W2W_PT_PARTIAL: /* (function, arguments, keywords, attributes): said before or no matter */
        return TRUE;
    default:
        return w2w_pt_machine_fail(machine, error, "%s gets a state",
                                   w2w_pt_kind_describe(object->kind));
    }
}
