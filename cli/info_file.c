/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files: what they are by what they begin with and by the names in them. */
#include <math.h>
#include <string.h>

#include "cli/info.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/formats/mapped_file.h"
#include "engine/formats/pt.h"
#include "engine/formats/safetensors.h"
#include "engine/w2w/dataset.h"
#include "engine/w2w/edit.h"
#include "engine/w2w/space_file.h"

/* Enough to recognise what it is; a checkpoint's dictionary has hundreds of entries. */
#define MAX_ENTRIES 2000
#define MAX_DEPTH   3

/* Each attribute's position in units of the population's half range, the farthest first. */
typedef struct {
    const char *name;
    double position;
    gboolean outside;
} Position;

static gint compare_positions(gconstpointer first, gconstpointer second)
{
    const double a = fabs(((const Position *)first)->position);
    const double b = fabs(((const Position *)second)->position);

    return a < b ? 1 : a > b ? -1 : 0;
}

static void add_positions(const W2wIdentity *identity, W2wSpace *space, JsonObject *report)
{
    const char *const *names;
    g_autofree W2wAttributeShift *shifts = NULL;
    g_autoptr(GArray) positions = g_array_new(FALSE, FALSE, sizeof(Position));
    JsonArray *table;

    shifts = w2w_edits_get_shifts(space, identity->coefficients, identity->n_coefficients,
                                  identity->coefficients, identity->n_coefficients, NULL);
    names = w2w_space_get_direction_names(space);
    if (shifts == NULL || names[0] == NULL)
        return;
    for (guint i = 0; names[i] != NULL; i++) {
        const Position position = {names[i], shifts[i].after, shifts[i].outside};

        g_array_append_val(positions, position);
    }
    g_array_sort(positions, compare_positions);
    table = json_array_new();
    for (guint i = 0; i < positions->len; i++) {
        const Position *position = &g_array_index(positions, Position, i);
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "direction", position->name);
        json_object_set_double_member(row, "position", round(position->position * 1000.0) / 1000.0);
        json_object_set_boolean_member(row, "outside_of_people", position->outside);
        json_array_add_object_element(table, row);
    }
    json_object_set_array_member(report, "positions", table);
}

static void describe_identity(const char *path, const W2wIdentity *identity, W2wWorld *world,
                              JsonObject *report)
{
    W2wSpace *space = world != NULL ? w2w_world_get_space(world) : NULL;
    JsonNode *recipe =
        identity->recipe != NULL
            ? w2w_json_parse_any(identity->recipe, strlen(identity->recipe), "recipe", NULL)
            : NULL;
    g_autoptr(GError) problem = NULL;

    json_object_set_string_member(report, "kind", "identity");
    json_object_set_int_member(report, "coefficients", identity->n_coefficients);
    if (identity->space_fingerprint != NULL)
        json_object_set_string_member(report, "space_fingerprint", identity->space_fingerprint);
    if (identity->model_fingerprint != NULL)
        json_object_set_string_member(report, "model_fingerprint", identity->model_fingerprint);
    if (recipe != NULL)
        json_object_set_member(report, "recipe", recipe);
    if (space == NULL)
        return;
    if (w2w_identity_check(identity, space, path, &problem)) {
        if (w2w_world_get_card(world)->name != NULL)
            json_object_set_string_member(report, "world", w2w_world_get_card(world)->name);
        add_positions(identity, space, report);
    } else {
        json_object_set_string_member(report, "problem", problem->message);
    }
}

static void add_array(JsonArray *list, const char *name, const W2wArray *array)
{
    g_autofree char *shape = w2w_array_shape_to_string(array);
    JsonObject *row = json_object_new();

    json_object_set_string_member(row, "name", name);
    json_object_set_string_member(row, "dtype", w2w_dtype_name(array->dtype));
    json_object_set_string_member(row, "shape", shape);
    json_array_add_object_element(list, row);
}

static void describe_safetensors(const W2wSafetensors *file, JsonObject *report)
{
    const char *const *keys = w2w_safetensors_get_keys(file);
    GHashTable *metadata = w2w_safetensors_get_all_metadata(file);
    JsonArray *arrays = json_array_new();

    json_object_set_string_member(report, "kind", "safetensors");
    if (metadata != NULL && g_hash_table_size(metadata) > 0) {
        JsonObject *object = json_object_new();
        g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(metadata), (GCompareFunc)strcmp);

        for (GList *name = names; name != NULL; name = name->next)
            json_object_set_string_member(object, name->data,
                                          g_hash_table_lookup(metadata, name->data));
        json_object_set_object_member(report, "metadata", object);
    }
    for (guint i = 0; keys[i] != NULL; i++)
        add_array(arrays, keys[i], w2w_safetensors_peek(file, keys[i]));
    json_object_set_array_member(report, "arrays", arrays);
}

