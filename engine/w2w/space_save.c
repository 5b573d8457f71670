/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing a space as one file. */
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/space_file.h"
#include "engine/w2w/space_internal.h"

/* A contiguous array over a copy of `n_bytes`; `what` for messages. */
static gboolean add_copy(W2wSafetensorsWriter *writer, const char *key, W2wDType dtype,
                         guint n_dims, const gint64 *shape, gconstpointer values, gsize n_bytes,
                         GError **error)
{
    gpointer copy = w2w_try_malloc(n_bytes, 1, "a part of a space", error);
    g_autoptr(GBytes) bytes = NULL;
    g_autoptr(W2wArray) array = NULL;

    if (copy == NULL)
        return FALSE;
    if (n_bytes > 0)
        memcpy(copy, values, n_bytes);
    bytes = g_bytes_new_take(copy, n_bytes);
    array = w2w_array_new_view(dtype, n_dims, shape, NULL, bytes, 0, key, error);
    if (array != NULL)
        w2w_safetensors_writer_add(writer, key, array);
    return array != NULL;
}

/* Texts with a NUL behind each. */
static gboolean add_texts(W2wSafetensorsWriter *writer, const char *key, const GPtrArray *texts,
                          GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    gint64 shape[1];

    for (guint i = 0; texts != NULL && i < texts->len; i++)
        g_byte_array_append(bytes, texts->pdata[i], (guint)strlen(texts->pdata[i]) + 1);
    shape[0] = bytes->len;
    return texts == NULL ||
           add_copy(writer, key, W2W_DTYPE_U8, 1, shape, bytes->data, bytes->len, error);
}

static gboolean add_labels(W2wSafetensorsWriter *writer, W2wSpace *space, GError **error)
{
    const guint n_attributes = space->people->labels->len, n = space->n_with_statistics;
    const gsize m = (gsize)space->n_people;
    const gint64 labels_shape[2] = {n_attributes, space->n_people};
    const gint64 directions_shape[2] = {n_attributes, n}, ranges_shape[2] = {n_attributes, 3};
    g_autofree gint8 *labels = NULL;
    g_autofree double *ranges = NULL;

    if (n_attributes == 0)
        return TRUE;
    if (!w2w_space_fit_directions(space, error))
        return FALSE;
    labels = w2w_try_malloc(n_attributes * m, sizeof *labels, "the labels of a space", error);
    if (labels == NULL)
        return FALSE;
    ranges =
        w2w_try_malloc((gsize)n_attributes * 3, sizeof *ranges, "the ranges of a space", error);
    if (ranges == NULL)
        return FALSE;
    for (guint a = 0; a < n_attributes; a++) {
        memcpy(labels + a * m, space->people->labels->pdata[a], m);
        ranges[(gsize)a * 3] = space->ranges[a].half_range;
        ranges[(gsize)a * 3 + 1] = space->ranges[a].min;
        ranges[(gsize)a * 3 + 2] = space->ranges[a].max;
    }
    return add_copy(writer, "labels", W2W_DTYPE_I8, 2, labels_shape, labels, n_attributes * m,
                    error) &&
           add_copy(writer, "directions", W2W_DTYPE_F64, 2, directions_shape, space->directions,
                    (gsize)n_attributes * n * sizeof(double), error) &&
           add_copy(writer, "score_ranges", W2W_DTYPE_F64, 2, ranges_shape, ranges,
                    (gsize)n_attributes * 3 * sizeof(double), error);
}

static void set_list(W2wSafetensorsWriter *writer, const char *key, JsonArray *list)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_ARRAY);
    g_autofree char *text = NULL;

    json_node_take_array(node, list);
    text = w2w_json_write(node);
    w2w_safetensors_writer_set_metadata(writer, key, text);
}

static gboolean is_missing(const W2wSpace *space, W2wSpacePart part)
{
    for (guint i = 0; i < space->missing->len; i++)
        if (g_str_equal(g_array_index(space->missing, W2wSpaceMissing, i).name,
                        w2w_space_part_name(space, part)))
            return TRUE;
    return FALSE;
}

static void set_metadata(W2wSafetensorsWriter *writer, const W2wSpace *space, const char *card)
{
    g_autofree char *scale = w2w_json_format_double(space->lora_scale);
    JsonArray *attributes = json_array_new(), *keys = json_array_new();

    w2w_safetensors_writer_set_metadata(writer, "format", W2W_SPACE_FORMAT);
    w2w_safetensors_writer_set_metadata(writer, "version", "1");
    /* One that was only assumed stays unsaid. */
    if (!is_missing(space, W2W_SPACE_ADAPTER))
        w2w_safetensors_writer_set_metadata(writer, "lora_scale", scale);
    for (guint a = 0; a < space->people->labels->len; a++)
        json_array_add_string_element(attributes, space->people->attributes->pdata[a]);
    set_list(writer, "attributes", attributes);
    for (guint i = 0; i < space->keys->len; i++) {
        const W2wSpaceKey *key = &g_array_index(space->keys, W2wSpaceKey, i);
        JsonArray *entry = json_array_new();

        json_array_add_string_element(entry, key->path);
        json_array_add_string_element(entry, key->is_b ? "B" : "A");
        json_array_add_int_element(entry, key->length);
        json_array_add_array_element(keys, entry);
    }
    set_list(writer, "keys", keys);
    if (card != NULL)
        w2w_safetensors_writer_set_metadata(writer, "card", card);
}

gboolean w2w_space_save(W2wSpace *space, const char *path, const char *card,
                        const W2wProgress *progress, GError **error)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    g_autoptr(W2wArray) components = w2w_array_transpose(space->v);
    const gint64 shape[1] = {space->n_weights};
    const gsize n_bytes = (gsize)space->n_weights * sizeof(double);

    if (space->projections == NULL && space->dataset != NULL &&
        !w2w_space_compute_projections(space, progress, error))
        return FALSE;
    if (!add_copy(writer, "mean", W2W_DTYPE_F64, 1, shape, space->mean, n_bytes, error) ||
        !add_copy(writer, "std", W2W_DTYPE_F64, 1, shape, space->std, n_bytes, error))
        return FALSE;
    w2w_safetensors_writer_add(writer, "components", components);
    if (space->projections != NULL) {
        w2w_safetensors_writer_add(writer, "projections", space->projections);
        if (!add_labels(writer, space, error) ||
            !add_texts(writer, "people", space->people->names, error) ||
            !add_texts(writer, "files", space->people->files, error))
            return FALSE;
    }
    set_metadata(writer, space, card != NULL ? card : space->card);
    return w2w_progress_step(progress, 0.9, "Writing the space", error) &&
           w2w_safetensors_writer_save(writer, path, error);
}
