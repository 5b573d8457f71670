/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Models and their parts. What is broken is part of the answer, not the end of it. */
#include <string.h>

#include "cli/info.h"
#include "engine/diffusion/scheduler.h"
#include "engine/formats/json.h"
#include "engine/models/part_files.h"
#include "engine/models/text_encoder.h"
#include "engine/models/tokenizer.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"

static void describe_text_encoder(const char *path, JsonObject *part, GError **error)
{
    g_autoptr(W2wTextEncoder) encoder = w2w_text_encoder_open(path, error);

    if (encoder == NULL)
        return;
    json_object_set_int_member(part, "width", w2w_text_encoder_get_width(encoder));
    json_object_set_int_member(part, "tokens", w2w_text_encoder_get_length(encoder));
    json_object_set_int_member(part, "vocabulary", w2w_text_encoder_get_vocabulary_size(encoder));
    json_object_set_string_member(part, "fingerprint", w2w_text_encoder_get_fingerprint(encoder));
}

static void describe_unet(const char *path, JsonObject *part, GError **error)
{
    g_autoptr(W2wUnet) unet = w2w_unet_open(path, error);
    guint n_targets;

    if (unet == NULL)
        return;
    w2w_unet_get_lora_targets(unet, &n_targets);
    json_object_set_int_member(part, "latent_channels", w2w_unet_get_latent_channels(unet));
    json_object_set_int_member(part, "latent_size", w2w_unet_get_sample_size(unet));
    json_object_set_int_member(part, "text_width", w2w_unet_get_text_width(unet));
    json_object_set_int_member(part, "lora_targets", n_targets);
    json_object_set_string_member(part, "fingerprint", w2w_unet_get_fingerprint(unet));
}

static void describe_vae(const char *path, JsonObject *part, GError **error)
{
    g_autoptr(W2wVae) vae = w2w_vae_open(path, error);

    if (vae == NULL)
        return;
    json_object_set_int_member(part, "latent_channels", w2w_vae_get_latent_channels(vae));
    json_object_set_int_member(part, "pixels_per_latent", w2w_vae_get_downscale(vae));
    json_object_set_double_member(part, "scaling_factor", w2w_vae_get_scaling_factor(vae));
    json_object_set_string_member(part, "fingerprint", w2w_vae_get_fingerprint(vae));
}

static void describe_tokenizer(const char *path, JsonObject *part, GError **error)
{
    g_autoptr(W2wTokenizer) tokenizer = w2w_tokenizer_new(path, error);

    if (tokenizer != NULL)
        json_object_set_int_member(part, "vocabulary",
                                   w2w_tokenizer_get_vocabulary_size(tokenizer));
}

/* Whether a sampler can be made of it is what counts. */
static void describe_scheduler(const char *config, JsonObject *part, GError **error)
{
    g_autoptr(W2wScheduler) scheduler =
        w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, config, error);
    W2wSchedulerKind kind;

    if (scheduler == NULL)
        return;
    json_object_set_int_member(part, "train_timesteps",
                               w2w_scheduler_get_noise_schedule(scheduler)->n_train_timesteps);
    if (w2w_scheduler_kind_from_file(config, &kind, error))
        json_object_set_string_member(part, "sampler", w2w_scheduler_names[kind]);
}

static const struct {
    const char *name;
    void (*describe)(const char *path, JsonObject *part, GError **error);
} model_parts[] = {
    {"tokenizer", describe_tokenizer}, {"text_encoder", describe_text_encoder},
    {"unet", describe_unet},           {"vae", describe_vae},
    {"scheduler", describe_scheduler},
};

/* How many arrays, numbers and of which types: "F16: 686". */
static void add_weights(const char *path, const char *name, JsonObject *part)
{
    g_autoptr(GHashTable) arrays = NULL;
    g_autofree char *file = NULL;
    g_autoptr(JsonObject) types = NULL;
    GHashTableIter iter;
    gpointer value;
    gint64 n_numbers = 0;
    guint i = 0;

    while (i < W2W_N_MODEL_PARTS && strcmp(w2w_model_part_names[i], name) != 0)
        i++;
    if (i == W2W_N_MODEL_PARTS)
        return; /* has none */
    arrays = w2w_part_read_weights(path, (W2wModelPart)i, &file, NULL);
    if (arrays == NULL) /* the problem is told by who opens the model */
        return;
    types = json_object_new();
    g_hash_table_iter_init(&iter, arrays);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const W2wArray *array = value;
        const char *type = w2w_dtype_name(array->dtype);

        n_numbers += array->n_elements;
        json_object_set_int_member(types, type,
                                   json_object_get_int_member_with_default(types, type, 0) + 1);
    }
    json_object_set_int_member(part, "arrays", g_hash_table_size(arrays));
    json_object_set_int_member(part, "numbers", n_numbers);
    json_object_set_object_member(part, "arrays_by_type", g_steal_pointer(&types));
}

