/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fields of scheduler_config.json as one table.
 *
 * `off` lists the JSON texts of the values that ask for nothing; NULL means that any
 * value of the right type is harmless, because it tunes a sampler other than the one
 * that runs, or a switch that must be off.
 */
#include "engine/diffusion/scheduler_config.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/memory.h"

#define MAX_VALUE_TEXT 60 /* characters of a value that an error message repeats */

typedef struct {
    W2wSchedulerConfig *config;
    const char *path, *name; /* of the file; of the field */
    JsonNode *value;
    GError **error;
} Field;

typedef gboolean (*ReadField)(const Field *field);

static char *value_text(JsonNode *value)
{
    g_autofree char *text = json_to_string(value, FALSE);
    char *end;

    if (g_utf8_strlen(text, -1) <= MAX_VALUE_TEXT)
        return g_steal_pointer(&text);
    end = g_utf8_offset_to_pointer(text, MAX_VALUE_TEXT);
    *end = '\0';
    return g_strconcat(text, "…", NULL);
}

static gboolean fail(const Field *field, W2wError code, const char *expected)
{
    g_autofree char *text = value_text(field->value);

    g_set_error(field->error, W2W_ERROR, code,
                code == W2W_ERROR_FORMAT
                    ? "The field “%s” of %s is %s, but should be %s."
                    : "The field “%s” of %s is %s, which is not supported; expected was %s.",
                field->name, field->path, text, expected);
    return FALSE;
}

static gboolean fail_unknown(const Field *field)
{
    g_autofree char *text = value_text(field->value);

    g_set_error(field->error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "The field “%s” of %s (its value is %s) is not known, so what it asks for "
                "cannot be done.",
                field->name, field->path, text);
    return FALSE;
}

static gboolean holds(JsonNode *value, GType type)
{
    return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == type;
}

static gboolean is_number(JsonNode *value)
{
    return holds(value, G_TYPE_DOUBLE) || holds(value, G_TYPE_INT64);
}

static gboolean is_boolean(JsonNode *value)
{
    return holds(value, G_TYPE_BOOLEAN);
}

static gboolean is_string(JsonNode *value)
{
    return holds(value, G_TYPE_STRING);
}

static gboolean is_integer(JsonNode *value)
{
    return holds(value, G_TYPE_INT64);
}

static gboolean is_array(JsonNode *value)
{
    return JSON_NODE_HOLDS_ARRAY(value);
}

static double number(JsonNode *value)
{
    return holds(value, G_TYPE_INT64) ? (double)json_node_get_int(value)
                                      : json_node_get_double(value);
}

static gboolean is_beta(JsonNode *value)
{
    return is_number(value) && number(value) > 0 && number(value) < 1;
}

/* --- fields that are read --- */

static gboolean read_num_train_timesteps(const Field *field)
{
    gint64 n;

    if (!is_integer(field->value) || (n = json_node_get_int(field->value)) < 1 ||
        n > W2W_MAX_TRAIN_TIMESTEPS)
        return fail(field, W2W_ERROR_FORMAT,
                    "a whole number from 1 to " G_STRINGIFY(W2W_MAX_TRAIN_TIMESTEPS));
    field->config->betas.n_train_timesteps = (guint)n;
    return TRUE;
}

static gboolean read_beta_start(const Field *field)
{
    if (!is_beta(field->value))
        return fail(field, W2W_ERROR_FORMAT, "a number between 0 and 1");
    field->config->betas.start = number(field->value);
    return TRUE;
}

static gboolean read_beta_end(const Field *field)
{
    if (!is_beta(field->value))
        return fail(field, W2W_ERROR_FORMAT, "a number between 0 and 1");
    field->config->betas.end = number(field->value);
    return TRUE;
}

static gboolean read_beta_schedule(const Field *field)
{
    const char *schedule;

    if (!is_string(field->value))
        return fail(field, W2W_ERROR_FORMAT, "“linear” or “scaled_linear”");
    schedule = json_node_get_string(field->value);
    if (g_str_equal(schedule, "linear"))
        field->config->betas.schedule = W2W_BETA_SCHEDULE_LINEAR;
    else if (g_str_equal(schedule, "scaled_linear"))
        field->config->betas.schedule = W2W_BETA_SCHEDULE_SCALED_LINEAR;
    else
        return fail(field, W2W_ERROR_UNSUPPORTED, "“linear” or “scaled_linear”");
    return TRUE;
}

