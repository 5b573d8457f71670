/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders, and what is a world or a space. */
#include "cli/info.h"
#include "engine/error.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/direction.h"
#include "engine/w2w/lora_file.h"

static gboolean has_file(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void add_missing(W2wSpace *space, JsonObject *report)
{
    guint n_missing;
    const W2wSpaceMissing *missing = w2w_space_get_missing(space, &n_missing);
    JsonArray *rows = json_array_new();

    for (guint i = 0; i < n_missing; i++) {
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "name", missing[i].name);
        json_object_set_string_member(row, "needed_for", missing[i].needed_for);
        json_array_add_object_element(rows, row);
    }
    if (n_missing > 0)
        json_object_set_array_member(report, "missing", rows);
    else
        json_array_unref(rows);
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
    const char *path = w2w_space_get_directory(space);
    guint n_keys;

    w2w_info_set_path(report, g_file_test(path, G_FILE_TEST_IS_DIR) ? "folder" : "file", path);
    json_object_set_int_member(report, "weights", w2w_space_get_n_weights(space));
    json_object_set_int_member(report, "components", w2w_space_get_n_components(space));
    json_object_set_int_member(report, "components_with_statistics",
                               w2w_space_get_n_with_statistics(space));
    json_object_set_int_member(report, "people", w2w_space_get_n_people(space));
    json_object_set_int_member(report, "attributes", g_strv_length((char **)attributes));
    w2w_space_get_keys(space, &n_keys);
    json_object_set_int_member(report, "keys", n_keys);
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

/*
 * The card's, in its order, as far as the space has them; then the space's that no card names, and
 * those that were added.
 */
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
    w2w_info_model(w2w_world_get_model_directory(world), model);
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

static gboolean info_world(const char *path, JsonObject *report, GError **error)
{
    g_autoptr(W2wWorld) world = w2w_world_open(path, error);

    if (world != NULL)
        w2w_info_world(world, report);
    return world != NULL;
}

static gboolean info_space(const char *path, JsonObject *report, GError **error)
{
    g_autoptr(W2wSpace) space = w2w_space_open(path, error);
    g_autofree char *weights = w2w_dataset_find_file(path);

    if (space == NULL)
        return FALSE;
    w2w_info_space(space, report);
    if (weights != NULL) { /* the dataset that it was made of lies beside it */
        JsonObject *dataset = json_object_new();
        g_autoptr(GError) problem = NULL;

        if (!w2w_info_dataset(weights, dataset, &problem))
            json_object_set_string_member(dataset, "problem", problem->message);
        json_object_set_object_member(report, "dataset", dataset);
    }
    return TRUE;
}

static gboolean info_model(const char *path, JsonObject *report, GError **error)
{
    json_object_set_string_member(report, "kind", "model");
    w2w_info_model(path, report);
    return TRUE;
}

static gboolean is_world(const char *path)
{
    return has_file(path, "world.json") ||
           (has_file(path, "model") &&
            (has_file(path, "space") || has_file(path, "space.safetensors")));
}

static gboolean is_model(const char *path)
{
    return has_file(path, "model_index.json") || has_file(path, "unet");
}

static gboolean is_space(const char *path)
{
    return has_file(path, "V.pt") || has_file(path, "mean.pt") || has_file(path, "std.pt");
}

static gboolean is_dataset(const char *path)
{
    g_autofree char *file = w2w_dataset_find_file(path);

    return file != NULL;
}

static gboolean is_upstream_identity(const char *path)
{
    return has_file(path, "w2wmodel.pt");
}

/* kohya's scripts give their file any name. */
static gboolean has_one_tensor_file(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;
    guint n = 0;

    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL)
        n += g_str_has_suffix(name, ".safetensors");
    return n == 1;
}

static gboolean is_lora(const char *path)
{
    for (guint i = 0; w2w_lora_file_names[i] != NULL; i++)
        if (has_file(path, w2w_lora_file_names[i]))
            return TRUE;
    return has_file(path, "adapter_config.json") || has_one_tensor_file(path);
}

/* By what lies in them, the first that fits. */
static const struct {
    gboolean (*is)(const char *path);
    gboolean (*describe)(const char *path, JsonObject *report, GError **error);
} kinds[] = {
    {is_world, info_world},         {is_model, info_model},
    {is_space, info_space},         {is_upstream_identity, w2w_info_upstream_identity},
    {is_dataset, w2w_info_dataset}, {w2w_info_is_model_part, w2w_info_model_part},
    {is_lora, w2w_info_lora},
};

gboolean w2w_info_folder(const char *path, JsonObject *report, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (kinds[i].is(path))
            return kinds[i].describe(path, report, error);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is neither a world (world.json, or model and space), nor a model (unet, vae, "
                "text_encoder …) or a part of one, nor a space (mean.pt, std.pt, V.pt), a dataset "
                "(all_weights.pt), an identity (w2wmodel.pt) or a LoRA (adapter_model.…, "
                "pytorch_lora_weights.…).",
                shown);
    return FALSE;
}
