/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * torch.save()'s zip archive: NAME/data.pkl is the pickle, NAME/data/KEY each storage,
 * NAME/byteorder (since PyTorch 2.1) "little" or "big".
 */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/pickle.h"
#include "engine/formats/zip.h"

#define PICKLE_NAME "data.pkl"

/* What stands in front of "data.pkl", in the one entry of that name. Caller frees. */
static char *find_prefix(const W2wZip *zip, const char *name, GError **error)
{
    g_autofree char *prefix = NULL;

    for (guint i = 0; i < w2w_zip_get_n_entries(zip); i++) {
        const char *entry = w2w_zip_get_entry_name(zip, i);
        const char *slash = strchr(entry, '/');

        if (strcmp(slash != NULL ? slash + 1 : entry, PICKLE_NAME) != 0)
            continue;
        if (prefix != NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s is a zip archive with more than one " PICKLE_NAME ".", name);
            return NULL;
        }
        prefix = g_strndup(entry, strlen(entry) - strlen(PICKLE_NAME));
    }
    if (prefix == NULL)
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s is a zip archive, but not one of PyTorch's: it holds no " PICKLE_NAME ".",
                    name);
    return g_steal_pointer(&prefix);
}

static gboolean check_byte_order(const W2wZip *zip, const char *prefix, const char *name,
                                 GError **error)
{
    g_autofree char *entry = g_strconcat(prefix, "byteorder", NULL);
    g_autoptr(GBytes) bytes = NULL;
    const char *text;
    gsize length;

    if (!w2w_zip_has_entry(zip, entry))
        return TRUE;
    bytes = w2w_zip_read(zip, entry, strlen("little"), error);
    if (bytes == NULL)
        return FALSE;
    text = g_bytes_get_data(bytes, &length);
    if (length == strlen("little") && memcmp(text, "little", length) == 0)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s was written on a big-endian machine; only little endian is supported.", name);
    return FALSE;
}

static gboolean load_storage(const W2wZip *zip, const char *prefix, W2wPtValue *value,
                             GError **error)
{
    W2wPtStorage *storage = value->storage;
    g_autofree char *entry = g_strconcat(prefix, "data/", storage->key, NULL);
    gsize n_bytes;

    if (!g_size_checked_mul(&n_bytes, (gsize)storage->count, w2w_dtype_size(storage->dtype)))
        return w2w_pt_fail(value->document, value->position, error,
                           "the storage “%s” claims more bytes than can be counted", storage->key);
    if (!w2w_zip_has_entry(zip, entry))
        return w2w_pt_fail(value->document, value->position, error,
                           "the storage “%s” is named, but the archive lacks “%s”", storage->key,
                           entry);
    storage->bytes = w2w_zip_read(zip, entry, n_bytes, error);
    if (storage->bytes == NULL)
        return FALSE;
    if (g_bytes_get_size(storage->bytes) != n_bytes)
        return w2w_pt_fail(value->document, value->position, error,
                           "the storage “%s” claims %" G_GSIZE_FORMAT
                           " bytes, but the archive has %" G_GSIZE_FORMAT " of it",
                           storage->key, n_bytes, g_bytes_get_size(storage->bytes));
    return TRUE;
}

W2wPtValue *w2w_pt_read_archive(GBytes *bytes, const char *name, GError **error)
{
    g_autoptr(W2wZip) zip = w2w_zip_open(bytes, name, error);
    g_autofree char *prefix = zip != NULL ? find_prefix(zip, name, error) : NULL;
    g_autofree char *entry = NULL;
    g_autoptr(GBytes) pickle = NULL;
    g_autoptr(W2wPtDocument) document = NULL;
    g_autoptr(W2wPtMachine) machine = NULL;
    W2wPtValue *root;

    if (prefix == NULL || !check_byte_order(zip, prefix, name, error))
        return NULL;
    entry = g_strconcat(prefix, PICKLE_NAME, NULL);
    pickle = w2w_zip_copy(zip, entry, W2W_PICKLE_MAX_BYTES, error);
    if (pickle == NULL)
        return NULL;
    document = w2w_pt_document_new(name, g_bytes_get_size(pickle));
    machine = w2w_pickle_machine_new(document, pickle);
    root = w2w_pickle_machine_run(machine, error);
    if (root == NULL)
        return NULL;
    for (W2wPtValue *value = document->first; value != NULL; value = value->next) {
        if (value->kind == W2W_PT_STORAGE && !load_storage(zip, prefix, value, error))
            return NULL;
    }
    if (!w2w_pt_finish(root, error))
        return NULL;
    document = NULL; /* the root is the reference now */
    return root;
}
