/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * safetensors, read strictly and written atomically.
 *
 * Source: the format's specification (8-byte little-endian header length, JSON
 * header, one data buffer). Refused: a header over 100 MB, duplicate names,
 * unknown dtypes, offsets that overlap, leave holes, do not match shape and dtype,
 * or do not cover the whole buffer. Values are not looked at (NaN is allowed).
 * The file is mapped: arrays point into it and keep it alive.
 */
#pragma once

#include "engine/array.h"
#include "engine/progress.h"

G_BEGIN_DECLS

typedef struct _W2wSafetensors W2wSafetensors;

/*
 * Does the file begin like one: a header's length below 2^32, and its brace? FALSE where it cannot
 * be read. To be asked before w2w_zip_matches(): a length may begin like a zip archive or a pickle.
 */
gboolean w2w_safetensors_matches(const char *path);

/* W2W_ERROR_FILE or W2W_ERROR_FORMAT; the message names `path`. */
W2wSafetensors *w2w_safetensors_open(const char *path, GError **error);

/* The same from memory (a layer's parasite); `name` stands for the file in messages. */
W2wSafetensors *w2w_safetensors_open_bytes(GBytes *bytes, const char *name, GError **error);

void w2w_safetensors_free(W2wSafetensors *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wSafetensors, w2w_safetensors_free)

/* Path or name as given. */
const char *w2w_safetensors_get_name(const W2wSafetensors *file);

/* Names in the order of their data; owned by the file, NULL terminated. */
const char *const *w2w_safetensors_get_keys(const W2wSafetensors *file);

/* NULL where there is none; owned by the file. */
W2wArray *w2w_safetensors_peek(const W2wSafetensors *file, const char *key);

/* A new reference; W2W_ERROR_FORMAT that names file and key where it is missing. */
W2wArray *w2w_safetensors_get(const W2wSafetensors *file, const char *key, GError **error);

/* The value of a key of __metadata__, NULL where there is none; owned by the file. */
const char *w2w_safetensors_get_metadata(const W2wSafetensors *file, const char *key);
GHashTable *w2w_safetensors_get_all_metadata(
    const W2wSafetensors *file); /* borrowed, string → string */

/* --- writing --- */

typedef struct _W2wSafetensorsWriter W2wSafetensorsWriter;
W2wSafetensorsWriter *w2w_safetensors_writer_new(void);
void w2w_safetensors_writer_free(W2wSafetensorsWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(W2wSafetensorsWriter, w2w_safetensors_writer_free)

/*
 * Keeps a reference on `array`; written row major in its own dtype, in the order of the
 * calls. A key may be added once, and "__metadata__" is none.
 */
void w2w_safetensors_writer_add(W2wSafetensorsWriter *writer, const char *key, W2wArray *array);
/* The same, written as `dtype`: array and dtype are floats, rounding is to the nearest. */
void w2w_safetensors_writer_add_as(W2wSafetensorsWriter *writer, const char *key, W2wArray *array,
                                   W2wDType dtype);
/* In the order of the first calls; a second call for a key replaces its value. Bytes that are not
 * UTF-8 become U+FFFD. */
void w2w_safetensors_writer_set_metadata(W2wSafetensorsWriter *writer, const char *key,
                                         const char *value);

/* The file as bytes: the same calls give the same bytes. W2W_ERROR_MEMORY. */
GBytes *w2w_safetensors_writer_to_bytes(W2wSafetensorsWriter *writer, GError **error);

/* Writes beside `path` and renames, so that no half-written file is ever seen. Array by array: a
 * file of any size needs no memory. W2W_ERROR_FILE. */
gboolean w2w_safetensors_writer_save(W2wSafetensorsWriter *writer, const char *path,
                                     GError **error);

/* The same with reports from `start` to `end`, and a way to cancel it. */
gboolean w2w_safetensors_writer_save_with_progress(W2wSafetensorsWriter *writer, const char *path,
                                                   const W2wProgress *progress, double start,
                                                   double end, const char *text, GError **error);

/* Bytes of all arrays as they will be written. */
gsize w2w_safetensors_writer_get_n_bytes(const W2wSafetensorsWriter *writer);

G_END_DECLS
