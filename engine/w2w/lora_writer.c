/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys, scales and the configuration of each format. */
#include "engine/w2w/lora_writer.h"

#include <string.h>

#include "engine/error.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/safetensors.h"
#include "engine/memory.h"

static const struct {
    const char *prefix, *a, *b; /* around the path */
    const char *file_name;
} formats[] = {
    [W2W_LORA_FORMAT_PEFT] = {"base_model.model.", ".lora_A.weight", ".lora_B.weight",
                              "adapter_model.safetensors"},
    [W2W_LORA_FORMAT_DIFFUSERS] = {"unet.", ".lora_A.weight", ".lora_B.weight", NULL},
    [W2W_LORA_FORMAT_KOHYA] = {"lora_unet_", ".lora_down.weight", ".lora_up.weight", NULL},
    [W2W_LORA_FORMAT_UPSTREAM] = {"base_model.model.", ".lora_A.identity1.weight",
                                  ".lora_B.identity1.weight", "adapter_model.safetensors"},
};

const char *w2w_lora_writer_get_file_name(W2wLoraFormat format)
{
    return formats[format].file_name;
}

static char *make_key(W2wLoraFormat format, const char *path, const char *ending)
{
    char *key = g_strconcat(formats[format].prefix, path, ending, NULL);

    /* kohya separates by underscores, up to the ending. */
    if (format == W2W_LORA_FORMAT_KOHYA)
        g_strdelimit(key + strlen(formats[format].prefix), ".", '_');
    memcpy(key + strlen(key) - strlen(ending), ending, strlen(ending));
    return key;
}

static gboolean add_factor(W2wSafetensorsWriter *writer, W2wLoraFormat format,
                           const W2wSpaceKey *key, const float *values, GError **error)
{
    const gint64 shape[2] = {key->is_b ? key->length : 1, key->is_b ? 1 : key->length};
    g_autofree char *name =
        make_key(format, key->path, key->is_b ? formats[format].b : formats[format].a);
    g_autoptr(W2wArray) array = w2w_array_new_f32(2, shape, values, error);

    if (array == NULL)
        return FALSE;
    w2w_safetensors_writer_add(writer, name, array);
    return TRUE;
}

/* kohya's, which every one of its modules has. */
static gboolean add_alpha(W2wSafetensorsWriter *writer, const char *path, float alpha,
                          GError **error)
{
    g_autofree char *name = make_key(W2W_LORA_FORMAT_KOHYA, path, ".alpha");
    g_autoptr(W2wArray) array = w2w_array_new_f32(0, NULL, &alpha, error);

    if (array == NULL)
        return FALSE;
    w2w_safetensors_writer_add(writer, name, array);
    return TRUE;
}

static void set_metadata(W2wSafetensorsWriter *writer, float scale, W2wLoraFormat format)
{
    g_autofree char *alpha = w2w_json_format_double(scale);

    w2w_safetensors_writer_set_metadata(writer, "format", "pt");
    if (format != W2W_LORA_FORMAT_KOHYA)
        return;
    w2w_safetensors_writer_set_metadata(writer, "ss_network_module", "networks.lora");
    w2w_safetensors_writer_set_metadata(writer, "ss_network_dim", "1");
    w2w_safetensors_writer_set_metadata(writer, "ss_network_alpha", alpha);
    w2w_safetensors_writer_set_metadata(writer, "ss_base_model_version", "sd_v1");
}

static gboolean add_key(W2wSafetensorsWriter *writer, W2wLoraFormat format, float scale,
                        const W2wSpaceKey *key, const float *theta, float *scaled, GError **error)
{
    const float *values = theta + key->offset;

    if (format == W2W_LORA_FORMAT_DIFFUSERS && key->is_b) {
        for (gint64 i = 0; i < key->length; i++)
            scaled[i] = scale * values[i];
        values = scaled;
    }
    return add_factor(writer, format, key, values, error) &&
           (format != W2W_LORA_FORMAT_KOHYA || key->is_b ||
            add_alpha(writer, key->path, scale, error));
}

static W2wLoraLayout layout_of(const W2wSpace *space)
{
    W2wLoraLayout layout = {.scale = w2w_space_get_lora_scale(space)};

    layout.keys = w2w_space_get_keys(space, &layout.n_keys);
    return layout;
}

GBytes *w2w_lora_writer_get_tensors_of(const W2wLoraLayout *layout, const float *theta,
                                       W2wLoraFormat format, GError **error)
{
    g_autoptr(W2wSafetensorsWriter) writer = w2w_safetensors_writer_new();
    W2W_AUTO_ALIGNED float *scaled = NULL;
    gint64 longest = 0;

    for (guint i = 0; i < layout->n_keys; i++)
        longest = MAX(longest, layout->keys[i].length);
    scaled = w2w_aligned_alloc((gsize)longest, sizeof *scaled, "a LoRA's factors", error);
    if (scaled == NULL)
        return NULL;
    set_metadata(writer, layout->scale, format);
    for (guint i = 0; i < layout->n_keys; i++)
        if (!add_key(writer, format, layout->scale, &layout->keys[i], theta, scaled, error))
            return NULL;
    return w2w_safetensors_writer_to_bytes(writer, error);
}

GBytes *w2w_lora_writer_get_tensors(const W2wSpace *space, const float *theta, W2wLoraFormat format,
                                    GError **error)
{
    const W2wLoraLayout layout = layout_of(space);

    if (layout.n_keys == 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                    "The space %s does not say which number belongs to which module: it has no "
                    "weight_dimensions.pt, and no model was opened with it.",
                    w2w_space_get_directory(space));
        return NULL;
    }
    return w2w_lora_writer_get_tensors_of(&layout, theta, format, error);
}

GBytes *w2w_lora_writer_get_config_of(const W2wLoraLayout *layout)
{
    g_autoptr(JsonObject) config = json_object_new();
    JsonArray *targets = json_array_new();
    const double alpha = layout->scale;
    char *text;

    /* Whole paths: they mean these modules and no others. */
    for (guint i = 0; i < layout->n_keys; i++)
        if (!layout->keys[i].is_b)
            json_array_add_string_element(targets, layout->keys[i].path);
    json_object_set_string_member(config, "peft_type", "LORA");
    json_object_set_null_member(config, "task_type");
    json_object_set_null_member(config, "base_model_name_or_path");
    json_object_set_boolean_member(config, "inference_mode", TRUE);
    json_object_set_int_member(config, "r", 1);
    /* PEFT declares a whole number, and takes any. */
    if (alpha == (double)(gint64)alpha)
        json_object_set_int_member(config, "lora_alpha", (gint64)alpha);
    else
        json_object_set_double_member(config, "lora_alpha", alpha);
    json_object_set_double_member(config, "lora_dropout", 0.0);
    json_object_set_boolean_member(config, "fan_in_fan_out", FALSE);
    json_object_set_string_member(config, "bias", "none");
    json_object_set_boolean_member(config, "init_lora_weights", TRUE);
    json_object_set_boolean_member(config, "use_rslora", FALSE);
    json_object_set_boolean_member(config, "use_dora", FALSE);
    json_object_set_array_member(config, "target_modules", targets);
    text = w2w_json_write_object(config);
    return g_bytes_new_take(text, strlen(text));
}

GBytes *w2w_lora_writer_get_config(const W2wSpace *space)
{
    const W2wLoraLayout layout = layout_of(space);

    return w2w_lora_writer_get_config_of(&layout);
}
