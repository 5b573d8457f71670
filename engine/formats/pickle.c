/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pickle machine: a stack, a memo, and a switch over the opcodes that it knows. */
#include "engine/formats/pickle_literals.h"

#include "engine/memory.h"

enum {
    MAX_STACK = 1000 * 1000,
    MAX_MEMO = 16 * 1000 * 1000,
    SMALL_MEMO = 1 << 16,
    MAX_PROTOCOL = 5,
};

#define FAIL(...) w2w_pt_machine_fail(machine, error, __VA_ARGS__)

W2wPtMachine *w2w_pickle_machine_new(W2wPtDocument *document, GBytes *bytes)
{
    W2wPtMachine *machine = g_new0(W2wPtMachine, 1);
    gsize length;

    machine->document = document;
    machine->bytes = g_bytes_ref(bytes);
    machine->start = machine->at = g_bytes_get_data(bytes, &length);
    machine->end = machine->start + length;
    machine->storages = g_hash_table_new(g_str_hash, g_str_equal);
    machine->stack = g_ptr_array_new();
    machine->marks = g_array_new(FALSE, FALSE, sizeof(guint));
    machine->memo = g_ptr_array_new();
    return machine;
}

void w2w_pickle_machine_free(W2wPtMachine *machine)
{
    if (machine == NULL)
        return;
    g_hash_table_unref(machine->storages);
    g_ptr_array_unref(machine->stack);
    g_array_unref(machine->marks);
    g_ptr_array_unref(machine->memo);
    g_bytes_unref(machine->bytes);
    g_free(machine);
}

/* --- the stack --- */

static gboolean push(W2wPtMachine *machine, W2wPtValue *value, GError **error)
{
    if (value == NULL) /* the maker has set the error */
        return FALSE;
    if (machine->stack->len >= MAX_STACK)
        return FAIL("the stack grows beyond %d values", MAX_STACK);
    if (!w2w_pt_reserve_growth(machine->document, machine->stack->len, sizeof value, error))
        return FALSE;
    g_ptr_array_add(machine->stack, value);
    return TRUE;
}

static guint stack_floor(const W2wPtMachine *machine)
{
    return machine->marks->len > 0 ? g_array_index(machine->marks, guint, machine->marks->len - 1)
                                   : 0;
}

/* The topmost value above the last mark, NULL and an error where there is none. */
static W2wPtValue *top(W2wPtMachine *machine, GError **error)
{
    if (machine->stack->len <= stack_floor(machine)) {
        FAIL("the stack is empty");
        return NULL;
    }
    return machine->stack->pdata[machine->stack->len - 1];
}

static W2wPtValue *pop(W2wPtMachine *machine, GError **error)
{
    W2wPtValue *value = top(machine, error);

    if (value != NULL)
        g_ptr_array_set_size(machine->stack, (gint)machine->stack->len - 1);
    return value;
}

static gboolean pop_mark(W2wPtMachine *machine, guint *first, GError **error)
{
    if (machine->marks->len == 0)
        return FAIL("there is no mark on the stack");
    *first = stack_floor(machine);
    g_array_set_size(machine->marks, machine->marks->len - 1);
    return TRUE;
}

/* Moves all values from `first` on into the container. */
static gboolean move_into(W2wPtMachine *machine, W2wPtValue *container, guint first, GError **error)
{
    GPtrArray *stack = machine->stack;

    if (container == NULL)
        return FALSE;
    if (container->kind == W2W_PT_DICT && (stack->len - first) % 2 != 0)
        return FAIL("a dictionary has a key without a value");
    for (guint i = first; i < stack->len; i++) {
        gboolean ok;

        if (container->kind == W2W_PT_DICT) {
            ok = w2w_pt_dict_set(container, stack->pdata[i], stack->pdata[i + 1], machine->position,
                                 error);
            i++;
        } else {
            ok = w2w_pt_container_append(container, stack->pdata[i], machine->position, error);
        }
        if (!ok)
            return FALSE;
    }
    g_ptr_array_set_size(stack, (gint)first);
    return TRUE;
}

