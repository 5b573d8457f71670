/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing a diffusers folder. */
#include "engine/models/convert.h"

#include <errno.h>
#include <glib/gstdio.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/json_writer.h"
#include "engine/formats/safetensors.h"
#include "engine/models/model_match.h"
#include "engine/models/part_files.h"
#include "engine/models/tokenizer.h"
#include "engine/models/weight_table.h"

/*
 * Stable Diffusion 1.x' own, for checkpoints, which come without. Without a spacing: each sampler
 * has its own, as with the checkpoint itself, so that both give the same picture.
 */
#define SCHEDULER_CLASS "PNDMScheduler"
static const char scheduler_config[] =
    "{\"_class_name\": \"" SCHEDULER_CLASS "\", \"beta_end\": 0.012, "
    "\"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085, \"clip_sample\": false, "
    "\"num_train_timesteps\": 1000, \"prediction_type\": \"epsilon\", "
    "\"set_alpha_to_one\": false, \"skip_prk_steps\": true, \"steps_offset\": 1, "
    "\"trained_betas\": null}";

static const char *const tokenizer_files[] = {
    "vocab.json",     "merges.txt",        "tokenizer_config.json", "special_tokens_map.json",
    "tokenizer.json", "added_tokens.json",
};

typedef struct {
    char *path; /* of the source */
    GHashTable *arrays;
    JsonObject *settings;
} Part;

static void parts_clear(Part *parts)
{
    for (guint i = 0; i < W2W_N_MODEL_PARTS; i++) {
        g_free(parts[i].path);
        g_clear_pointer(&parts[i].arrays, g_hash_table_unref);
        g_clear_pointer(&parts[i].settings, json_object_unref);
    }
}

/* --- the source --- */

/* A model's folder has its VAE inside. */
static char *find_vae(const char *vae)
{
    g_autofree char *inside = g_build_filename(vae, w2w_model_part_names[W2W_PART_VAE], NULL);

    return g_file_test(inside, G_FILE_TEST_IS_DIR) ? g_steal_pointer(&inside) : g_strdup(vae);
}

/* What cannot be opened would be no model afterwards either. */
static gboolean check_model(const Part *parts, const char *tokenizer_path, GError **error)
{
    g_autoptr(W2wTextEncoder) text_encoder =
        w2w_text_encoder_open(parts[W2W_PART_TEXT_ENCODER].path, error);
    g_autoptr(W2wUnet) unet =
        text_encoder != NULL ? w2w_unet_open(parts[W2W_PART_UNET].path, error) : NULL;
    g_autoptr(W2wVae) vae = unet != NULL ? w2w_vae_open(parts[W2W_PART_VAE].path, error) : NULL;
    g_autoptr(W2wTokenizer) tokenizer =
        vae != NULL ? w2w_tokenizer_new(tokenizer_path, error) : NULL;

    return tokenizer != NULL && w2w_model_check_match(text_encoder, unet, parts[W2W_PART_UNET].path,
                                                      vae, parts[W2W_PART_VAE].path, error);
}

static gboolean read_parts(const char *model, const W2wConvertOptions *options,
                           const char *tokenizer_path, Part *parts, GError **error)
{
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++)
        parts[part].path = part == W2W_PART_VAE && options->vae != NULL
                               ? find_vae(options->vae)
                               : w2w_model_part_path(model, w2w_model_part_names[part]);
    if (!check_model(parts, tokenizer_path, error))
        return FALSE;
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        g_autofree char *file = NULL;
        g_autofree char *name = NULL;

        parts[part].arrays = w2w_part_read_weights(parts[part].path, part, &file, error);
        if (parts[part].arrays == NULL)
            return FALSE;
        parts[part].settings =
            w2w_part_read_settings(parts[part].path, part, parts[part].arrays, &name, error);
        if (parts[part].settings == NULL)
            return FALSE;
    }
    return TRUE;
}

/* --- the folder --- */

static gboolean make_directory(const char *path, GError **error)
{
    if (g_mkdir(path, 0777) == 0)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "The folder %s cannot be made: %s.", path,
                g_strerror(errno));
    return FALSE;
}

