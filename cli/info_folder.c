/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders: worlds, models, spaces. What is broken is part of the answer, not the end of it. */
#include "cli/info.h"
#include "engine/error.h"
#include "engine/models/text_encoder.h"
#include "engine/models/tokenizer.h"
#include "engine/models/unet.h"
#include "engine/models/vae.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/direction.h"

static gboolean has_file(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

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
static void describe_scheduler(const char *path, JsonObject *part, GError **error)
{
    g_autofree char *config = g_build_filename(path, "scheduler_config.json", NULL);
    g_autoptr(W2wScheduler) scheduler =
        w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, config, error);

    if (scheduler != NULL)
        json_object_set_int_member(part, "train_timesteps",
                                   w2w_scheduler_get_noise_schedule(scheduler)->n_train_timesteps);
}

static const struct {
    const char *name;
    void (*describe)(const char *path, JsonObject *part, GError **error);
} model_parts[] = {
    {"tokenizer", describe_tokenizer}, {"text_encoder", describe_text_encoder},
    {"unet", describe_unet},           {"vae", describe_vae},
    {"scheduler", describe_scheduler},
};

static void describe_model(const char *directory, JsonObject *report)
{
    w2w_info_set_path(report, "folder", directory);
    for (guint i = 0; i < G_N_ELEMENTS(model_parts); i++) {
        g_autofree char *path = g_build_filename(directory, model_parts[i].name, NULL);
        JsonObject *part = json_object_new();
        g_autoptr(GError) problem = NULL;

        if (has_file(directory, model_parts[i].name))
            model_parts[i].describe(path, part, &problem);
        else
            json_object_set_string_member(part, "problem", "missing");
        if (problem != NULL)
            json_object_set_string_member(part, "problem", problem->message);
        json_object_set_object_member(report, model_parts[i].name, part);
    }
}

/* Parts that a space lacks, and what they are needed for. */
static void add_missing(const W2wSpace *space, JsonObject *report)
{
    guint n_missing;
    const W2wSpaceMissing *missing = w2w_space_get_missing(space, &n_missing);
    JsonArray *list = json_array_new();

    for (guint i = 0; i < n_missing; i++) {
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "name", missing[i].name);
        json_object_set_string_member(row, "needed_for", missing[i].needed_for);
        json_array_add_object_element(list, row);
    }
    if (n_missing > 0)
        json_object_set_array_member(report, "missing", list);
    else
        json_array_unref(list);
}

/* Files of added directions that cannot be used. */
static void add_problems(W2wSpace *space, JsonObject *report)
{
    const char *const *problems = w2w_space_get_direction_problems(space);
    JsonArray *list;

    if (problems[0] == NULL)
        return;
    list = json_array_new();
    for (; *problems != NULL; problems++)
        json_array_add_string_element(list, *problems);
    json_object_set_array_member(report, "problems", list);
}

static void describe_space(W2wSpace *space, JsonObject *report)
{
    const char *const *attributes = w2w_space_get_attributes(space);
    const char *directory = w2w_space_get_directory(space);

    w2w_info_set_path(report, "folder", directory);
    json_object_set_int_member(report, "weights", w2w_space_get_n_weights(space));
    json_object_set_int_member(report, "components", w2w_space_get_n_components(space));
    json_object_set_int_member(report, "components_with_statistics",
                               w2w_space_get_n_with_statistics(space));
    json_object_set_int_member(report, "people", w2w_space_get_n_people(space));
    json_object_set_int_member(report, "attributes", g_strv_length((char **)attributes));
    json_object_set_double_member(report, "lora_scale", w2w_space_get_lora_scale(space));
    json_object_set_string_member(report, "fingerprint", w2w_space_get_fingerprint(space));
    add_missing(space, report);
    add_problems(space, report);
}

static void add_direction(JsonArray *directions, const char *name, const char *label,
                          const char *group)
{
    JsonObject *object = json_object_new();

    json_object_set_string_member(object, "name", name);
    json_object_set_string_member(object, "label", label != NULL ? label : name);
    json_object_set_string_member(object, "group", group != NULL ? group : "");
    json_array_add_object_element(directions, object);
}

