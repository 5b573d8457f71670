/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a world's card. The first error is kept, so that the table of fields reads as one. */
#include "engine/w2w/world_card.h"

#include <math.h>
#include <string.h>

#include "engine/diffusion/scheduler.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/w2w/direction.h"

#define FORMAT  "w2w-world"
#define VERSION 1

/* Pixels; what the program renders at all. The model's own step is checked when it renders. */
#define MIN_SIZE           8
#define MAX_SIZE           2048
#define MAX_STEPS          1000
#define MAX_GUIDANCE_SCALE 100.0

/* Upstream's, for folders without a card. */
#define DEFAULT_INSTANCE_PROMPT "sks person"
#define DEFAULT_CLASS_PROMPT    "person"
#define DEFAULT_NEGATIVE_PROMPT "low quality, blurry, unfinished, cartoon"
#define DEFAULT_SIZE            512
#define DEFAULT_STEPS           50
#define DEFAULT_GUIDANCE_SCALE  3.0

typedef struct {
    const char *path;
    char *where; /* "directions[3].", or "" */
    JsonObject *object;
    GHashTable *asked; /* fields of `object` that were asked for */
    GError *error;     /* the first one */
} Reader;

G_GNUC_PRINTF(4, 5)
static void fail(Reader *reader, const char *field, W2wError code, const char *format, ...)
{
    va_list arguments;
    g_autofree char *detail = NULL;

    if (reader->error != NULL)
        return;
    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(&reader->error, W2W_ERROR, code, "%s: “%s%s” %s.", reader->path, reader->where,
                field, detail);
}

static JsonNode *ask(Reader *reader, const char *field)
{
    g_hash_table_add(reader->asked, (gpointer)field);
    return json_object_get_member(reader->object, field);
}

/* `missing` NULL: the field may be missing, and is NULL then. */
static char *get_string(Reader *reader, const char *field, const char *missing)
{
    JsonNode *node = ask(reader, field);

    if (node == NULL)
        return g_strdup(missing);
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_STRING)
        return json_node_dup_string(node);
    fail(reader, field, W2W_ERROR_FORMAT, "must be a text");
    return g_strdup(missing);
}

static char *get_filled_string(Reader *reader, const char *field, const char *missing)
{
    char *text = get_string(reader, field, missing);

    if (text != NULL && *g_strstrip(text) == 0)
        fail(reader, field, W2W_ERROR_FORMAT, "must not be empty");
    return text;
}

static double get_number(Reader *reader, const char *field, double missing, double min, double max,
                         gboolean whole)
{
    JsonNode *node = ask(reader, field);
    GType type;
    double value;

    if (node == NULL)
        return missing;
    type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;
    value = type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : NAN;
    if (value >= min && value <= max && (!whole || value == floor(value)))
        return value;
    fail(reader, field, W2W_ERROR_FORMAT, "must be a %snumber from %g to %g", whole ? "whole " : "",
         min, max);
    return missing;
}

static void check_unknown(Reader *reader)
{
    g_autoptr(GList) members = json_object_get_members(reader->object);

    for (const GList *member = members; member != NULL; member = member->next)
        if (!g_hash_table_contains(reader->asked, member->data))
            fail(reader, member->data, W2W_ERROR_UNSUPPORTED,
                 "is no field that this program knows");
}

static void check_format(Reader *reader)
{
    g_autofree char *format = get_string(reader, "format", "");

    if (!g_str_equal(format, FORMAT))
        fail(reader, "format", W2W_ERROR_FORMAT, "must be “" FORMAT "”");
    if (!json_object_has_member(reader->object, "version"))
        fail(reader, "version", W2W_ERROR_FORMAT, "is missing");
    if (get_number(reader, "version", 1.0, 1.0, G_MAXINT, TRUE) > VERSION)
        fail(reader, "version", W2W_ERROR_UNSUPPORTED,
             "is newer than this program, which reads version %d", VERSION);
}

static char *get_scheduler(Reader *reader)
{
    g_autofree char *name = get_string(reader, "scheduler", w2w_scheduler_names[0]);
    g_autofree char *names = NULL;

    if (g_strv_contains(w2w_scheduler_names, name))
        return g_steal_pointer(&name);
    names = g_strjoinv(", ", (char **)w2w_scheduler_names);
    fail(reader, "scheduler", W2W_ERROR_UNSUPPORTED, "is “%s”; this program has %s", name, names);
    return g_strdup(w2w_scheduler_names[0]);
}

static void free_direction(gpointer data)
{
    W2wDirectionCard *direction = data;

    g_free(direction->name);
    g_free(direction->label);
    g_free(direction->group);
    g_free(direction);
}

/* "Wavy_Hair" for people: "Wavy Hair" */
static char *label_of(const char *name)
{
    return g_strdelimit(g_strdup(name), "_", ' ');
}

static void reader_begin(Reader *reader, const char *path, char *where, JsonObject *object)
{
    *reader = (Reader){.path = path,
                       .where = where,
                       .object = object,
                       .asked = g_hash_table_new(g_str_hash, g_str_equal)};
}