/* Their number is held against num_train_timesteps when all fields are read. */
static gboolean read_trained_betas(const Field *field)
{
    const char *const expected = "null or a list of numbers between 0 and 1, one per timestep";
    JsonArray *list;
    guint n;

    if (JSON_NODE_HOLDS_NULL(field->value))
        return TRUE;
    if (!is_array(field->value))
        return fail(field, W2W_ERROR_FORMAT, expected);
    list = json_node_get_array(field->value);
    n = json_array_get_length(list);
    if (n < 1 || n > W2W_MAX_TRAIN_TIMESTEPS)
        return fail(field, W2W_ERROR_FORMAT, expected);
    field->config->trained_betas =
        w2w_aligned_alloc(n, sizeof(double), "the trained betas", field->error);
    if (field->config->trained_betas == NULL)
        return FALSE;
    for (guint i = 0; i < n; i++) {
        if (!is_beta(json_array_get_element(list, i)))
            return fail(field, W2W_ERROR_FORMAT, expected);
        field->config->trained_betas[i] = number(json_array_get_element(list, i));
    }
    return TRUE;
}

static gboolean read_prediction_type(const Field *field)
{
    if (!is_string(field->value))
        return fail(field, W2W_ERROR_FORMAT, "“epsilon”");
    return g_str_equal(json_node_get_string(field->value), "epsilon") ||
           fail(field, W2W_ERROR_UNSUPPORTED, "“epsilon”");
}

static gboolean read_timestep_spacing(const Field *field)
{
    const char *const expected = "“leading”, “linspace” or “trailing”";

    if (!is_string(field->value))
        return fail(field, W2W_ERROR_FORMAT, expected);
    for (guint i = 0; w2w_timestep_spacing_names[i] != NULL; i++) {
        if (g_str_equal(json_node_get_string(field->value), w2w_timestep_spacing_names[i])) {
            field->config->timestep_spacing = (W2wTimestepSpacing)i;
            return TRUE;
        }
    }
    return fail(field, W2W_ERROR_UNSUPPORTED, expected);
}

static gboolean read_steps_offset(const Field *field)
{
    gint64 offset;

    if (!is_integer(field->value) || (offset = json_node_get_int(field->value)) < 0 ||
        offset >= W2W_MAX_TRAIN_TIMESTEPS)
        return fail(field, W2W_ERROR_FORMAT,
                    "a whole number from 0 to the number of training timesteps");
    field->config->steps_offset = (guint)offset;
    return TRUE;
}

static gboolean read_set_alpha_to_one(const Field *field)
{
    if (!is_boolean(field->value))
        return fail(field, W2W_ERROR_FORMAT, "true or false");
    field->config->set_alpha_to_one = json_node_get_boolean(field->value);
    return TRUE;
}

static gboolean read_skip_prk_steps(const Field *field)
{
    if (!is_boolean(field->value))
        return fail(field, W2W_ERROR_FORMAT, "true or false");
    field->config->has_skip_prk_steps = TRUE;
    field->config->skip_prk_steps = json_node_get_boolean(field->value);
    return TRUE;
}

static const struct {
    const char *name;
    ReadField read;
} read_fields[] = {
    {"num_train_timesteps", read_num_train_timesteps},
    {"beta_start", read_beta_start},
    {"beta_end", read_beta_end},
    {"beta_schedule", read_beta_schedule},
    {"trained_betas", read_trained_betas},
    {"prediction_type", read_prediction_type},
    {"timestep_spacing", read_timestep_spacing},
    {"steps_offset", read_steps_offset},
    {"set_alpha_to_one", read_set_alpha_to_one},
    {"skip_prk_steps", read_skip_prk_steps},
};

/* --- fields of other samplers --- */

static const char *const off_false[] = {"false", NULL};
static const char *const off_null[] = {"null", NULL};
static const char *const off_linear[] = {"\"linear\"", NULL};
static const char *const off_discrete[] = {"\"discrete\"", NULL};
/* "learned" variances would mean a model with twice the output channels. */
static const char *const off_variance[] = {
    "null", "\"fixed_small\"", "\"fixed_small_log\"", "\"fixed_large\"", "\"fixed_large_log\"",
    NULL};

