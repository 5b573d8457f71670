/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Weights in the layout that a kernel likes, made once and shared by all kernels of a
 * device (hence of one compute type) that want the same layout of the same array (graphs of other
 * sizes or batches).
 */
#pragma once

#include "engine/device/cpu/cpu.h"

G_BEGIN_DECLS

typedef struct _W2wPackedWeight W2wPackedWeight;

/* What a device keeps in `packed_weights`: empty again when the last kernel is gone. */
GHashTable *w2w_packed_weight_table_new(void);

/* Fills `packed` from `source`. */
typedef void (*W2wPackFunc)(const W2wArray *source, void *packed, gconstpointer pack_data);

/*
 * The packed form of `source` in `layout` (a short string that says all: "panels16/geglu"),
 * n_bytes long; packs it where nobody has yet. Release with w2w_packed_weight_unref().
 * W2W_ERROR_MEMORY.
 */
W2wPackedWeight *w2w_packed_weight_get(W2wCpuDevice *device, W2wArray *source, const char *layout,
                                       gsize n_bytes, W2wPackFunc pack, gconstpointer pack_data,
                                       GError **error);
void w2w_packed_weight_unref(W2wPackedWeight *weight);
const void *w2w_packed_weight_get_data(const W2wPackedWeight *weight);

G_END_DECLS