/* Where a part of a folder or of a checkpoint lies; NULL where the settings are built in. */
static char *get_part_path(const char *model, const char *name)
{
    if (strcmp(name, "tokenizer") == 0) {
        g_autofree char *clip = g_build_filename(w2w_world_get_default_directory(), "clip", NULL);

        return w2w_model_tokenizer_path(model, clip);
    }
    return strcmp(name, "scheduler") == 0 ? w2w_model_scheduler_path(model)
                                          : w2w_model_part_path(model, name);
}

static gboolean is_missing(const char *path)
{
    g_autofree char *folder = NULL;

    if (path == NULL || g_file_test(path, G_FILE_TEST_EXISTS))
        return FALSE;
    folder = g_path_get_dirname(path);
    return !g_str_has_suffix(path, ".json") || !g_file_test(folder, G_FILE_TEST_EXISTS);
}

void w2w_info_model(const char *model, JsonObject *report)
{
    w2w_info_set_path(report, w2w_model_is_file(model) ? "file" : "folder", model);
    for (guint i = 0; i < G_N_ELEMENTS(model_parts); i++) {
        const char *name = model_parts[i].name;
        g_autofree char *path = get_part_path(model, name);
        JsonObject *part = json_object_new();
        g_autoptr(GError) problem = NULL;

        if (is_missing(path)) {
            json_object_set_string_member(part, "problem", "missing");
        } else {
            model_parts[i].describe(path, part, &problem);
            add_weights(path, name, part);
        }
        if (problem != NULL)
            json_object_set_string_member(part, "problem", problem->message);
        json_object_set_object_member(report, name, part);
    }
}

/* Which part a folder alone is, by the files that it holds; NULL for none. */
static const char *find_part(const char *path)
{
    g_autofree char *config = g_build_filename(path, "config.json", NULL);
    g_autofree char *vocabulary = g_build_filename(path, "vocab.json", NULL);
    g_autofree char *scheduler = g_build_filename(path, "scheduler_config.json", NULL);
    g_autoptr(JsonObject) json = NULL;
    const char *class_name;

    if (g_file_test(scheduler, G_FILE_TEST_EXISTS))
        return "scheduler";
    if (g_file_test(vocabulary, G_FILE_TEST_EXISTS))
        return "tokenizer";
    json = w2w_json_load(config, NULL);
    if (json == NULL)
        return NULL;
    if (json_object_has_member(json, "vocab_size"))
        return "text_encoder";
    class_name = json_object_get_string_member_with_default(json, "_class_name", "");
    if (class_name != NULL && strstr(class_name, "Autoencoder") != NULL)
        return "vae";
    return json_object_has_member(json, "cross_attention_dim") ? "unet" : NULL;
}

gboolean w2w_info_is_model_part(const char *path)
{
    return find_part(path) != NULL;
}

static gboolean describe_part(const char *name, const char *path, JsonObject *report,
                              GError **error)
{
    GError *problem = NULL;

    json_object_set_string_member(report, "kind", name);
    for (guint i = 0; i < G_N_ELEMENTS(model_parts); i++)
        if (strcmp(model_parts[i].name, name) == 0)
            model_parts[i].describe(path, report, &problem);
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    add_weights(path, name, report);
    return TRUE;
}

gboolean w2w_info_model_part(const char *path, JsonObject *report, GError **error)
{
    const char *name = find_part(path);
    g_autofree char *config = g_build_filename(path, "scheduler_config.json", NULL);

    w2w_info_set_path(report, "folder", path);
    return describe_part(name, strcmp(name, "scheduler") == 0 ? config : path, report, error);
}

gboolean w2w_info_scheduler(const char *path, JsonObject *report, GError **error)
{
    return describe_part("scheduler", path, report, error);
}