static void reader_end(Reader *reader)
{
    g_free(reader->where);
    g_hash_table_unref(reader->asked);
}

static void read_direction(Reader *outer, guint i, JsonNode *node, GPtrArray *directions)
{
    W2wDirectionCard *direction;
    Reader reader;

    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_autofree char *field = g_strdup_printf("directions[%u]", i);

        fail(outer, field, W2W_ERROR_FORMAT, "must be an object");
        return;
    }
    reader_begin(&reader, outer->path, g_strdup_printf("directions[%u].", i),
                 json_node_get_object(node));
    direction = g_new0(W2wDirectionCard, 1);
    g_ptr_array_add(directions, direction);
    direction->name = get_filled_string(&reader, "name", NULL);
    if (direction->name == NULL) {
        fail(&reader, "name", W2W_ERROR_FORMAT, "is missing");
        direction->name = g_strdup("");
    }
    for (guint other = 0; other + 1 < directions->len; other++)
        if (g_str_equal(((W2wDirectionCard *)directions->pdata[other])->name, direction->name))
            fail(&reader, "name", W2W_ERROR_FORMAT, "is “%s” as before; each may be there once",
                 direction->name);
    direction->label = get_filled_string(&reader, "label", NULL);
    if (direction->label == NULL)
        direction->label = label_of(direction->name);
    direction->group = get_string(&reader, "group", "");
    check_unknown(&reader);
    if (reader.error != NULL && outer->error == NULL)
        outer->error = g_steal_pointer(&reader.error);
    g_clear_error(&reader.error);
    reader_end(&reader);
}

static void read_directions(Reader *reader, GPtrArray *directions)
{
    JsonNode *node = ask(reader, "directions");
    JsonArray *array;

    if (node == NULL)
        return;
    if (!JSON_NODE_HOLDS_ARRAY(node)) {
        fail(reader, "directions", W2W_ERROR_FORMAT, "must be a list");
        return;
    }
    array = json_node_get_array(node);
    for (guint i = 0; i < json_array_get_length(array); i++)
        read_direction(reader, i, json_array_get_element(array, i), directions);
}

static W2wWorldCard *card_new(void)
{
    W2wWorldCard *card = g_new0(W2wWorldCard, 1);

    card->directions = g_ptr_array_new_with_free_func(free_direction);
    return card;
}

void w2w_world_card_free(W2wWorldCard *card)
{
    if (card == NULL)
        return;
    g_free(card->name);
    g_free(card->description);
    g_free(card->instance_prompt);
    g_free(card->class_prompt);
    g_free(card->negative_prompt);
    g_free(card->scheduler);
    g_free(card->licence);
    g_free(card->licence_text);
    g_ptr_array_unref(card->directions);
    g_free(card);
}

/* `name` is what it is called where it does not say. */
static W2wWorldCard *read_card(JsonObject *object, const char *path, const char *name,
                               W2wWorldPlaces *places, GError **error)
{
    g_autoptr(W2wWorldCard) card = card_new();
    Reader reader;

    reader_begin(&reader, path, g_strdup(""), object);
    check_format(&reader);
    card->name = get_filled_string(&reader, "name", name);
    card->description = get_string(&reader, "description", "");
    places->model = get_filled_string(&reader, "model", NULL);
    places->space = get_filled_string(&reader, "space", NULL);
    card->instance_prompt = get_filled_string(&reader, "instance_prompt", DEFAULT_INSTANCE_PROMPT);
    card->class_prompt = get_filled_string(&reader, "class_prompt", DEFAULT_CLASS_PROMPT);
    card->negative_prompt = get_string(&reader, "negative_prompt", DEFAULT_NEGATIVE_PROMPT);
    card->width = (gint)get_number(&reader, "width", DEFAULT_SIZE, MIN_SIZE, MAX_SIZE, TRUE);
    card->height = (gint)get_number(&reader, "height", DEFAULT_SIZE, MIN_SIZE, MAX_SIZE, TRUE);
    card->scheduler = get_scheduler(&reader);
    card->steps = (gint)get_number(&reader, "steps", DEFAULT_STEPS, 1.0, MAX_STEPS, TRUE);
    card->guidance_scale = get_number(&reader, "guidance_scale", DEFAULT_GUIDANCE_SCALE, 0.0,
                                      MAX_GUIDANCE_SCALE, FALSE);
    card->licence = get_string(&reader, "licence", NULL);
    card->licence_text = get_string(&reader, "licence_text", NULL);
    read_directions(&reader, card->directions);
    check_unknown(&reader);
    reader_end(&reader);
    if (reader.error != NULL) {
        g_propagate_error(error, reader.error);
        return NULL;
    }
    return g_steal_pointer(&card);
}

W2wWorldCard *w2w_world_card_load(const char *path, W2wWorldPlaces *places, GError **error)
{
    g_autoptr(JsonObject) object = w2w_json_load(path, error);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(folder);

    return object != NULL ? read_card(object, path, name, places, error) : NULL;
}

