/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PyTorch's .pt, .bin and .ckpt files, written: a stored zip archive around a pickle of
 * protocol 2 that needs nothing but what torch.load(weights_only=True) allows (OrderedDict
 * and _rebuild_tensor_v2), and that pt.h reads.
 */
#pragma once

#include "engine/array.h"

G_BEGIN_DECLS

typedef struct _W2wPtWriter W2wPtWriter;

/* A state dict: an OrderedDict of tensors, in the order of the calls. */
W2wPtWriter *w2w_pt_writer_new(void);
void w2w_pt_writer_free(W2wPtWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wPtWriter, w2w_pt_writer_free)

/*
 * Keeps a reference on `array`, of any dtype; written row major. `key` is UTF-8 and new in its
 * dictionary.
 */
void w2w_pt_writer_add(W2wPtWriter *writer, const char *key, W2wArray *array);
void w2w_pt_writer_add_int(W2wPtWriter *writer, const char *key, gint64 value);

/* What is added between the two lies in a dictionary under `key` ("state_dict"). */
void w2w_pt_writer_begin_dict(W2wPtWriter *writer, const char *key);
void w2w_pt_writer_end_dict(W2wPtWriter *writer);

/* The file as bytes: the same calls give the same bytes. W2W_ERROR_MEMORY; W2W_ERROR_UNSUPPORTED:
 * more than 4 GB. */
GBytes *w2w_pt_writer_to_bytes(W2wPtWriter *writer, GError **error);

/* Never seen half-written (atomic_file.h). Also W2W_ERROR_FILE. */
gboolean w2w_pt_writer_save(W2wPtWriter *writer, const char *path, GError **error);

/* A file that is one bare tensor, as torch.save(tensor) makes it. */
GBytes *w2w_pt_write_array(W2wArray *array, GError **error);

G_END_DECLS