static gboolean write_text(const char *directory, const char *name, const char *text, gssize length,
                           GError **error)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    g_autoptr(GError) local = NULL;

    if (g_file_set_contents(path, text, length, &local))
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be written: %s", path, local->message);
    return FALSE;
}

static gboolean copy_file(const char *from, const char *directory, const char *name, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) local = NULL;
    gsize length;

    if (g_file_get_contents(from, &text, &length, &local))
        return write_text(directory, name, text, (gssize)length, error);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "%s cannot be read: %s", from, local->message);
    return FALSE;
}

static W2wSafetensorsWriter *make_writer(const Part *part, const W2wConvertOptions *options)
{
    W2wSafetensorsWriter *writer = w2w_safetensors_writer_new();
    g_autoptr(GPtrArray) names = w2w_weight_table_get_names(part->arrays);

    w2w_safetensors_writer_set_metadata(writer, "format", "pt"); /* transformers insists on it */
    for (guint i = 0; i < names->len; i++) {
        W2wArray *array = g_hash_table_lookup(part->arrays, names->pdata[i]);

        w2w_safetensors_writer_add_as(writer, names->pdata[i], array,
                                      options->keep_dtypes ? array->dtype : options->dtype);
    }
    return writer;
}

static gboolean write_parts(const Part *parts, const char *folder, const W2wConvertOptions *options,
                            const W2wProgress *progress, GError **error)
{
    W2wSafetensorsWriter *writers[W2W_N_MODEL_PARTS];
    double n_bytes = 0, done = 0;
    gboolean ok = TRUE;

    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++) {
        writers[part] = make_writer(&parts[part], options);
        n_bytes += (double)w2w_safetensors_writer_get_n_bytes(writers[part]);
    }
    for (W2wModelPart part = 0; ok && part < W2W_N_MODEL_PARTS; part++) {
        const char *name = w2w_model_part_names[part];
        const char *file = part == W2W_PART_TEXT_ENCODER ? "model.safetensors"
                                                         : "diffusion_pytorch_model.safetensors";
        const double next = done + (double)w2w_safetensors_writer_get_n_bytes(writers[part]);
        g_autofree char *directory = g_build_filename(folder, name, NULL);
        g_autofree char *path = g_build_filename(directory, file, NULL);
        g_autofree char *config = w2w_json_write_object(parts[part].settings);
        g_autofree char *text = g_strdup_printf("Writing %s", name);

        ok = make_directory(directory, error) &&
             write_text(directory, "config.json", config, -1, error) &&
             w2w_safetensors_writer_save_with_progress(writers[part], path, progress,
                                                       done / n_bytes, next / n_bytes, text, error);
        done = next;
    }
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++)
        w2w_safetensors_writer_free(writers[part]);
    return ok;
}

static gboolean write_tokenizer(const char *from, const char *folder, GError **error)
{
    g_autofree char *directory = g_build_filename(folder, "tokenizer", NULL);

    if (!make_directory(directory, error))
        return FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(tokenizer_files); i++) {
        g_autofree char *file = g_build_filename(from, tokenizer_files[i], NULL);

        if (g_file_test(file, G_FILE_TEST_EXISTS) &&
            !copy_file(file, directory, tokenizer_files[i], error))
            return FALSE;
    }
    return TRUE;
}

/* `*class_name`: the sampler that the settings are for. */
static gboolean write_scheduler(const char *model, const char *folder, char **class_name,
                                GError **error)
{
    g_autofree char *from = w2w_model_scheduler_path(model);
    g_autofree char *directory = g_build_filename(folder, "scheduler", NULL);
    g_autoptr(JsonObject) config = NULL;
    JsonNode *node = NULL;

    if (!make_directory(directory, error))
        return FALSE;
    if (from == NULL) {
        *class_name = g_strdup(SCHEDULER_CLASS);
        return write_text(directory, "scheduler_config.json", scheduler_config, -1, error);
    }
    config = w2w_json_load(from, error);
    if (config == NULL)
        return FALSE;
    node = json_object_get_member(config, "_class_name");
    *class_name = node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
                          json_node_get_value_type(node) == G_TYPE_STRING
                      ? json_node_dup_string(node)
                      : g_strdup(SCHEDULER_CLASS);
    return copy_file(from, directory, "scheduler_config.json", error);
}

