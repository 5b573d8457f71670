/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finds the file that a LoRA's path means, and lists its tensors. */
#include "engine/w2w/lora_tensors.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/pt.h"
#include "engine/formats/safetensors.h"
#include "engine/w2w/lora_file.h"

#define ADAPTER_CONFIG     "adapter_config.json"
#define DIFFUSERS_METADATA "lora_adapter_metadata"

/* A, B and alpha of every module, and something that is refused later with its name. */
#define MAX_TENSORS 65536

/* In the order in which their tools look for them. */
const char *const w2w_lora_file_names[] = {"adapter_model.safetensors", "adapter_model.bin",
                                           "pytorch_lora_weights.safetensors",
                                           "pytorch_lora_weights.bin", NULL};

static void clear_tensor(gpointer data)
{
    W2wLoraTensor *tensor = data;

    g_free(tensor->key);
    w2w_array_unref(tensor->array);
}

void w2w_lora_tensors_free(W2wLoraTensors *tensors)
{
    if (tensors == NULL)
        return;
    g_free(tensors->path);
    g_free(tensors->adapter_path);
    g_array_unref(tensors->tensors);
    g_clear_pointer(&tensors->adapter, json_object_unref);
    g_clear_pointer(&tensors->metadata, json_object_unref);
    g_free(tensors);
}

static gboolean is_weights_file(const char *name)
{
    static const char *const endings[] = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"};

    for (guint i = 0; i < G_N_ELEMENTS(endings); i++)
        if (g_str_has_suffix(name, endings[i]))
            return TRUE;
    return FALSE;
}

static char *find_in_folder(const char *folder, GError **error)
{
    g_autoptr(GDir) directory = NULL;
    g_autofree char *found = NULL;
    const char *name;

    for (guint i = 0; w2w_lora_file_names[i] != NULL; i++) {
        char *path = g_build_filename(folder, w2w_lora_file_names[i], NULL);

        if (g_file_test(path, G_FILE_TEST_EXISTS))
            return path;
        g_free(path);
    }
    directory = g_dir_open(folder, 0, NULL);
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        if (!is_weights_file(name))
            continue;
        if (found != NULL) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                        "The folder %s holds several files that could be a LoRA, among them %s and "
                        "%s: name one of them.",
                        folder, found, name);
            return NULL;
        }
        found = g_strdup(name);
    }
    if (found == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                    "The folder %s holds no LoRA: neither adapter_model.safetensors nor "
                    "pytorch_lora_weights.safetensors nor one other such file.",
                    folder);
        return NULL;
    }
    return g_build_filename(folder, found, NULL);
}

static gboolean add(W2wLoraTensors *tensors, const char *key, W2wArray *array, GError **error)
{
    const W2wLoraTensor tensor = {g_strdup(key), w2w_array_ref(array)};

    g_array_append_val(tensors->tensors, tensor);
    if (tensors->tensors->len <= MAX_TENSORS)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT, "%s holds more than %d tensors: it is no LoRA.",
                tensors->path, MAX_TENSORS);
    return FALSE;
}

static gboolean read_safetensors(W2wLoraTensors *tensors, GError **error)
{
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(tensors->path, error);
    const char *metadata;

    if (file == NULL)
        return FALSE;
    for (const char *const *key = w2w_safetensors_get_keys(file); *key != NULL; key++)
        if (!add(tensors, *key, w2w_safetensors_peek(file, *key), error))
            return FALSE;
    metadata = w2w_safetensors_get_metadata(file, DIFFUSERS_METADATA);
    if (metadata != NULL) {
        g_autofree char *name = g_strdup_printf("“" DIFFUSERS_METADATA "” of %s", tensors->path);

        tensors->metadata = w2w_json_parse(metadata, strlen(metadata), name, error);
        return tensors->metadata != NULL;
    }
    return TRUE;
}

static gboolean read_pickle(W2wLoraTensors *tensors, GError **error)
{
    g_autoptr(W2wPtValue) dictionary = w2w_pt_open(tensors->path, error);

    if (dictionary == NULL)
        return FALSE;
    if (w2w_pt_value_get_type(dictionary) != W2W_PT_DICT) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s holds %s; a LoRA's dictionary of tensors was expected.", tensors->path,
                    w2w_pt_type_describe(w2w_pt_value_get_type(dictionary)));
        return FALSE;
    }
    for (guint i = 0; i < w2w_pt_value_get_length(dictionary); i++) {
        const W2wPtValue *key = w2w_pt_value_get_key(dictionary, i);
        const W2wPtValue *value = w2w_pt_value_get_item(dictionary, i);

        if (w2w_pt_value_get_type(key) != W2W_PT_STRING ||
            w2w_pt_value_get_type(value) != W2W_PT_ARRAY) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                        "%s has “%s” in its dictionary (entry %u), which is no tensor with a name.",
                        tensors->path,
                        w2w_pt_value_get_type(key) == W2W_PT_STRING ? w2w_pt_value_get_string(key)
                                                                    : "?",
                        i + 1);
            return FALSE;
        }
        if (!add(tensors, w2w_pt_value_get_string(key), w2w_pt_value_get_array(value), error))
            return FALSE;
    }
    return TRUE;
}

W2wLoraTensors *w2w_lora_tensors_open(const char *path, GError **error)
{
    g_autoptr(W2wLoraTensors) tensors = g_new0(W2wLoraTensors, 1);
    g_autofree char *folder = NULL;

    tensors->tensors = g_array_new(FALSE, FALSE, sizeof(W2wLoraTensor));
    g_array_set_clear_func(tensors->tensors, clear_tensor);
    tensors->path =
        g_file_test(path, G_FILE_TEST_IS_DIR) ? find_in_folder(path, error) : g_strdup(path);
    if (tensors->path == NULL)
        return NULL;
    folder = g_path_get_dirname(tensors->path);
    tensors->adapter_path = g_build_filename(folder, ADAPTER_CONFIG, NULL);
    if (!((g_str_has_suffix(tensors->path, ".safetensors") ||
           w2w_safetensors_matches(tensors->path))
              ? read_safetensors(tensors, error)
              : read_pickle(tensors, error)))
        return NULL;
    if (w2w_mapped_file_exists(tensors->adapter_path)) {
        tensors->adapter = w2w_json_load(tensors->adapter_path, error);
        if (tensors->adapter == NULL)
            return NULL;
    }
    return g_steal_pointer(&tensors);
}
