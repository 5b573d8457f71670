/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From what a pickle built to what callers get. The walk is a loop with a stack of
 * its own: the memo lets a pickle of 100 bytes build a tree of 2^40 nodes, one of
 * endless depth, or a list that holds itself; all three end here.
 */
#include "engine/error.h"
#include "engine/formats/pt_handlers.h"

enum {
    MAX_HEIGHT = 64,
    MAX_NODES = 16 * 1000 * 1000, /* as a tree: what the memo shares is counted each time */
};

#define FAIL(...) w2w_pt_fail(value->document, value->position, error, __VA_ARGS__)

static gboolean finish_values(W2wPtDocument *document, GError **error)
{
    /* The loop also meets the values that finishing appends. */
    for (W2wPtValue *value = document->first; value != NULL; value = value->next) {
        if (value->kind == W2W_PT_TENSOR && !w2w_pt_finish_tensor(value, error))
            return FALSE;
        if (value->kind == W2W_PT_DATAFRAME && !w2w_pt_finish_data_frame(value, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean has_items(const W2wPtValue *value)
{
    return value->kind == W2W_PT_LIST || value->kind == W2W_PT_TUPLE || value->kind == W2W_PT_DICT;
}

static gboolean check_leaf(W2wPtValue *value, GError **error)
{
    if (value->kind > W2W_PT_DATAFRAME)
        return FAIL("it holds %s, which cannot be used by itself",
                    w2w_pt_kind_describe(value->kind));
    if (value->kind == W2W_PT_STRING && value->string->has_nul)
        return FAIL("a text holds a NUL character");
    value->n_nodes = 1;
    return TRUE;
}

typedef struct {
    W2wPtValue *value;
    guint next; /* item */
} Visit;

/* All items of `value` have been visited: its own numbers follow. */
static gboolean close_value(W2wPtValue *value, GError **error)
{
    const GPtrArray *items = value->container->items;
    guint64 n_nodes = 1;
    guint height = 0;

    for (guint i = 0; i < items->len; i++) {
        const W2wPtValue *item = items->pdata[i];

        n_nodes += item->n_nodes;
        height = MAX(height, item->height + 1u);
    }
    if (height > MAX_HEIGHT)
        return FAIL("lists or dictionaries are nested deeper than %d", MAX_HEIGHT);
    if (n_nodes > MAX_NODES)
        return FAIL("it repeats its parts until they are more than %d", MAX_NODES);
    value->height = (guint8)height;
    value->n_nodes = (guint32)n_nodes;
    value->is_open = FALSE;
    if (value->kind == W2W_PT_TUPLE)
        value->kind = W2W_PT_LIST;
    return TRUE;
}

static gboolean check_tree(W2wPtValue *root, GError **error)
{
    Visit path[MAX_HEIGHT + 2];
    guint depth = 0;

    if (!has_items(root))
        return check_leaf(root, error);
    root->is_open = TRUE;
    path[depth++] = (Visit){root, 0};
    while (depth > 0) {
        Visit *visit = &path[depth - 1];
        W2wPtValue *value;

        if (visit->next == visit->value->container->items->len) {
            if (!close_value(visit->value, error))
                return FALSE;
            depth--;
            continue;
        }
        value = visit->value->container->items->pdata[visit->next++];
        if (value->is_open)
            return FAIL("a list or dictionary contains itself");
        if (value->n_nodes > 0)
            continue;
        if (!has_items(value)) {
            if (!check_leaf(value, error))
                return FALSE;
            continue;
        }
        if (depth > MAX_HEIGHT)
            return FAIL("lists or dictionaries are nested deeper than %d", MAX_HEIGHT);
        value->is_open = TRUE;
        path[depth++] = (Visit){value, 0};
    }
    return TRUE;
}

gboolean w2w_pt_finish(W2wPtValue *root, GError **error)
{
    return finish_values(root->document, error) && check_tree(root, error);
}