/* --- opcodes --- */

static gboolean push_new(W2wPtMachine *machine, int kind, gint64 integer, GError **error)
{
    W2wPtValue *value = w2w_pt_value_new(machine->document, kind, 0, machine->position, error);

    if (value != NULL)
        value->integer = integer;
    return push(machine, value, error);
}

static gboolean push_container(W2wPtMachine *machine, int kind, GError **error)
{
    return push(machine,
                w2w_pt_value_new_container(machine->document, kind, machine->position, error),
                error);
}

/* Of the values from `first` on. */
static gboolean push_collected(W2wPtMachine *machine, int kind, guint first, GError **error)
{
    W2wPtValue *container =
        w2w_pt_value_new_container(machine->document, kind, machine->position, error);

    return move_into(machine, container, first, error) && push(machine, container, error);
}

static gboolean push_tuple(W2wPtMachine *machine, guint length, GError **error)
{
    if (machine->stack->len - stack_floor(machine) < length)
        return FAIL("the stack has too few values for a tuple of %u", length);
    return push_collected(machine, W2W_PT_TUPLE, machine->stack->len - length, error);
}

static gboolean push_to_mark(W2wPtMachine *machine, int kind, GError **error)
{
    guint first = 0;

    return pop_mark(machine, &first, error) && push_collected(machine, kind, first, error);
}

/* APPEND(S), SETITEM(S), ADDITEMS: what lies above `first` goes into the container below it. */
static gboolean extend(W2wPtMachine *machine, int kind, guint first, GError **error)
{
    W2wPtValue *container;

    if (first <= stack_floor(machine) || first > machine->stack->len)
        return FAIL("the stack has too few values");
    container = machine->stack->pdata[first - 1];
    if (container->kind != kind)
        return FAIL("%s was expected, but %s is there", w2w_pt_kind_describe(kind),
                    w2w_pt_kind_describe(container->kind));
    return move_into(machine, container, first, error);
}

static gboolean extend_to_mark(W2wPtMachine *machine, int kind, GError **error)
{
    guint first = 0;

    return pop_mark(machine, &first, error) && extend(machine, kind, first, error);
}

static gboolean put(W2wPtMachine *machine, guint64 number, GError **error)
{
    W2wPtValue *value = top(machine, error);

    if (value == NULL)
        return FALSE;
    /* Picklers count up, and a place takes an opcode: 19 bytes must not make a memo of 64 MB. */
    if (number >= SMALL_MEMO &&
        number >= MIN((guint64)MAX_MEMO, (guint64)(machine->end - machine->start)))
        return FAIL("the memo number %" G_GUINT64_FORMAT " is too large", number);
    if (number >= machine->memo->len) {
        if (!w2w_pt_charge(machine->document, (number + 1 - machine->memo->len) * sizeof value,
                           machine->position, error) ||
            !w2w_memory_reserve(2 * (number + 1) * sizeof value, "the memo of a pickle", error))
            return FALSE;
        g_ptr_array_set_size(machine->memo, (gint)number + 1);
    }
    machine->n_memoized += machine->memo->pdata[number] == NULL;
    machine->memo->pdata[number] = value;
    return TRUE;
}

static gboolean put_numbered(W2wPtMachine *machine, guint size, GError **error)
{
    guint64 number;

    return w2w_pickle_take_number(machine, size, &number, error) && put(machine, number, error);
}

static gboolean get_numbered(W2wPtMachine *machine, guint size, GError **error)
{
    guint64 number;

    if (!w2w_pickle_take_number(machine, size, &number, error))
        return FALSE;
    if (number >= machine->memo->len || machine->memo->pdata[number] == NULL)
        return FAIL("the memo has no value %" G_GUINT64_FORMAT, number);
    return push(machine, machine->memo->pdata[number], error);
}

