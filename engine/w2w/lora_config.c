/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PEFT's LoraConfig: only what changes the product is read, and what we cannot do is refused. */
#include "engine/w2w/lora_config.h"

#include <math.h>

#include "engine/error.h"
#include "engine/formats/json.h"

/* Patterns are regular expressions from a file: enough of them for every module, and short. */
#define MAX_PATTERNS       4096
#define MAX_PATTERN_LENGTH 512
#define MAX_ALPHA          1e6

typedef struct {
    GRegex *regex;
    double value;
} Pattern;

struct _W2wLoraConfig {
    char *name;
    double rank, alpha;
    gboolean rank_stabilised;
    GArray *rank_pattern, *alpha_pattern; /* the first that matches counts */
};

static void clear_pattern(gpointer data)
{
    g_regex_unref(((Pattern *)data)->regex);
}

void w2w_lora_config_free(W2wLoraConfig *config)
{
    if (config == NULL)
        return;
    g_free(config->name);
    g_array_unref(config->rank_pattern);
    g_array_unref(config->alpha_pattern);
    g_free(config);
}

G_GNUC_PRINTF(4, 5)
static gboolean fail(const W2wLoraConfig *config, W2wError code, GError **error, const char *format,
                     ...)
{
    va_list arguments;
    g_autofree char *detail = NULL;

    va_start(arguments, format);
    detail = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, W2W_ERROR, code, "%s %s", config->name, detail);
    return FALSE;
}

gboolean w2w_lora_config_is_set(JsonNode *node)
{
    if (node == NULL || JSON_NODE_HOLDS_NULL(node))
        return FALSE;
    if (JSON_NODE_HOLDS_OBJECT(node))
        return json_object_get_size(json_node_get_object(node)) > 0;
    if (JSON_NODE_HOLDS_ARRAY(node))
        return json_array_get_length(json_node_get_array(node)) > 0;
    if (json_node_get_value_type(node) == G_TYPE_STRING)
        return !g_str_equal(json_node_get_string(node), "none");
    return json_node_get_value_type(node) != G_TYPE_BOOLEAN || json_node_get_boolean(node);
}

static JsonNode *get(JsonObject *object, const char *prefix, const char *member)
{
    g_autofree char *name = g_strconcat(prefix, member, NULL);

    return json_object_get_member(object, name);
}

static gboolean is_string(JsonNode *node, const char *const *allowed)
{
    return node != NULL && JSON_NODE_HOLDS_VALUE(node) &&
           json_node_get_value_type(node) == G_TYPE_STRING &&
           g_strv_contains(allowed, json_node_get_string(node));
}

static gboolean check_supported(const W2wLoraConfig *config, JsonObject *object, const char *prefix,
                                GError **error)
{
    static const char *const unsupported[] = {"use_dora",
                                              "use_qalora",
                                              "fan_in_fan_out",
                                              "bias",
                                              "lora_bias",
                                              "modules_to_save",
                                              "layer_replication",
                                              "target_parameters",
                                              "trainable_token_indices"};
    static const char *const lora[] = {"LORA", NULL};
    /* These start from other numbers; PiSSA, OLoRA, LoftQ and CorDA also change the weights. */
    static const char *const harmless[] = {"gaussian", "eva", "orthogonal", NULL};
    JsonNode *type = get(object, prefix, "peft_type");
    JsonNode *init = get(object, prefix, "init_lora_weights");

    if (w2w_lora_config_is_set(type) && !is_string(type, lora))
        return fail(config, W2W_ERROR_UNSUPPORTED, error,
                    "has the peft_type “%s”; LORA is supported.",
                    JSON_NODE_HOLDS_VALUE(type) && json_node_get_string(type) != NULL
                        ? json_node_get_string(type)
                        : "?");
    for (guint i = 0; i < G_N_ELEMENTS(unsupported); i++)
        if (w2w_lora_config_is_set(get(object, prefix, unsupported[i])))
            return fail(config, W2W_ERROR_UNSUPPORTED, error,
                        "sets “%s%s”, which is not supported.", prefix, unsupported[i]);
    if (w2w_lora_config_is_set(init) && !is_string(init, harmless) &&
        !(JSON_NODE_HOLDS_VALUE(init) && json_node_get_value_type(init) == G_TYPE_BOOLEAN))
        return fail(config, W2W_ERROR_UNSUPPORTED, error,
                    "sets “%sinit_lora_weights” to a method that changes the model's own weights, "
                    "which is not supported.",
                    prefix);
    return TRUE;
}