W2wWorldCard *w2w_world_card_parse(const char *text, const char *name, GError **error)
{
    g_autoptr(JsonObject) object = w2w_json_parse(text, strlen(text), name, error);
    W2wWorldPlaces places = {NULL, NULL};
    W2wWorldCard *card = NULL;

    if (object != NULL)
        card = read_card(object, name, name, &places, error);
    g_free(places.model);
    g_free(places.space);
    return card;
}

/*
 * A number of a config.json, where it has it; the pipeline is who complains about configs. An error
 * only where memory is short.
 */
static JsonNode *peek_config(const char *model_directory, const char *part, const char *field,
                             GError **error)
{
    g_autofree char *path = g_build_filename(model_directory, part, "config.json", NULL);
    g_autoptr(GError) config_error = NULL;
    g_autoptr(JsonObject) config = w2w_json_load(path, &config_error);
    JsonNode *node = config != NULL ? json_object_get_member(config, field) : NULL;

    if (g_error_matches(config_error, W2W_ERROR, W2W_ERROR_MEMORY))
        g_propagate_error(error, g_steal_pointer(&config_error));
    return node != NULL ? json_node_copy(node) : NULL;
}

/* Pixels: the UNet's sample size times two for every level of the VAE after the first. */
static gint get_trained_size(const char *model_directory, GError **error)
{
    g_autoptr(GError) memory_error = NULL;
    g_autoptr(JsonNode) sample_size =
        peek_config(model_directory, "unet", "sample_size", &memory_error);
    g_autoptr(JsonNode) levels =
        memory_error == NULL
            ? peek_config(model_directory, "vae", "block_out_channels", &memory_error)
            : NULL;
    gint64 size;
    guint n_levels;

    if (memory_error != NULL) {
        g_propagate_error(error, g_steal_pointer(&memory_error));
        return 0;
    }
    if (sample_size == NULL || !JSON_NODE_HOLDS_VALUE(sample_size) || levels == NULL ||
        !JSON_NODE_HOLDS_ARRAY(levels))
        return DEFAULT_SIZE;
    size = json_node_get_int(sample_size);
    n_levels = json_array_get_length(json_node_get_array(levels));
    if (size < 1 || size > MAX_SIZE || n_levels < 1 || n_levels > 8)
        return DEFAULT_SIZE;
    size <<= n_levels - 1;
    return size >= MIN_SIZE && size <= MAX_SIZE ? (gint)size : DEFAULT_SIZE;
}

W2wWorldCard *w2w_world_card_new_default(const char *name, const char *model_directory,
                                         GError **error)
{
    g_autoptr(W2wWorldCard) card = card_new();

    card->name = g_strdup(name);
    card->description = g_strdup("");
    card->instance_prompt = g_strdup(DEFAULT_INSTANCE_PROMPT);
    card->class_prompt = g_strdup(DEFAULT_CLASS_PROMPT);
    card->negative_prompt = g_strdup(DEFAULT_NEGATIVE_PROMPT);
    card->width = card->height = get_trained_size(model_directory, error);
    if (card->width == 0)
        return NULL;
    card->scheduler = NULL; /* the model's own */
    card->steps = DEFAULT_STEPS;
    card->guidance_scale = DEFAULT_GUIDANCE_SCALE;
    return g_steal_pointer(&card);
}

/* Keeps those of the card's directions that the space has; FALSE where one should be there. */
static gboolean match_directions(W2wWorldCard *card, W2wSpace *space, const char *path,
                                 GError **error)
{
    for (guint i = 0; i < card->directions->len;) {
        const W2wDirectionCard *direction = card->directions->pdata[i];

        if (g_strv_contains(w2w_space_get_direction_names(space), direction->name)) {
            i++;
        } else if (w2w_space_get_direction_problems(space)[0] != NULL) {
            g_ptr_array_remove_index(card->directions, i);
        } else {
            g_set_error(error, W2W_ERROR, W2W_ERROR_MISMATCH,
                        "%s: “directions[%u].name” is “%s”, which is no direction of the space %s.",
                        path, i, direction->name, w2w_space_get_directory(space));
            return FALSE;
        }
    }
    return TRUE;
}

gboolean w2w_world_card_match(W2wWorldCard *card, W2wSpace *space, const char *path, GError **error)
{
    const char *const none[] = {NULL};
    const char *const *attributes = space != NULL ? w2w_space_get_attributes(space) : none;

    if (attributes[0] == NULL) {
        g_ptr_array_set_size(card->directions, 0);
        return TRUE;
    }
    if (card->directions->len > 0)
        return match_directions(card, space, path, error);
    for (const char *const *name = attributes; *name != NULL; name++) {
        W2wDirectionCard *direction = g_new0(W2wDirectionCard, 1);

        direction->name = g_strdup(*name);
        direction->label = label_of(*name);
        direction->group = g_strdup("");
        g_ptr_array_add(card->directions, direction);
    }
    return TRUE;
}
