/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tensors of made-up numbers under given names. */
#include "tests/w2w/lora_files.h"

#include <math.h>

#include "engine/formats/pt_writer.h"
#include "engine/formats/safetensors.h"
#include "tests/w2w/space_folder.h"

static W2wArray *make_array(const LoraTensor *tensor)
{
    g_autofree float *values = NULL;
    g_autoptr(GError) error = NULL;
    gsize n = 1;
    W2wArray *array;

    for (guint d = 0; d < tensor->n_dims; d++)
        n *= (gsize)tensor->shape[d];
    values = g_new(float, MAX(n, 1));
    for (gsize i = 0; i < n; i++)
        values[i] = (float)cos(1.0 + 0.7 * (double)i);
    if (n > 0 && (tensor->n_dims == 0 || tensor->value != 0.0f))
        values[0] = tensor->value;
    array = w2w_array_new_f32(tensor->n_dims, tensor->shape, values, &error);
    g_assert_no_error(error);
    return array;
}

void write_lora(const char *folder, const char *name, const LoraTensor *tensors,
                const char *metadata)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(W2wSafetensorsWriter) safetensors = w2w_safetensors_writer_new();
    g_autoptr(W2wPtWriter) pickle = w2w_pt_writer_new();
    g_autoptr(GError) error = NULL;

    for (; tensors->key != NULL; tensors++) {
        g_autoptr(W2wArray) array = make_array(tensors);

        w2w_safetensors_writer_add(safetensors, tensors->key, array);
        w2w_pt_writer_add(pickle, tensors->key, array);
    }
    if (metadata != NULL)
        w2w_safetensors_writer_set_metadata(safetensors, "lora_adapter_metadata", metadata);
    if (g_str_has_suffix(name, ".safetensors"))
        w2w_safetensors_writer_save(safetensors, path, &error);
    else
        w2w_pt_writer_save(pickle, path, &error);
    g_assert_no_error(error);
}

W2wLora *open_lora(const LoraTensor *tensors, const char *config, const char *metadata,
                   GError **error)
{
    char *folder = make_folder();
    W2wLora *lora;

    write_lora(folder, "lora.safetensors", tensors, metadata);
    if (config != NULL)
        write_text(folder, "adapter_config.json", config);
    lora = w2w_lora_open(folder, error);
    remove_folder(folder);
    return lora;
}
