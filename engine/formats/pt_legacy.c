/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * torch.save() before PyTorch 1.6: five pickles in a row (a magic number, a version,
 * facts about the machine, the value, the keys of its storages), then each storage in
 * the order of the keys: its number of elements (int64), its elements.
 */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pickle.h"

#define LEGACY_VERSION 1001
#define COUNT_BYTES    8

/* 0x1950a86a20f9469cfc6c as LONG1 writes it, with the opcode. */
static const guint8 magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                               0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

/* Where the magic number may begin: behind PROTO, and in protocol 4 FRAME. */
#define MAX_MAGIC_OFFSET 11

gboolean w2w_pt_legacy_matches(GBytes *bytes)
{
    gsize n_bytes;
    const guint8 *data = g_bytes_get_data(bytes, &n_bytes);

    return n_bytes > 0 &&
           memmem(data, MIN(n_bytes, MAX_MAGIC_OFFSET + sizeof magic), magic, sizeof magic) != NULL;
}

/* Runs the next pickle, which must be of `kind`. */
static W2wPtValue *run_kind(W2wPtMachine *machine, int kind, const char *what, GError **error)
{
    W2wPtValue *value = w2w_pickle_machine_run(machine, error);

    if (value == NULL || value->kind == kind)
        return value;
    w2w_pt_machine_fail(machine, error, "%s was expected where %s is", what,
                        w2w_pt_kind_describe(value->kind));
    return NULL;
}

static gboolean read_preamble(W2wPtMachine *machine, GError **error)
{
    W2wPtValue *value;
    const W2wPtValue *is_little = NULL;

    if (run_kind(machine, W2W_PT_BIG_INTEGER, "the magic number", error) == NULL)
        return FALSE;
    value = run_kind(machine, W2W_PT_INT, "the version", error);
    if (value == NULL)
        return FALSE;
    if (value->integer != LEGACY_VERSION)
        return w2w_pt_machine_fail(machine, error,
                                   "the version is %" G_GINT64_FORMAT " where %d was expected",
                                   value->integer, LEGACY_VERSION);
    value = run_kind(machine, W2W_PT_DICT, "a dictionary of the machine", error);
    if (value == NULL)
        return FALSE;
    if (value->container->by_string != NULL)
        is_little = g_hash_table_lookup(value->container->by_string, "little_endian");
    if (is_little == NULL || is_little->kind != W2W_PT_BOOL || !is_little->integer)
        return w2w_pt_machine_fail(machine, error, "it was not written on a little-endian machine");
    return TRUE;
}

static gboolean read_storage(W2wPtMachine *machine, const W2wPtValue *key, GError **error)
{
    W2wPtValue *value = key->kind == W2W_PT_STRING
                            ? g_hash_table_lookup(machine->storages, key->string->text)
                            : NULL;
    const gsize n_left = (gsize)(machine->end - machine->at);
    W2wPtStorage *storage;
    gsize n_bytes;
    guint64 count;

    machine->position = (gsize)(machine->at - machine->start);
    if (value == NULL || value->storage->bytes != NULL)
        return w2w_pt_machine_fail(machine, error,
                                   "there are the numbers of a storage that is unknown or known");
    storage = value->storage;
    if (n_left < COUNT_BYTES)
        return w2w_pt_machine_fail(machine, error, "the numbers of the storage “%s” are missing",
                                   storage->key);
    memcpy(&count, machine->at, COUNT_BYTES);
    if (GUINT64_FROM_LE(count) != (guint64)storage->count ||
        !g_size_checked_mul(&n_bytes, (gsize)storage->count, w2w_dtype_size(storage->dtype)) ||
        n_bytes > n_left - COUNT_BYTES)
        return w2w_pt_machine_fail(machine, error,
                                   "the storage “%s” claims %" G_GINT64_FORMAT
                                   " elements, but others or fewer are there",
                                   storage->key, storage->count);
    storage->bytes =
        g_bytes_new_from_bytes(machine->bytes, machine->position + COUNT_BYTES, n_bytes);
    machine->at += COUNT_BYTES + n_bytes;
    return TRUE;
}

W2wPtValue *w2w_pt_read_legacy(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(W2wPtDocument) document = w2w_pt_document_new(name, g_bytes_get_size(bytes));
    g_autoptr(W2wPtMachine) machine = w2w_pickle_machine_new(document, bytes);
    W2wPtValue *root = NULL;
    const W2wPtValue *keys;

    if (read_preamble(machine, error))
        root = w2w_pickle_machine_run(machine, error);
    keys = root != NULL ? run_kind(machine, W2W_PT_LIST, "the list of storages", error) : NULL;
    if (keys == NULL)
        return NULL;
    for (guint i = 0; i < w2w_pt_sequence_get_length(keys); i++) {
        if (!read_storage(machine, w2w_pt_sequence_get(keys, i), error))
            return NULL;
    }
    for (W2wPtValue *value = document->first; value != NULL; value = value->next) {
        if (value->kind == W2W_PT_STORAGE && value->storage->bytes == NULL) {
            w2w_pt_fail(document, value->position, error,
                        "the storage “%s” has no numbers in the file", value->storage->key);
            return NULL;
        }
    }
    if (!w2w_pt_finish(root, error))
        return NULL;
    document = NULL; /* the root is the reference now */
    return root;
}
