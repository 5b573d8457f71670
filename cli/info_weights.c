/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What weights of people come in beside spaces: LoRAs, datasets, upstream's identities. */
#include <string.h>

#include "cli/info.h"
#include "engine/error.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/lora_file.h"
#include "engine/w2w/upstream_identity.h"

static gint compare_ranks(gconstpointer first, gconstpointer second)
{
    const guint a = *(const guint *)first, b = *(const guint *)second;

    return a < b ? -1 : a > b;
}

/* Each rank once, the smallest first. */
static JsonArray *list_ranks(const W2wLora *lora)
{
    g_autoptr(GArray) ranks = g_array_new(FALSE, FALSE, sizeof(guint));
    JsonArray *list = json_array_new();

    for (guint i = 0; i < lora->modules->len; i++)
        g_array_append_val(ranks, ((W2wLoraModule *)lora->modules->pdata[i])->rank);
    g_array_sort(ranks, compare_ranks);
    for (guint i = 0; i < ranks->len; i++)
        if (i == 0 || g_array_index(ranks, guint, i) != g_array_index(ranks, guint, i - 1))
            json_array_add_int_element(list, g_array_index(ranks, guint, i));
    return list;
}

gboolean w2w_info_lora(const char *path, JsonObject *report, GError **error)
{
    g_autoptr(W2wLora) lora = w2w_lora_open(path, error);
    JsonArray *rows;
    guint n_text = 0;

    if (lora == NULL)
        return FALSE;
    rows = json_array_new();
    for (guint i = 0; i < lora->modules->len; i++) {
        const W2wLoraModule *module = lora->modules->pdata[i];
        g_autofree char *a = w2w_array_shape_to_string(module->a);
        g_autofree char *b = w2w_array_shape_to_string(module->b);
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "module", module->path);
        json_object_set_string_member(row, "part",
                                      module->in_text_encoder ? "text_encoder" : "unet");
        json_object_set_int_member(row, "rank", module->rank);
        json_object_set_double_member(row, "scale", module->scale);
        json_object_set_string_member(row, "A", a);
        json_object_set_string_member(row, "B", b);
        json_object_set_string_member(row, "dtype", w2w_dtype_name(module->a->dtype));
        json_array_add_object_element(rows, row);
        n_text += module->in_text_encoder;
    }
    json_object_set_string_member(report, "kind", "LoRA");
    w2w_info_set_path(report, "file", lora->source);
    json_object_set_string_member(report, "format", w2w_lora_format_names[lora->format]);
    json_object_set_int_member(report, "unet_modules", lora->modules->len - n_text);
    json_object_set_int_member(report, "text_encoder_modules", n_text);
    json_object_set_array_member(report, "ranks", list_ranks(lora));
    json_object_set_array_member(report, "modules", rows);
    return TRUE;
}

gboolean w2w_info_dataset(const char *path, JsonObject *report, GError **error)
{
    g_autoptr(W2wDataset) dataset = w2w_dataset_open(path, error);

    if (dataset == NULL)
        return FALSE;
    json_object_set_string_member(report, "kind", "dataset");
    w2w_info_set_path(report, "file", dataset->path);
    json_object_set_int_member(report, "people", dataset->weights->shape[0]);
    json_object_set_int_member(report, "weights", dataset->weights->shape[1]);
    json_object_set_string_member(report, "dtype", w2w_dtype_name(dataset->weights->dtype));
    json_object_set_boolean_member(report, "has_names", dataset->people->names != NULL);
    json_object_set_int_member(report, "attributes", dataset->people->labels->len);
    return TRUE;
}

gboolean w2w_info_upstream_identity(const char *path, JsonObject *report, GError **error)
{
    gboolean is_one;
    g_autoptr(W2wIdentity) identity = w2w_upstream_identity_open(path, &is_one, error);
    g_autofree char *shown = g_filename_display_name(path);

    if (identity == NULL) {
        if (!is_one && *error == NULL)
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s is not an identity as weights2weights saves them: one tensor of "
                        "coefficients was expected.",
                        shown);
        return FALSE;
    }
    json_object_set_string_member(report, "kind", "identity of weights2weights");
    json_object_set_string_member(report, "path", shown);
    json_object_set_int_member(report, "coefficients", identity->n_coefficients);
    json_object_set_string_member(report, "note", "Which space it belongs to is not written down.");
    return TRUE;
}
