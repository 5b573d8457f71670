/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which LoRA factor lies where in the flat vector: the keys of a space. */
#include <string.h>

#include "engine/error.h"
#include "engine/w2w/space_internal.h"

static void clear_key(gpointer data)
{
    g_free((char *)((W2wSpaceKey *)data)->path);
}

GArray *w2w_space_keys_new(void)
{
    GArray *keys = g_array_new(FALSE, TRUE, sizeof(W2wSpaceKey));

    g_array_set_clear_func(keys, clear_key);
    return keys;
}

/* Each module once with A and once with B. */
static gboolean check_pairs(const GArray *keys, const char *source, GError **error)
{
    enum { HAS_A = 1, HAS_B = 2 };
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < keys->len; i++) {
        const W2wSpaceKey *key = &g_array_index(keys, W2wSpaceKey, i);
        const guint before = GPOINTER_TO_UINT(g_hash_table_lookup(seen, key->path));
        const guint now = key->is_b ? HAS_B : HAS_A;

        if ((before & now) != 0) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s names lora_%c of %s twice.", source,
                        key->is_b ? 'B' : 'A', key->path);
            return FALSE;
        }
        g_hash_table_replace(seen, (gpointer)key->path, GUINT_TO_POINTER(before | now));
    }
    for (guint i = 0; i < keys->len; i++) {
        const W2wSpaceKey *key = &g_array_index(keys, W2wSpaceKey, i);

        if (GPOINTER_TO_UINT(g_hash_table_lookup(seen, key->path)) != (HAS_A | HAS_B)) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s has lora_%c of %s but not lora_%c.",
                        source, key->is_b ? 'B' : 'A', key->path, key->is_b ? 'A' : 'B');
            return FALSE;
        }
    }
    return TRUE;
}

gboolean w2w_space_take_keys(W2wSpace *space, GArray *keys, const char *source, GError **error)
{
    gint64 offset = 0;

    if (!check_pairs(keys, source, error))
        return FALSE;
    for (guint i = 0; i < keys->len; i++) {
        W2wSpaceKey *key = &g_array_index(keys, W2wSpaceKey, i);

        key->offset = offset;
        if (key->length <= 0 || key->length > space->n_weights - offset) {
            offset = -1;
            break;
        }
        offset += key->length;
    }
    if (offset != space->n_weights) {
        g_autofree char *mean = w2w_space_describe_part(space, W2W_SPACE_MEAN);

        g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                    "The LoRA factors of %s do not add up to the %" G_GINT64_FORMAT
                    " numbers of %s: these belong to different models.",
                    source, space->n_weights, mean);
        return FALSE;
    }
    g_array_unref(space->keys);
    space->keys = g_array_ref(keys);
    return TRUE;
}

gboolean w2w_space_set_keys(W2wSpace *space, const W2wSpaceKey *keys, guint n_keys, GError **error)
{
    g_autoptr(GArray) copies = w2w_space_keys_new();

    for (guint i = 0; i < n_keys; i++) {
        const W2wSpaceKey copy = {
            .path = g_strdup(keys[i].path), .is_b = keys[i].is_b, .length = keys[i].length};

        g_array_append_val(copies, copy);
    }
    return w2w_space_take_keys(space, copies, "the model", error);
}

const W2wSpaceKey *w2w_space_get_keys(const W2wSpace *space, guint *n_keys)
{
    *n_keys = space->keys->len;
    return (const W2wSpaceKey *)(gpointer)space->keys->data;
}
