/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file as a whole; its fields are in scheduler_fields.c. */
#include "engine/diffusion/scheduler_config.h"

#include <string.h>

#include "engine/diffusion/scheduler_fields.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/memory.h"

/* Those that share the noise schedule's fields with PNDMScheduler (its _compatibles). */
static const char *const class_names[] = {
    "PNDMScheduler",
    "DDIMScheduler",
    "DDPMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    NULL,
};

/* clip_sample is there because DDIM would clip otherwise; timestep_spacing is each class's. */
static const char stable_diffusion_1[] =
    "{\"_class_name\": \"PNDMScheduler\", \"num_train_timesteps\": 1000, \"beta_start\": 0.00085, "
    "\"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\", \"trained_betas\": null, "
    "\"skip_prk_steps\": true, \"set_alpha_to_one\": false, \"steps_offset\": 1, "
    "\"clip_sample\": false}";

static JsonObject *load_object(const char *path, GError **error)
{
    return path != NULL ? w2w_json_load(path, error)
                        : w2w_json_parse(stable_diffusion_1, strlen(stable_diffusion_1),
                                         W2W_SCHEDULER_CONFIG_BUILT_IN, error);
}

static gboolean read_class_name(const W2wSchedulerField *field)
{
    if (!w2w_scheduler_field_is_string(field->value))
        return w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, "the name of a scheduler class");
    if (!g_strv_contains(class_names, json_node_get_string(field->value))) {
        g_autofree char *known = g_strjoinv(", ", (char **)class_names);

        return w2w_scheduler_field_fail(field, W2W_ERROR_UNSUPPORTED, known);
    }
    field->config->class_name = json_node_dup_string(field->value);
    return TRUE;
}

/* Fields of the list are as if absent: from_config() gives each class its own default. */
static gboolean read_use_default_values(const W2wSchedulerField *field, GHashTable *absent)
{
    const char *const expected = "a list of names of fields";
    JsonArray *list;

    if (!JSON_NODE_HOLDS_ARRAY(field->value))
        return w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, expected);
    list = json_node_get_array(field->value);
    for (guint i = 0; i < json_array_get_length(list); i++) {
        JsonNode *name = json_array_get_element(list, i);

        if (!w2w_scheduler_field_is_string(name))
            return w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, expected);
        g_hash_table_add(absent, g_strdup(json_node_get_string(name)));
    }
    return TRUE;
}

static gboolean read_field(const W2wSchedulerField *field, GHashTable *absent)
{
    if (g_hash_table_contains(absent, field->name))
        return TRUE;
    if (g_str_equal(field->name, "_class_name"))
        return read_class_name(field);
    if (field->name[0] == '_')
        return TRUE;
    return w2w_scheduler_field_read(field);
}

static gboolean check_trained_betas(W2wSchedulerConfig *config, JsonObject *object,
                                    const char *path, GError **error)
{
    guint n;

    config->betas.trained = config->trained_betas;
    if (config->trained_betas == NULL)
        return TRUE;
    n = json_array_get_length(json_object_get_array_member(object, "trained_betas"));
    if (n == config->betas.n_train_timesteps)
        return TRUE;
    g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                "The field “trained_betas” of %s has %u values, but num_train_timesteps is %u.",
                path, n, config->betas.n_train_timesteps);
    return FALSE;
}

static gboolean read_all_fields(W2wSchedulerConfig *config, W2wSchedulerKind kind,
                                JsonObject *object, const char *path, GError **error)
{
    g_autoptr(GList) names = json_object_get_members(object);
    g_autoptr(GHashTable) absent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    W2wSchedulerField field = {config, kind, path, "_use_default_values", NULL, error};

    field.value = json_object_get_member(object, field.name);
    if (field.value != NULL && !read_use_default_values(&field, absent))
        return FALSE;
    for (GList *l = names; l != NULL; l = l->next) {
        field.name = l->data;
        field.value = json_object_get_member(object, field.name);
        if (!read_field(&field, absent))
            return FALSE;
    }
    return check_trained_betas(config, object, path, error);
}

gboolean w2w_scheduler_config_load(W2wSchedulerConfig *config, W2wSchedulerKind kind,
                                   const char *path, GError **error)
{
    g_autoptr(JsonObject) object = NULL;

    w2w_scheduler_fields_set_defaults(config, kind);
    object = load_object(path, error);
    if (object != NULL &&
        read_all_fields(config, kind, object, path != NULL ? path : W2W_SCHEDULER_CONFIG_BUILT_IN,
                        error))
        return TRUE;
    w2w_scheduler_config_clear(config);
    return FALSE;
}

void w2w_scheduler_config_clear(W2wSchedulerConfig *config)
{
    g_free(config->class_name);
    w2w_aligned_free(config->trained_betas);
    memset(config, 0, sizeof *config);
}

/* --- which sampler --- */

static const struct {
    const char *class_name;
    W2wSchedulerKind kind, kind_with_karras_sigmas;
} classes[] = {
    {"PNDMScheduler", W2W_SCHEDULER_PNDM, W2W_SCHEDULER_PNDM},
    {"DDIMScheduler", W2W_SCHEDULER_DDIM, W2W_SCHEDULER_DDIM},
    {"EulerDiscreteScheduler", W2W_SCHEDULER_EULER, W2W_SCHEDULER_EULER},
    {"DPMSolverMultistepScheduler", W2W_SCHEDULER_DPMPP_2M, W2W_SCHEDULER_DPMPP_2M_KARRAS},
};

static gboolean asks_for_karras_sigmas(JsonObject *object)
{
    JsonNode *value = json_object_get_member(object, "use_karras_sigmas");

    return value != NULL && JSON_NODE_HOLDS_VALUE(value) &&
           json_node_get_value_type(value) == G_TYPE_BOOLEAN && json_node_get_boolean(value);
}

gboolean w2w_scheduler_kind_from_file(const char *path, W2wSchedulerKind *kind, GError **error)
{
    g_autoptr(JsonObject) object = load_object(path, error);
    JsonNode *value;
    const char *name;

    if (object == NULL)
        return FALSE;
    value = json_object_get_member(object, "_class_name");
    if (value == NULL || !w2w_scheduler_field_is_string(value)) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "%s does not name its scheduler: it should have a field “_class_name” such as "
                    "“PNDMScheduler”.",
                    path);
        return FALSE;
    }
    name = json_node_get_string(value);
    for (guint i = 0; i < G_N_ELEMENTS(classes); i++) {
        if (!g_str_equal(name, classes[i].class_name))
            continue;
        *kind =
            asks_for_karras_sigmas(object) ? classes[i].kind_with_karras_sigmas : classes[i].kind;
        return TRUE;
    }
    g_set_error(error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "%s asks for the scheduler “%s”, which this program does not have; it has "
                "PNDMScheduler, DDIMScheduler, EulerDiscreteScheduler and "
                "DPMSolverMultistepScheduler.",
                path, name);
    return FALSE;
}