/* PEFT matches the whole path or its end behind a dot: "to_q" means every to_q. */
static gboolean read_pattern(const W2wLoraConfig *config, const char *member, const char *text,
                             JsonNode *node, GArray *patterns, GError **error)
{
    g_autofree char *whole = g_strdup_printf("^(.*\\.)?(%s)$", text);
    g_autoptr(GError) reason = NULL;
    Pattern pattern = {0};

    if (!w2w_json_get_number(node, &pattern.value))
        return fail(config, W2W_ERROR_FORMAT, error, "has no number for “%s” in its %s.", text,
                    member);
    if (patterns->len == MAX_PATTERNS || strlen(text) > MAX_PATTERN_LENGTH)
        return fail(config, W2W_ERROR_UNSUPPORTED, error,
                    "has a %s with more than %d entries or %d characters in one.", member,
                    MAX_PATTERNS, MAX_PATTERN_LENGTH);
    pattern.regex = g_regex_new(whole, 0, 0, &reason);
    if (pattern.regex == NULL)
        return fail(config, W2W_ERROR_FORMAT, error,
                    "has “%s” in its %s, which is no regular expression (%s).", text, member,
                    reason->message);
    g_array_append_val(patterns, pattern);
    return TRUE;
}

static GArray *read_patterns(const W2wLoraConfig *config, JsonObject *object, const char *prefix,
                             const char *member, GError **error)
{
    g_autoptr(GArray) patterns = g_array_new(FALSE, FALSE, sizeof(Pattern));
    JsonNode *node = get(object, prefix, member);
    g_autoptr(GList) names = NULL;

    g_array_set_clear_func(patterns, clear_pattern);
    if (!w2w_lora_config_is_set(node))
        return g_steal_pointer(&patterns);
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        fail(config, W2W_ERROR_FORMAT, error, "has a “%s%s” that is no object.", prefix, member);
        return NULL;
    }
    names = json_object_get_members(json_node_get_object(node)); /* in the file's order */
    for (GList *name = names; name != NULL; name = name->next)
        if (!read_pattern(config, member, name->data,
                          json_object_get_member(json_node_get_object(node), name->data), patterns,
                          error))
            return NULL;
    return g_steal_pointer(&patterns);
}

static gboolean read_config(W2wLoraConfig *config, JsonObject *object, const char *prefix,
                            GError **error)
{
    GArray *patterns;

    if (!check_supported(config, object, prefix, error))
        return FALSE;
    if (!w2w_json_get_number(get(object, prefix, "r"), &config->rank) || config->rank < 1.0)
        return fail(config, W2W_ERROR_FORMAT, error, "has no positive number “%sr”.", prefix);
    if (!w2w_json_get_number(get(object, prefix, "lora_alpha"), &config->alpha) ||
        fabs(config->alpha) > MAX_ALPHA)
        return fail(config, W2W_ERROR_FORMAT, error,
                    "has no number “%slora_alpha” of at most a million.", prefix);
    config->rank_stabilised = w2w_lora_config_is_set(get(object, prefix, "use_rslora"));
    patterns = read_patterns(config, object, prefix, "rank_pattern", error);
    if (patterns == NULL)
        return FALSE;
    g_array_unref(config->rank_pattern);
    config->rank_pattern = patterns;
    patterns = read_patterns(config, object, prefix, "alpha_pattern", error);
    if (patterns == NULL)
        return FALSE;
    g_array_unref(config->alpha_pattern);
    config->alpha_pattern = patterns;
    return TRUE;
}

W2wLoraConfig *w2w_lora_config_new(JsonObject *object, const char *prefix, const char *name,
                                   GError **error)
{
    g_autoptr(W2wLoraConfig) config = g_new0(W2wLoraConfig, 1);

    config->name = g_strdup(name);
    config->rank_pattern = g_array_new(FALSE, FALSE, sizeof(Pattern));
    config->alpha_pattern = g_array_new(FALSE, FALSE, sizeof(Pattern));
    return read_config(config, object, prefix, error) ? g_steal_pointer(&config) : NULL;
}

/* The first pattern's value that matches, else *value as it is. */
static gboolean match(const W2wLoraConfig *config, const GArray *patterns, const char *path,
                      double *value, GError **error)
{
    for (guint i = 0; i < patterns->len; i++) {
        const Pattern *pattern = &g_array_index(patterns, Pattern, i);
        g_autoptr(GError) reason = NULL;

        if (g_regex_match_full(pattern->regex, path, -1, 0, 0, NULL, &reason)) {
            *value = pattern->value;
            return TRUE;
        }
        if (reason != NULL)
            return fail(config, W2W_ERROR_UNSUPPORTED, error,
                        "has the pattern “%s”, which cannot be matched (%s).",
                        g_regex_get_pattern(pattern->regex), reason->message);
    }
    return TRUE;
}

gboolean w2w_lora_config_get_scale(const W2wLoraConfig *config, const char *path, guint rank,
                                   double *scale, GError **error)
{
    double expected = config->rank, alpha = config->alpha;

    if (!match(config, config->rank_pattern, path, &expected, error) ||
        !match(config, config->alpha_pattern, path, &alpha, error))
        return FALSE;
    if (expected != rank)
        return fail(config, W2W_ERROR_MISMATCH, error,
                    "gives %s the rank %g, its factors have %u: they belong to different LoRAs.",
                    path, expected, rank);
    if (fabs(alpha) > MAX_ALPHA)
        return fail(config, W2W_ERROR_FORMAT, error, "gives %s an alpha of more than a million.",
                    path);
    *scale = alpha / (config->rank_stabilised ? sqrt(rank) : (double)rank);
    return TRUE;
}
