/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The device's table of packed weights. An entry keeps its source alive: else another
 * array could come to lie at the same address and be taken for it.
 */
#include "engine/device/cpu/packed_weight.h"

#include <string.h>

#include "engine/memory.h"

struct _W2wPackedWeight {
    W2wCpuDevice *device;
    W2wArray *source;
    char *layout;
    gsize n_bytes;
    void *data;
    guint n_users;
};

static guint packed_weight_hash(gconstpointer key)
{
    const W2wPackedWeight *weight = key;

    return g_direct_hash(weight->source->data) ^ g_str_hash(weight->layout);
}

static gboolean packed_weight_equal(gconstpointer key_a, gconstpointer key_b)
{
    const W2wPackedWeight *a = key_a, *b = key_b;
    const W2wArray *x = a->source, *y = b->source;
    const gsize dims_size = x->n_dims * sizeof *x->shape;

    /* A file may hold several views of one storage: shape and strides tell them apart. */
    return x->data == y->data && x->dtype == y->dtype &&
           w2w_array_has_shape(x, y->n_dims, y->shape) &&
           (dims_size == 0 || memcmp(x->stride, y->stride, dims_size) == 0) &&
           a->n_bytes == b->n_bytes && g_str_equal(a->layout, b->layout);
}

static void packed_weight_free(W2wPackedWeight *weight)
{
    w2w_aligned_free(weight->data);
    w2w_array_unref(weight->source);
    g_free(weight->layout);
    g_free(weight);
}

GHashTable *w2w_packed_weight_table_new(void)
{
    return g_hash_table_new(packed_weight_hash, packed_weight_equal);
}

W2wPackedWeight *w2w_packed_weight_get(W2wCpuDevice *device, W2wArray *source, const char *layout,
                                       gsize n_bytes, W2wPackFunc pack, gconstpointer pack_data,
                                       GError **error)
{
    const W2wPackedWeight key = {.source = source, .layout = (char *)layout, .n_bytes = n_bytes};
    W2wPackedWeight *weight = g_hash_table_lookup(device->packed_weights, &key);
    void *data = NULL;

    if (weight != NULL) {
        weight->n_users++;
        return weight;
    }
    if (device->parent.measuring) {
        device->parent.measured_bytes += n_bytes;
    } else {
        data = w2w_aligned_alloc(n_bytes, 1, "a packed weight", error);
        if (data == NULL)
            return NULL;
        pack(source, data, pack_data);
    }
    weight = g_new0(W2wPackedWeight, 1);
    weight->device = device;
    weight->source = w2w_array_ref(source);
    weight->layout = g_strdup(layout);
    weight->n_bytes = n_bytes;
    weight->data = data;
    weight->n_users = 1;
    g_hash_table_add(device->packed_weights, weight);
    return weight;
}

void w2w_packed_weight_unref(W2wPackedWeight *weight)
{
    if (weight == NULL || --weight->n_users > 0)
        return;
    g_hash_table_remove(weight->device->packed_weights, weight);
    packed_weight_free(weight);
}

const void *w2w_packed_weight_get_data(const W2wPackedWeight *weight)
{
    return weight->data;
}
