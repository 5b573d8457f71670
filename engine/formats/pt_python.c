/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Python's own classes and functions in pickles. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pt_handlers.h"
#include "engine/memory.h"

W2W_PT_HANDLER(w2w_pt_call_dict)
{
    return w2w_pt_value_new_container(machine->document, W2W_PT_DICT, machine->position, error);
}

W2W_PT_HANDLER(w2w_pt_call_set)
{
    return w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_LIST, error);
}

static W2wPtValue *new_bytes(W2wPtMachine *machine, GBytes *bytes, GError **error)
{
    W2wPtValue *value =
        w2w_pt_value_new(machine->document, W2W_PT_BYTES, 0, machine->position, error);

    if (value != NULL)
        value->bytes = bytes;
    else
        g_bytes_unref(bytes);
    return value;
}

W2W_PT_HANDLER(w2w_pt_call_bytes)
{
    return new_bytes(machine, g_bytes_new(NULL, 0), error);
}

/* Protocol 2 has no bytes: it writes each as the character of that number. */
static GBytes *decode_latin1(W2wPtMachine *machine, const W2wPtString *string, GError **error)
{
    const guint8 *in = (const guint8 *)string->text, *const end = in + string->length;
    guint8 *bytes = w2w_try_malloc(string->length + 1, 1, machine->document->name, error);
    guint8 *out = bytes;

    if (bytes == NULL)
        return NULL;
    while (in < end) {
        if (*in < 0x80) {
            *out++ = *in++;
        } else if (*in <= 0xc3) { /* two bytes, since the text is UTF-8 */
            *out++ = (guint8)(in[0] << 6 | (in[1] & 0x3f));
            in += 2;
        } else {
            g_free(bytes);
            w2w_pt_machine_fail(machine, error, "a text that should stand for bytes has others");
            return NULL;
        }
    }
    return g_bytes_new_take(bytes, (gsize)(out - bytes));
}

W2W_PT_HANDLER(w2w_pt_call_encode)
{
    static const char *const latin1[] = {"latin1", "latin-1", "iso-8859-1", NULL};
    W2wPtValue *text = w2w_pt_argument(machine, symbol, arguments, 0, W2W_PT_STRING, error);
    const W2wPtValue *encoding =
        text != NULL ? w2w_pt_argument(machine, symbol, arguments, 1, W2W_PT_STRING, error) : NULL;
    GBytes *bytes;

    if (encoding == NULL)
        return NULL;
    if (!g_strv_contains(latin1, encoding->string->text)) {
        w2w_pt_machine_fail(machine, error, "a text is encoded in “%s” where latin1 was expected",
                            encoding->string->text);
        return NULL;
    }
    if (text->string->as_latin1 == NULL) { /* once a text: repeated calls must not cost memory */
        if (!w2w_pt_charge(machine->document, text->string->length, machine->position, error))
            return NULL;
        bytes = decode_latin1(machine, text->string, error);
        text->string->as_latin1 = bytes != NULL ? new_bytes(machine, bytes, error) : NULL;
    }
    return text->string->as_latin1;
}

W2W_PT_HANDLER(w2w_pt_call_slice)
{
    gint64 *fields[3];
    W2wPtValue *value = w2w_pt_value_new(machine->document, W2W_PT_SLICE, sizeof(W2wPtSlice),
                                         machine->position, error);

    if (value == NULL)
        return NULL;
    fields[0] = &value->slice->start;
    fields[1] = &value->slice->stop;
    fields[2] = &value->slice->step;
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        const W2wPtValue *number =
            w2w_pt_argument(machine, symbol, arguments, i, W2W_PT_INT, error);

        if (number == NULL)
            return NULL;
        *fields[i] = number->integer;
    }
    return value;
}

W2W_PT_HANDLER(w2w_pt_call_partial)
{
    W2wPtValue *target = w2w_pt_sequence_get(arguments, 0), *value;

    if (!w2w_pt_value_is_symbol(target, "pandas.core.internals.blocks", "new_block")) {
        w2w_pt_machine_fail(machine, error, "functools.partial is for pandas' new_block only");
        return NULL;
    }
    value = w2w_pt_value_new(machine->document, W2W_PT_PARTIAL, 0, machine->position, error);
    if (value != NULL)
        value->target = target;
    return value;
}

/* How protocols before 2 make an instance: of the classes that we know, without arguments. */
W2W_PT_HANDLER(w2w_pt_call_reconstructor)
{
    const W2wPtValue *class = w2w_pt_sequence_get(arguments, 0);
    const W2wPtValue *base = w2w_pt_sequence_get(arguments, 1);
    W2wPtValue *nothing;

    if (base->kind != W2W_PT_SYMBOL || strcmp(base->symbol->name, "object") != 0 ||
        w2w_pt_sequence_get(arguments, 2)->kind != W2W_PT_NONE) {
        w2w_pt_machine_fail(machine, error, "_reconstructor gets other than (class, object, None)");
        return NULL;
    }
    nothing = w2w_pt_value_new_container(machine->document, W2W_PT_TUPLE, machine->position, error);
    return nothing != NULL ? w2w_pt_call(machine, class, nothing, error) : NULL;
}