static char *scalar_to_string(const W2wPtValue *value)
{
    switch (w2w_pt_value_get_type(value)) {
    case W2W_PT_STRING:
        return g_strdup(w2w_pt_value_get_string(value));
    case W2W_PT_INT:
        return g_strdup_printf("%" G_GINT64_FORMAT, w2w_pt_value_get_int(value));
    case W2W_PT_FLOAT:
        return g_strdup_printf("%g", w2w_pt_value_get_float(value));
    case W2W_PT_BOOL:
        return g_strdup(w2w_pt_value_get_bool(value) ? "True" : "False");
    default:
        return g_strdup(w2w_pt_type_describe(w2w_pt_value_get_type(value)));
    }
}

static void add_row(JsonArray *rows, const char *name, const char *type, const char *value)
{
    JsonObject *row = json_object_new();

    json_object_set_string_member(row, "name", *name != 0 ? name : "(the file)");
    json_object_set_string_member(row, "type", type);
    json_object_set_string_member(row, "value", value);
    json_array_add_object_element(rows, row);
}

/* One row for the value, then its parts' with the names before them. */
static void add_pt_value(JsonArray *rows, const char *name, const W2wPtValue *value, guint depth)
{
    const W2wPtType type = w2w_pt_value_get_type(value);
    g_autofree char *text = NULL;

    if (json_array_get_length(rows) >= MAX_ENTRIES)
        return;
    switch (type) {
    case W2W_PT_ARRAY: {
        const W2wArray *array = w2w_pt_value_get_array(value);

        text = w2w_array_shape_to_string(array);
        add_row(rows, name, w2w_dtype_name(array->dtype), text);
        return;
    }
    case W2W_PT_LIST:
    case W2W_PT_DICT:
        text = g_strdup_printf("%u entries", w2w_pt_value_get_length(value));
        break;
    case W2W_PT_DATAFRAME:
        text = g_strdup_printf("%" G_GINT64_FORMAT " rows, %u columns",
                               w2w_pt_value_get_n_rows(value), w2w_pt_value_get_n_columns(value));
        break;
    default:
        text = scalar_to_string(value);
        break;
    }
    add_row(rows, name, w2w_pt_type_describe(type), text);
    if (type == W2W_PT_DATAFRAME)
        for (guint i = 0; i < w2w_pt_value_get_n_columns(value); i++) {
            g_autofree char *column = scalar_to_string(w2w_pt_value_get_column_name(value, i));

            add_row(rows, column, "a column", "");
        }
    if (type != W2W_PT_DICT || depth >= MAX_DEPTH)
        return;
    for (guint i = 0; i < w2w_pt_value_get_length(value); i++) {
        g_autofree char *key = scalar_to_string(w2w_pt_value_get_key(value, i));
        g_autofree char *path = *name != 0 ? g_strdup_printf("%s.%s", name, key) : g_strdup(key);

        add_pt_value(rows, path, w2w_pt_value_get_item(value, i), depth + 1);
    }
}

static void describe_pt(const W2wPtValue *value, JsonObject *report)
{
    JsonArray *rows = json_array_new();

    json_object_set_string_member(report, "kind", "pt");
    add_pt_value(rows, "", value, 0);
    json_object_set_array_member(report, "contents", rows);
}

/* By what it begins with, not by its name. */
static gboolean looks_like_pt(const char *path, GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);

    if (w2w_safetensors_matches(path))
        return FALSE;
    return size >= 2 && ((data[0] == 'P' && data[1] == 'K') || (data[0] == 0x80 && data[1] <= 5));
}

/* An array (1, k) alone in a pickle is how weights2weights saves a person; mean.pt and its like are
 * flat. */
static gboolean is_upstream_identity(const W2wPtValue *value)
{
    const W2wArray *array =
        w2w_pt_value_get_type(value) == W2W_PT_ARRAY ? w2w_pt_value_get_array(value) : NULL;

    return array != NULL && array->n_dims == 2 && array->shape[0] == 1;
}

/* Is it the weights of a dataset, as they lie in its folder? */
static gboolean is_dataset(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *weights = w2w_dataset_find_file(folder);
    g_autofree char *own = g_canonicalize_filename(path, NULL);
    g_autofree char *other = weights != NULL ? g_canonicalize_filename(weights, NULL) : NULL;

    return g_strcmp0(own, other) == 0;
}

typedef enum {
    NAMES_OTHER,
    NAMES_LORA,
    NAMES_CHECKPOINT,
} Names;

/* What the names of arrays say. */
static Names look_at_name(const char *name)
{
    if (g_str_has_prefix(name, "model.diffusion_model."))
        return NAMES_CHECKPOINT;
    return strstr(name, "lora_A") != NULL || strstr(name, "lora_down") != NULL ||
                   strstr(name, "lora.down") != NULL || strstr(name, "_lora.") != NULL
               ? NAMES_LORA
               : NAMES_OTHER;
}