/* The card's, in its order, as far as the space has them; then the space's that no card names. */
static JsonArray *list_directions(const W2wWorldCard *card, W2wSpace *space)
{
    JsonArray *directions = json_array_new();
    const char *const *names = w2w_space_get_direction_names(space);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; card != NULL && card->directions != NULL && i < card->directions->len; i++) {
        const W2wDirectionCard *direction = card->directions->pdata[i];

        if (g_strv_contains(names, direction->name) && g_hash_table_add(seen, direction->name))
            add_direction(directions, direction->name, direction->label, direction->group);
    }
    for (guint i = 0; names[i] != NULL; i++)
        if (!g_hash_table_contains(seen, names[i]))
            add_direction(directions, names[i], NULL,
                          w2w_space_get_direction_file(space, names[i]) != NULL ? "Added" : NULL);
    return directions;
}

static void describe_card(const W2wWorldCard *card, JsonObject *report)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        {"name", card->name},
        {"description", card->description},
        {"instance_prompt", card->instance_prompt},
        {"class_prompt", card->class_prompt},
        {"negative_prompt", card->negative_prompt},
        {"scheduler", card->scheduler},
        {"licence", card->licence},
    };

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        if (texts[i].text != NULL)
            json_object_set_string_member(report, texts[i].name, texts[i].text);
    json_object_set_int_member(report, "width", card->width);
    json_object_set_int_member(report, "height", card->height);
    json_object_set_int_member(report, "steps", card->steps);
    json_object_set_double_member(report, "guidance_scale", card->guidance_scale);
}

void w2w_info_world(W2wWorld *world, JsonObject *report)
{
    const W2wWorldCard *card = w2w_world_get_card(world);
    W2wSpace *space = w2w_world_get_space(world);
    JsonObject *model = json_object_new();

    json_object_set_string_member(report, "kind", "world");
    describe_card(card, report);
    describe_model(w2w_world_get_model_directory(world), model);
    json_object_set_object_member(report, "model", model);
    if (space != NULL) {
        JsonObject *part = json_object_new();

        describe_space(space, part);
        json_object_set_object_member(report, "space", part);
        json_object_set_array_member(report, "directions", list_directions(card, space));
    }
}

void w2w_info_space(W2wSpace *space, JsonObject *report)
{
    json_object_set_string_member(report, "kind", "space");
    describe_space(space, report);
    json_object_set_array_member(report, "directions", list_directions(NULL, space));
}

/* Weights without a space: what pick --dataset takes people from. */
static gboolean describe_dataset(const char *path, JsonObject *report, GError **error)
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

gboolean w2w_info_folder(const char *path, JsonObject *report, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);
    g_autofree char *dataset = w2w_dataset_find_file(path);

    if (has_file(path, "world.json") ||
        (has_file(path, "model") &&
         (has_file(path, "space") || has_file(path, "space.safetensors")))) {
        g_autoptr(W2wWorld) world = w2w_world_open(path, error);

        if (world == NULL)
            return FALSE;
        w2w_info_world(world, report);
        return TRUE;
    }
    if (has_file(path, "model_index.json") || has_file(path, "unet")) {
        json_object_set_string_member(report, "kind", "model");
        describe_model(path, report);
        return TRUE;
    }
    if (has_file(path, "V.pt") || has_file(path, "mean.pt") || has_file(path, "std.pt")) {
        g_autoptr(W2wSpace) space = w2w_space_open(path, error);

        if (space == NULL)
            return FALSE;
        w2w_info_space(space, report);
        return TRUE;
    }
    if (dataset != NULL)
        return describe_dataset(path, report, error);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is neither a world (world.json, or model and space), nor a model (unet, vae, "
                "text_encoder …), nor a space (mean.pt, std.pt, V.pt), nor a dataset "
                "(all_weights.pt, dog_weights.pt).",
                shown);
    return FALSE;
}