static const struct {
    const char *name;
    const char *const *off;
    gboolean (*has_type)(JsonNode *value); /* where `off` is NULL */
    const char *type;
} other_fields[] = {
    {"clip_sample", off_false},
    {"thresholding", off_false},
    {"rescale_betas_zero_snr", off_false},
    {"use_karras_sigmas", off_false},
    {"use_exponential_sigmas", off_false},
    {"use_beta_sigmas", off_false},
    {"use_lu_lambdas", off_false},
    {"use_flow_sigmas", off_false},
    {"use_dynamic_shifting", off_false},
    {"sigma_min", off_null},
    {"sigma_max", off_null},
    {"solver_p", off_null},
    {"interpolation_type", off_linear},
    {"timestep_type", off_discrete},
    {"variance_type", off_variance},
    {"clip_sample_range", NULL, is_number, "a number"},
    {"sample_max_value", NULL, is_number, "a number"},
    {"dynamic_thresholding_ratio", NULL, is_number, "a number"},
    {"flow_shift", NULL, is_number, "a number"},
    {"lambda_min_clipped", NULL, is_number, "a number"},
    {"solver_order", NULL, is_integer, "a whole number"},
    {"solver_type", NULL, is_string, "a name"},
    {"algorithm_type", NULL, is_string, "a name"},
    {"final_sigmas_type", NULL, is_string, "a name"},
    {"time_shift_type", NULL, is_string, "a name"},
    {"lower_order_final", NULL, is_boolean, "true or false"},
    {"euler_at_final", NULL, is_boolean, "true or false"},
    {"predict_x0", NULL, is_boolean, "true or false"},
    {"disable_corrector", NULL, is_array, "a list"},
};

static gboolean check_other_field(const Field *field, guint which)
{
    g_autofree char *text = NULL, *expected = NULL;

    if (other_fields[which].off == NULL)
        return other_fields[which].has_type(field->value) ||
               fail(field, W2W_ERROR_FORMAT, other_fields[which].type);
    text = json_to_string(field->value, FALSE);
    if (g_strv_contains(other_fields[which].off, text))
        return TRUE;
    expected = g_strjoinv(" or ", (char **)other_fields[which].off);
    return fail(field, W2W_ERROR_UNSUPPORTED, expected);
}

/* --- classes --- */

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

static gboolean read_class_name(const Field *field)
{
    if (!is_string(field->value))
        return fail(field, W2W_ERROR_FORMAT, "the name of a scheduler class");
    if (!g_strv_contains(class_names, json_node_get_string(field->value))) {
        g_autofree char *known = g_strjoinv(", ", (char **)class_names);

        return fail(field, W2W_ERROR_UNSUPPORTED, known);
    }
    field->config->class_name = json_node_dup_string(field->value);
    return TRUE;
}

static gboolean read_field(const Field *field)
{
    if (g_str_equal(field->name, "_class_name"))
        return read_class_name(field);
    if (field->name[0] == '_')
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(read_fields); i++) {
        if (g_str_equal(field->name, read_fields[i].name))
            return read_fields[i].read(field);
    }
    for (guint i = 0; i < G_N_ELEMENTS(other_fields); i++) {
        if (g_str_equal(field->name, other_fields[i].name))
            return check_other_field(field, i);
    }
    return fail_unknown(field);
}

static guint trained_betas_length(JsonObject *object)
{
    return json_array_get_length(json_object_get_array_member(object, "trained_betas"));
}

static gboolean read_all_fields(W2wSchedulerConfig *config, JsonObject *object, const char *path,
                                GError **error)
{
    g_autoptr(GList) names = json_object_get_members(object);

    for (GList *l = names; l != NULL; l = l->next) {
        const Field field = {config, path, l->data, json_object_get_member(object, l->data), error};

        if (!read_field(&field))
            return FALSE;
    }
    if (config->trained_betas != NULL &&
        trained_betas_length(object) != config->betas.n_train_timesteps) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FORMAT,
                    "The field “trained_betas” of %s has %u values, but num_train_timesteps is %u.",
                    path, trained_betas_length(object), config->betas.n_train_timesteps);
        return FALSE;
    }
    config->betas.trained = config->trained_betas;
    return TRUE;
}

gboolean w2w_scheduler_config_load(W2wSchedulerConfig *config, const char *path, GError **error)
{
    g_autoptr(JsonObject) object = NULL;

    *config = (W2wSchedulerConfig){
        .betas = {1000, 0.0001, 0.02, W2W_BETA_SCHEDULE_LINEAR, NULL},
        .timestep_spacing = W2W_TIMESTEP_SPACING_LEADING,
    };
    object = w2w_json_load(path, error);
    if (object != NULL && read_all_fields(config, object, path, error))
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