static gboolean write_index(const char *folder, const char *scheduler_class, GError **error)
{
    const struct {
        const char *part, *library, *class_name; /* NULL: a part that is not there */
    } entries[] = {
        {"feature_extractor", NULL, NULL},
        {"image_encoder", NULL, NULL},
        {"safety_checker", NULL, NULL},
        {"scheduler", "diffusers", scheduler_class},
        {"text_encoder", "transformers", "CLIPTextModel"},
        {"tokenizer", "transformers", "CLIPTokenizer"},
        {"unet", "diffusers", "UNet2DConditionModel"},
        {"vae", "diffusers", "AutoencoderKL"},
    };
    g_autoptr(JsonObject) index = json_object_new();
    g_autofree char *text = NULL;

    json_object_set_string_member(index, "_class_name", "StableDiffusionPipeline");
    json_object_set_boolean_member(index, "requires_safety_checker", FALSE);
    for (guint i = 0; i < G_N_ELEMENTS(entries); i++) {
        JsonArray *pair = json_array_new();

        if (entries[i].library != NULL) {
            json_array_add_string_element(pair, entries[i].library);
            json_array_add_string_element(pair, entries[i].class_name);
        } else {
            json_array_add_null_element(pair);
            json_array_add_null_element(pair);
        }
        json_object_set_array_member(index, entries[i].part, pair);
    }
    text = w2w_json_write_object(index);
    return write_text(folder, "model_index.json", text, -1, error);
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *inside = g_build_filename(path, name, NULL);

        if (g_file_test(inside, G_FILE_TEST_IS_DIR))
            remove_tree(inside);
        else
            g_unlink(inside);
    }
    g_rmdir(path);
}

/* An empty folder gives way to the new one when that is renamed. */
static gboolean check_free(const char *folder, GError **error)
{
    g_autoptr(GDir) dir = NULL;

    if (!g_file_test(folder, G_FILE_TEST_EXISTS))
        return TRUE;
    dir = g_dir_open(folder, 0, NULL);
    if (dir != NULL && g_dir_read_name(dir) == NULL)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FILE,
                "%s is there already; a new or empty folder was expected, so that nothing is "
                "overwritten.",
                folder);
    return FALSE;
}

gboolean w2w_model_convert(const char *model, const char *folder, const W2wConvertOptions *options,
                           const W2wProgress *progress, GError **error)
{
    g_autofree char *tokenizer = w2w_model_tokenizer_path(model, options->clip);
    g_autofree char *place = g_canonicalize_filename(folder, NULL); /* no final slash */
    g_autofree char *temporary = g_strconcat(place, ".XXXXXX", NULL);
    g_autofree char *scheduler_class = NULL;
    Part parts[W2W_N_MODEL_PARTS] = {{0}};
    gboolean ok;

    if (!check_free(place, error))
        return FALSE;
    if (!read_parts(model, options, tokenizer, parts, error)) {
        parts_clear(parts);
        return FALSE;
    }
    if (g_mkdtemp_full(temporary, 0777) == NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "The folder %s cannot be made: %s.", folder,
                    g_strerror(errno));
        parts_clear(parts);
        return FALSE;
    }
    ok = write_parts(parts, temporary, options, progress, error) &&
         write_tokenizer(tokenizer, temporary, error) &&
         write_scheduler(model, temporary, &scheduler_class, error) &&
         write_index(temporary, scheduler_class, error);
    if (ok && g_rename(temporary, place) != 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FILE, "The folder %s cannot be made: %s.", folder,
                    g_strerror(errno));
        ok = FALSE;
    }
    if (!ok)
        remove_tree(temporary);
    parts_clear(parts);
    return ok;
}