static gboolean push_global(W2wPtMachine *machine, GError **error)
{
    char module[W2W_PICKLE_MAX_NAME], name[W2W_PICKLE_MAX_NAME];

    return w2w_pickle_take_line(machine, module, error) &&
           w2w_pickle_take_line(machine, name, error) &&
           push(machine, w2w_pt_symbol_lookup(machine, module, name, error), error);
}

static gboolean push_stack_global(W2wPtMachine *machine, GError **error)
{
    const W2wPtValue *name = pop(machine, error);
    const W2wPtValue *module = name != NULL ? pop(machine, error) : NULL;

    if (module == NULL)
        return FALSE;
    if (name->kind != W2W_PT_STRING || module->kind != W2W_PT_STRING || name->string->has_nul ||
        module->string->has_nul)
        return FAIL("the name of a class or function is not a text");
    return push(machine,
                w2w_pt_symbol_lookup(machine, module->string->text, name->string->text, error),
                error);
}

/* REDUCE and NEWOBJ. */
static gboolean call(W2wPtMachine *machine, GError **error)
{
    const W2wPtValue *arguments = pop(machine, error);
    const W2wPtValue *callee = arguments != NULL ? pop(machine, error) : NULL;

    return callee != NULL && push(machine, w2w_pt_call(machine, callee, arguments, error), error);
}

static gboolean build(W2wPtMachine *machine, GError **error)
{
    const W2wPtValue *state = pop(machine, error);
    W2wPtValue *object = state != NULL ? top(machine, error) : NULL;

    return object != NULL && w2w_pt_build(machine, object, state, error);
}

static gboolean push_persistent(W2wPtMachine *machine, GError **error)
{
    const W2wPtValue *id = pop(machine, error);

    return id != NULL && push(machine, w2w_pt_persistent_load(machine, id, error), error);
}

static gboolean check_protocol(W2wPtMachine *machine, GError **error)
{
    guint64 protocol;

    if (!w2w_pickle_take_number(machine, 1, &protocol, error))
        return FALSE;
    return protocol <= MAX_PROTOCOL ||
           FAIL("protocol %u is newer than %d", (guint)protocol, MAX_PROTOCOL);
}

/* FRAME only says how many bytes to read ahead: there must be as many. */
static gboolean check_frame(W2wPtMachine *machine, GError **error)
{
    guint64 length;

    if (!w2w_pickle_take_number(machine, 8, &length, error))
        return FALSE;
    return length <= (guint64)(machine->end - machine->at) ||
           FAIL("a frame goes beyond the end of the pickle");
}

