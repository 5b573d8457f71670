/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Literals of a pickle: every length is checked before anything is made of it. */
#include "engine/formats/pickle_literals.h"

#include <string.h>

#define FAIL(...) w2w_pt_machine_fail(machine, error, __VA_ARGS__)

/* NULL and an error where fewer than `length` bytes are left. */
static const guint8 *take(W2wPtMachine *machine, guint64 length, GError **error)
{
    const guint8 *at = machine->at;

    if (length > (guint64)(machine->end - at)) {
        FAIL("%" G_GUINT64_FORMAT " bytes were expected, but only %" G_GSIZE_FORMAT " are left",
             length, (gsize)(machine->end - at));
        return NULL;
    }
    machine->at += length;
    return at;
}

gboolean w2w_pickle_take_number(W2wPtMachine *machine, guint size, guint64 *number, GError **error)
{
    const guint8 *at = take(machine, size, error);

    *number = 0;
    for (guint i = 0; at != NULL && i < size; i++)
        *number |= (guint64)at[i] << (8 * i);
    return at != NULL;
}

/* Bytes behind their length, which has `size` bytes. */
static const guint8 *take_counted(W2wPtMachine *machine, guint size, gsize *length, GError **error)
{
    guint64 number;
    const guint8 *at;

    if (!w2w_pickle_take_number(machine, size, &number, error))
        return NULL;
    at = take(machine, number, error);
    *length = (gsize)number;
    return at;
}

gboolean w2w_pickle_take_line(W2wPtMachine *machine, char *line, GError **error)
{
    const gsize room = MIN((gsize)(machine->end - machine->at), W2W_PICKLE_MAX_NAME);
    const guint8 *line_end = room > 0 ? memchr(machine->at, '\n', room) : NULL;
    gsize length;

    if (line_end == NULL)
        return FAIL("the name of a class or function does not end");
    length = (gsize)(line_end - machine->at);
    memcpy(line, machine->at, length);
    line[length] = 0;
    machine->at = line_end + 1;
    if (!g_utf8_validate(line, (gssize)length, NULL))
        return FAIL("the name of a class or function is not UTF-8");
    return TRUE;
}

static W2wPtValue *new_value(W2wPtMachine *machine, int kind, GError **error)
{
    return w2w_pt_value_new(machine->document, kind, 0, machine->position, error);
}

static W2wPtValue *new_integer(W2wPtMachine *machine, gint64 integer, GError **error)
{
    W2wPtValue *value = new_value(machine, W2W_PT_INT, error);

    if (value != NULL)
        value->integer = integer;
    return value;
}

/* BYTES and BIG_INTEGER. */
static W2wPtValue *new_view(W2wPtMachine *machine, int kind, const guint8 *at, gsize length,
                            GError **error)
{
    W2wPtValue *value;

    if (!w2w_pt_charge(machine->document, 8 * sizeof(gpointer), machine->position, error))
        return NULL;
    value = new_value(machine, kind, error);
    if (value != NULL)
        value->bytes = g_bytes_new_from_bytes(machine->bytes, (gsize)(at - machine->start), length);
    return value;
}

W2wPtValue *w2w_pickle_take_integer(W2wPtMachine *machine, guint size, GError **error)
{
    guint64 number;

    if (!w2w_pickle_take_number(machine, size, &number, error))
        return NULL;
    return new_integer(machine, size == 4 ? (gint64)(gint32)number : (gint64)number, error);
}

W2wPtValue *w2w_pickle_take_long(W2wPtMachine *machine, GError **error)
{
    gsize length;
    const guint8 *at = take_counted(machine, 1, &length, error);
    guint64 number = 0;

    if (at == NULL)
        return NULL;
    if (length > sizeof number)
        return new_view(machine, W2W_PT_BIG_INTEGER, at, length, error);
    if (length > 0 && (at[length - 1] & 0x80) != 0)
        number = G_MAXUINT64;
    for (gsize i = length; i-- > 0;)
        number = number << 8 | at[i];
    return new_integer(machine, (gint64)number, error);
}

W2wPtValue *w2w_pickle_take_float(W2wPtMachine *machine, GError **error)
{
    const guint8 *at = take(machine, 8, error);
    W2wPtValue *value = at != NULL ? new_value(machine, W2W_PT_FLOAT, error) : NULL;
    guint64 bits;

    if (value == NULL)
        return NULL;
    memcpy(&bits, at, sizeof bits);
    bits = GUINT64_FROM_BE(bits);
    memcpy(&value->real, &bits, sizeof bits);
    return value;
}

/* NUL is a character to Python, and how protocol 2 writes the raw byte 0; GLib stops at it. */
static gboolean is_utf8(const char *text, gsize length)
{
    const char *const text_end = text + length;

    while (!g_utf8_validate_len(text, (gsize)(text_end - text), &text)) {
        if (*text != 0)
            return FALSE;
        while (text < text_end && *text == 0)
            text++;
    }
    return TRUE;
}

W2wPtValue *w2w_pickle_take_string(W2wPtMachine *machine, guint size, GError **error)
{
    gsize length;
    const char *text = (const char *)take_counted(machine, size, &length, error);

    if (text == NULL)
        return NULL;
    if (!is_utf8(text, length)) {
        FAIL("a text is not UTF-8");
        return NULL;
    }
    return w2w_pt_value_new_string(machine->document, text, length, machine->position, error);
}

W2wPtValue *w2w_pickle_take_bytes(W2wPtMachine *machine, guint size, GError **error)
{
    gsize length;
    const guint8 *at = take_counted(machine, size, &length, error);

    return at != NULL ? new_view(machine, W2W_PT_BYTES, at, length, error) : NULL;
}