/* Of a state dict, which may lie in "state_dict". */
static Names look_at_pt(const W2wPtValue *value, guint depth)
{
    if (w2w_pt_value_get_type(value) != W2W_PT_DICT)
        return NAMES_OTHER;
    for (guint i = 0; i < w2w_pt_value_get_length(value); i++) {
        const W2wPtValue *key = w2w_pt_value_get_key(value, i);
        const W2wPtValue *item = w2w_pt_value_get_item(value, i);
        const char *name =
            w2w_pt_value_get_type(key) == W2W_PT_STRING ? w2w_pt_value_get_string(key) : "";
        Names names = NAMES_OTHER;

        if (w2w_pt_value_get_type(item) == W2W_PT_ARRAY)
            names = look_at_name(name);
        else if (depth == 0 && strcmp(name, "state_dict") == 0)
            names = look_at_pt(item, depth + 1);
        if (names != NAMES_OTHER)
            return names;
    }
    return NAMES_OTHER;
}

static gboolean describe_names(Names names, const char *path, JsonObject *report, GError **error)
{
    if (names == NAMES_LORA)
        return w2w_info_lora(path, report, error);
    json_object_set_string_member(report, "kind", "model");
    w2w_info_model(path, report);
    return TRUE;
}

static gboolean info_pt(const char *path, JsonObject *report, GError **error)
{
    g_autoptr(W2wPtValue) value = w2w_pt_open(path, error);
    Names names;

    if (value == NULL)
        return FALSE;
    if (is_dataset(path))
        return w2w_info_dataset(path, report, error);
    if (is_upstream_identity(value))
        return w2w_info_upstream_identity(path, report, error);
    names = look_at_pt(value, 0);
    if (names != NAMES_OTHER)
        return describe_names(names, path, report, error);
    describe_pt(value, report);
    return TRUE;
}

static gboolean info_safetensors(const char *path, GBytes *bytes, W2wWorld *world,
                                 JsonObject *report, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);
    g_autoptr(W2wSafetensors) file = w2w_safetensors_open(path, error);
    g_autoptr(GError) problem = NULL;
    const char *const *keys;
    const char *format;
    Names names = NAMES_OTHER;

    if (file == NULL)
        return FALSE;
    format = w2w_safetensors_get_metadata(file, "format");
    if (g_strcmp0(format, "w2w-identity") == 0) {
        g_autoptr(W2wIdentity) identity = w2w_identity_from_bytes(bytes, shown, error);

        if (identity == NULL)
            return FALSE;
        describe_identity(shown, identity, world, report);
        return TRUE;
    }
    if (g_strcmp0(format, W2W_SPACE_FORMAT) == 0) {
        g_autoptr(W2wSpace) space = w2w_space_open(path, error);

        if (space == NULL)
            return FALSE;
        w2w_info_space(space, report);
        return TRUE;
    }
    keys = w2w_safetensors_get_keys(file);
    for (guint i = 0; keys[i] != NULL && names == NAMES_OTHER; i++)
        names = look_at_name(keys[i]);
    if (names == NAMES_CHECKPOINT)
        return describe_names(names, path, report, error);
    /* A LoRA that cannot be read is still a file of arrays, whose names may only look like one's.
     */
    if (names == NAMES_LORA && w2w_info_lora(path, report, &problem))
        return TRUE;
    describe_safetensors(file, report);
    if (problem != NULL)
        json_object_set_string_member(report, "not_a_lora", problem->message);
    return TRUE;
}

static gboolean looks_like_json(GBytes *bytes)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    return size > 0 && data[0] == '{';
}

/* Alone, only a scheduler's settings say something; by their class. */
static gboolean info_json(const char *path, GBytes *bytes, JsonObject *report, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    g_autoptr(JsonObject) json = w2w_json_parse(data, size, shown, error);
    JsonNode *class_name = json != NULL ? json_object_get_member(json, "_class_name") : NULL;

    if (json == NULL)
        return FALSE;
    if (class_name != NULL && JSON_NODE_HOLDS_VALUE(class_name) &&
        json_node_get_value_type(class_name) == G_TYPE_STRING &&
        strstr(json_node_get_string(class_name), "Scheduler") != NULL)
        return w2w_info_scheduler(path, report, error);
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "%s is JSON, but not the settings of a scheduler: ask about the folder that it "
                "lies in.",
                shown);
    return FALSE;
}

gboolean w2w_info_file(const char *path, W2wWorld *world, JsonObject *report, GError **error)
{
    g_autofree char *shown = g_filename_display_name(path);
    g_autoptr(GBytes) bytes = w2w_mapped_file_open(path, error);

    if (bytes == NULL)
        return FALSE;
    json_object_set_string_member(report, "file", shown);
    if (w2w_info_is_png(bytes))
        return w2w_info_picture(bytes, shown, report, error);
    if (looks_like_pt(path, bytes))
        return info_pt(path, report, error);
    if (looks_like_json(bytes))
        return info_json(path, bytes, report, error);
    return info_safetensors(path, bytes, world, report, error);
}