static gboolean run_opcode(W2wPtMachine *machine, guint8 opcode, GError **error)
{
    switch (opcode) {
    case 0x80: /* PROTO */
        return check_protocol(machine, error);
    case 0x95: /* FRAME */
        return check_frame(machine, error);
    case '(': /* MARK */
        if (machine->marks->len >= MAX_STACK)
            return FAIL("there are more than %d marks", MAX_STACK);
        if (!w2w_pt_reserve_growth(machine->document, machine->marks->len, sizeof(guint), error))
            return FALSE;
        g_array_append_val(machine->marks, machine->stack->len);
        return TRUE;
    case 'N': /* NONE */
        return push_new(machine, W2W_PT_NONE, 0, error);
    case 0x88: /* NEWTRUE */
        return push_new(machine, W2W_PT_BOOL, TRUE, error);
    case 0x89: /* NEWFALSE */
        return push_new(machine, W2W_PT_BOOL, FALSE, error);
    case 'J': /* BININT */
        return push(machine, w2w_pickle_take_integer(machine, 4, error), error);
    case 'K': /* BININT1 */
        return push(machine, w2w_pickle_take_integer(machine, 1, error), error);
    case 'M': /* BININT2 */
        return push(machine, w2w_pickle_take_integer(machine, 2, error), error);
    case 0x8a: /* LONG1 */
        return push(machine, w2w_pickle_take_long(machine, error), error);
    case 'G': /* BINFLOAT */
        return push(machine, w2w_pickle_take_float(machine, error), error);
    case 'U':  /* SHORT_BINSTRING */
    case 0x8c: /* SHORT_BINUNICODE */
        return push(machine, w2w_pickle_take_string(machine, 1, error), error);
    case 'X': /* BINUNICODE */
        return push(machine, w2w_pickle_take_string(machine, 4, error), error);
    case 0x8d: /* BINUNICODE8 */
        return push(machine, w2w_pickle_take_string(machine, 8, error), error);
    case 'C': /* SHORT_BINBYTES */
        return push(machine, w2w_pickle_take_bytes(machine, 1, error), error);
    case 'B': /* BINBYTES */
        return push(machine, w2w_pickle_take_bytes(machine, 4, error), error);
    case 0x8e: /* BINBYTES8 */
    case 0x96: /* BYTEARRAY8 */
        return push(machine, w2w_pickle_take_bytes(machine, 8, error), error);
    case ')': /* EMPTY_TUPLE */
        return push_container(machine, W2W_PT_TUPLE, error);
    case 0x85: /* TUPLE1 */
        return push_tuple(machine, 1, error);
    case 0x86: /* TUPLE2 */
        return push_tuple(machine, 2, error);
    case 0x87: /* TUPLE3 */
        return push_tuple(machine, 3, error);
    case 't': /* TUPLE */
        return push_to_mark(machine, W2W_PT_TUPLE, error);
    case ']':  /* EMPTY_LIST */
    case 0x8f: /* EMPTY_SET */
        return push_container(machine, W2W_PT_LIST, error);
    case 0x91: /* FROZENSET */
        return push_to_mark(machine, W2W_PT_LIST, error);
    case '}': /* EMPTY_DICT */
        return push_container(machine, W2W_PT_DICT, error);
    case 'a': /* APPEND */
        return extend(machine, W2W_PT_LIST, machine->stack->len - 1, error);
    case 'e':  /* APPENDS */
    case 0x90: /* ADDITEMS */
        return extend_to_mark(machine, W2W_PT_LIST, error);
    case 's': /* SETITEM */
        return extend(machine, W2W_PT_DICT, machine->stack->len - 2, error);
    case 'u': /* SETITEMS */
        return extend_to_mark(machine, W2W_PT_DICT, error);
    case 'q': /* BINPUT */
        return put_numbered(machine, 1, error);
    case 'r': /* LONG_BINPUT */
        return put_numbered(machine, 4, error);
    case 0x94: /* MEMOIZE */
        return put(machine, machine->n_memoized, error);
    case 'h': /* BINGET */
        return get_numbered(machine, 1, error);
    case 'j': /* LONG_BINGET */
        return get_numbered(machine, 4, error);
    case 'c': /* GLOBAL */
        return push_global(machine, error);
    case 0x93: /* STACK_GLOBAL */
        return push_stack_global(machine, error);
    case 'Q': /* BINPERSID */
        return push_persistent(machine, error);
    case 'R':  /* REDUCE */
    case 0x81: /* NEWOBJ */
        return call(machine, error);
    case 'b': /* BUILD */
        return build(machine, error);
    default:
        return FAIL("there is the opcode 0x%02x, which no file of weights needs", opcode);
    }
}

W2wPtValue *w2w_pickle_machine_run(W2wPtMachine *machine, GError **error)
{
    g_ptr_array_set_size(machine->stack, 0);
    g_array_set_size(machine->marks, 0);
    g_ptr_array_set_size(machine->memo, 0);
    machine->n_memoized = 0;
    for (;;) {
        guint8 opcode;

        machine->position = (gsize)(machine->at - machine->start);
        if (machine->at == machine->end) {
            FAIL("it ends without its STOP (was the file copied or downloaded completely?)");
            return NULL;
        }
        opcode = *machine->at++;
        if (opcode == '.') /* STOP */
            break;
        if (!run_opcode(machine, opcode, error))
            return NULL;
    }
    if (machine->stack->len != 1 || machine->marks->len != 0) {
        FAIL("it stops with %u values on the stack instead of one", machine->stack->len);
        return NULL;
    }
    return machine->stack->pdata[0];
}
