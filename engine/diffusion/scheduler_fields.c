/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fields as one table: name, type, which samplers read it, and how.
 *
 * Source: the parameters of the classes that diffusers 0.35 calls compatible with each
 * other. Whether a class reads a field is not only in its parameters: DPM-Solver++ takes
 * Euler's sigma_min and sigma_max.
 */
#include "engine/diffusion/scheduler_fields.h"

#include <math.h>

#include "engine/memory.h"

#define MAX_VALUE_TEXT 60 /* characters of a value that an error message repeats */

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

gboolean w2w_scheduler_field_fail(const W2wSchedulerField *field, W2wError code,
                                  const char *expected)
{
    g_autofree char *text = value_text(field->value);

    g_set_error(field->error, W2W_ERROR, code,
                code == W2W_ERROR_FORMAT
                    ? "The field “%s” of %s is %s, but should be %s."
                    : "The field “%s” of %s is %s, which is not supported; expected was %s.",
                field->name, field->path, text, expected);
    return FALSE;
}

static gboolean fail_unknown(const W2wSchedulerField *field)
{
    g_autofree char *text = value_text(field->value);

    g_set_error(field->error, W2W_ERROR, W2W_ERROR_UNSUPPORTED,
                "The field “%s” of %s (its value is %s) is not known, so what it asks for "
                "cannot be done.",
                field->name, field->path, text);
    return FALSE;
}

/* --- types --- */

static gboolean holds(JsonNode *value, GType type)
{
    return JSON_NODE_HOLDS_VALUE(value) && json_node_get_value_type(value) == type;
}

gboolean w2w_scheduler_field_is_string(JsonNode *value)
{
    return holds(value, G_TYPE_STRING);
}

static gboolean is_integer(JsonNode *value)
{
    return holds(value, G_TYPE_INT64);
}

static gboolean is_number(JsonNode *value)
{
    return holds(value, G_TYPE_DOUBLE) || is_integer(value);
}

static double number(JsonNode *value)
{
    return is_integer(value) ? (double)json_node_get_int(value) : json_node_get_double(value);
}

static gboolean is_beta(JsonNode *value)
{
    return is_number(value) && number(value) > 0 && number(value) < 1;
}

typedef enum {
    BOOLEAN,
    OPTIONAL_BOOLEAN,
    INTEGER,
    NUMBER,
    OPTIONAL_NUMBER,
    STRING,
    OPTIONAL_STRING,
    LIST,
    OPTIONAL_LIST,
    OPTIONAL_OBJECT,
} FieldType;

static const char *const type_names[] = {
    [BOOLEAN] = "true or false",
    [OPTIONAL_BOOLEAN] = "true, false or null",
    [INTEGER] = "a whole number",
    [NUMBER] = "a number",
    [OPTIONAL_NUMBER] = "a number or null",
    [STRING] = "a name",
    [OPTIONAL_STRING] = "a name or null",
    [LIST] = "a list",
    [OPTIONAL_LIST] = "a list or null",
    [OPTIONAL_OBJECT] = "an object or null",
};

static gboolean has_type(JsonNode *value, FieldType type)
{
    if (JSON_NODE_HOLDS_NULL(value))
        return type == OPTIONAL_BOOLEAN || type == OPTIONAL_NUMBER || type == OPTIONAL_STRING ||
               type == OPTIONAL_LIST || type == OPTIONAL_OBJECT;
    switch (type) {
    case BOOLEAN:
    case OPTIONAL_BOOLEAN:
        return holds(value, G_TYPE_BOOLEAN);
    case INTEGER:
        return is_integer(value);
    case NUMBER:
    case OPTIONAL_NUMBER:
        return is_number(value);
    case STRING:
    case OPTIONAL_STRING:
        return w2w_scheduler_field_is_string(value);
    case LIST:
    case OPTIONAL_LIST:
        return JSON_NODE_HOLDS_ARRAY(value);
    case OPTIONAL_OBJECT:
        return JSON_NODE_HOLDS_OBJECT(value);
    }
    return FALSE;
}

/* --- how they are read; the type has been checked --- */

typedef gboolean (*ReadField)(const W2wSchedulerField *field);

/* null is false, as in Python. */
static gboolean get_boolean(const W2wSchedulerField *field)
{
    return !JSON_NODE_HOLDS_NULL(field->value) && json_node_get_boolean(field->value);
}

/* The index in `names`; -1 and W2W_ERROR_UNSUPPORTED for others. */
static int get_choice(const W2wSchedulerField *field, const char *const *names)
{
    const char *name =
        JSON_NODE_HOLDS_NULL(field->value) ? "null" : json_node_get_string(field->value);
    g_autofree char *known = NULL;

    for (int i = 0; names[i] != NULL; i++)
        if (g_str_equal(name, names[i]))
            return i;
    known = g_strjoinv("” or “", (char **)names);
    g_autofree char *expected = g_strdup_printf("“%s”", known);
    w2w_scheduler_field_fail(field, W2W_ERROR_UNSUPPORTED, expected);
    return -1;
}

static gboolean read_num_train_timesteps(const W2wSchedulerField *field)
{
    const gint64 n = json_node_get_int(field->value);

    if (n < 1 || n > W2W_MAX_TRAIN_TIMESTEPS)
        return w2w_scheduler_field_fail(
            field, W2W_ERROR_FORMAT,
            "a whole number from 1 to " G_STRINGIFY(W2W_MAX_TRAIN_TIMESTEPS));
    field->config->betas.n_train_timesteps = (guint)n;
    return TRUE;
}

static gboolean read_beta_start(const W2wSchedulerField *field)
{
    field->config->betas.start = number(field->value);
    return is_beta(field->value) ||
           w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, "a number between 0 and 1");
}

static gboolean read_beta_end(const W2wSchedulerField *field)
{
    field->config->betas.end = number(field->value);
    return is_beta(field->value) ||
           w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, "a number between 0 and 1");
}

static gboolean read_beta_schedule(const W2wSchedulerField *field)
{
    static const char *const names[] = {
        [W2W_BETA_SCHEDULE_LINEAR] = "linear",
        [W2W_BETA_SCHEDULE_SCALED_LINEAR] = "scaled_linear",
        NULL,
    };
    const int choice = get_choice(field, names);

    field->config->betas.schedule = (W2wBetaSchedule)MAX(choice, 0);
    return choice >= 0;
}

/* Their number is held against num_train_timesteps when all fields are read. */
static gboolean read_trained_betas(const W2wSchedulerField *field)
{
    const char *const expected = "null or a list of numbers between 0 and 1, one per timestep";
    JsonArray *list;
    guint n;

    if (JSON_NODE_HOLDS_NULL(field->value))
        return TRUE;
    list = json_node_get_array(field->value);
    n = json_array_get_length(list);
    if (n < 1 || n > W2W_MAX_TRAIN_TIMESTEPS)
        return w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, expected);
    field->config->trained_betas =
        w2w_aligned_alloc(n, sizeof(double), "the trained betas", field->error);
    if (field->config->trained_betas == NULL)
        return FALSE;
    for (guint i = 0; i < n; i++) {
        if (!is_beta(json_array_get_element(list, i)))
            return w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, expected);
        field->config->trained_betas[i] = number(json_array_get_element(list, i));
    }
    return TRUE;
}

static gboolean read_prediction_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"epsilon", NULL};

    return get_choice(field, names) >= 0;
}

static gboolean read_timestep_spacing(const W2wSchedulerField *field)
{
    const int choice = get_choice(field, w2w_timestep_spacing_names);

    field->config->timestep_spacing = (W2wTimestepSpacing)MAX(choice, 0);
    return choice >= 0;
}

static gboolean read_steps_offset(const W2wSchedulerField *field)
{
    const gint64 offset = json_node_get_int(field->value);

    if (offset < 0 || offset >= W2W_MAX_TRAIN_TIMESTEPS)
        return w2w_scheduler_field_fail(
            field, W2W_ERROR_FORMAT, "a whole number from 0 to the number of training timesteps");
    field->config->steps_offset = (guint)offset;
    return TRUE;
}

static gboolean read_set_alpha_to_one(const W2wSchedulerField *field)
{
    field->config->set_alpha_to_one = get_boolean(field);
    return TRUE;
}

static gboolean read_skip_prk_steps(const W2wSchedulerField *field)
{
    field->config->has_skip_prk_steps = TRUE;
    field->config->skip_prk_steps = get_boolean(field);
    return TRUE;
}

static gboolean read_clip_sample(const W2wSchedulerField *field)
{
    field->config->clip_sample = get_boolean(field);
    return TRUE;
}

static gboolean read_clip_sample_range(const W2wSchedulerField *field)
{
    field->config->clip_sample_range = number(field->value);
    return (isfinite(number(field->value)) && number(field->value) > 0) ||
           w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, "a number above 0");
}

/* A switch of something that we do not do. */
static gboolean read_off(const W2wSchedulerField *field)
{
    return !get_boolean(field) || w2w_scheduler_field_fail(field, W2W_ERROR_UNSUPPORTED, "false");
}

static gboolean read_use_karras_sigmas(const W2wSchedulerField *field)
{
    field->config->use_karras_sigmas = get_boolean(field);
    return TRUE;
}

static gboolean read_sigma(const W2wSchedulerField *field, double *sigma)
{
    if (JSON_NODE_HOLDS_NULL(field->value))
        return TRUE;
    *sigma = number(field->value);
    return (isfinite(*sigma) && *sigma > 0) ||
           w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, "null or a number above 0");
}

static gboolean read_sigma_min(const W2wSchedulerField *field)
{
    return read_sigma(field, &field->config->sigma_min);
}

static gboolean read_sigma_max(const W2wSchedulerField *field)
{
    return read_sigma(field, &field->config->sigma_max);
}

static gboolean read_interpolation_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"linear", NULL};

    return get_choice(field, names) >= 0;
}

/* They differ with prediction_type "v_prediction" only. */
static gboolean read_timestep_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"discrete", "continuous", NULL};

    return get_choice(field, names) >= 0;
}

/* "learned" variances would mean a model with twice the output channels. */
static gboolean read_variance_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"null",        "fixed_small",     "fixed_small_log",
                                        "fixed_large", "fixed_large_log", NULL};

    return get_choice(field, names) >= 0;
}

static gboolean read_final_sigmas_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"zero", "sigma_min", NULL};
    const int choice = get_choice(field, names);

    field->config->ends_at_sigma_min = choice == 1;
    return choice >= 0;
}

static gboolean read_lambda_min_clipped(const W2wSchedulerField *field)
{
    field->config->lambda_min_clipped = number(field->value);
    return !isnan(number(field->value)) ||
           w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, "a number");
}

static gboolean read_solver_order(const W2wSchedulerField *field)
{
    return json_node_get_int(field->value) == 2 ||
           w2w_scheduler_field_fail(field, W2W_ERROR_UNSUPPORTED, "2");
}

/* diffusers takes "midpoint" for the names that other multistep samplers have. */
static gboolean read_solver_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"midpoint", "heun", "logrho", "bh1", "bh2", NULL};
    const int choice = get_choice(field, names);

    field->config->solver_is_heun = choice == 1;
    return choice >= 0;
}

static gboolean read_algorithm_type(const W2wSchedulerField *field)
{
    static const char *const names[] = {"dpmsolver++", NULL};

    return get_choice(field, names) >= 0;
}

static gboolean read_lower_order_final(const W2wSchedulerField *field)
{
    field->config->lower_order_final = get_boolean(field);
    return TRUE;
}

static gboolean read_euler_at_final(const W2wSchedulerField *field)
{
    field->config->euler_at_final = get_boolean(field);
    return TRUE;
}

/* --- the table --- */

#define PNDM  (1u << W2W_SCHEDULER_PNDM)
#define DDIM  (1u << W2W_SCHEDULER_DDIM)
#define EULER (1u << W2W_SCHEDULER_EULER)
#define DPMPP (1u << W2W_SCHEDULER_DPMPP_2M | 1u << W2W_SCHEDULER_DPMPP_2M_KARRAS)
#define ALL   (PNDM | DDIM | EULER | DPMPP)

static const struct {
    const char *name;
    FieldType type;
    guint readers; /* the others check the type only */
    ReadField read;
} fields[] = {
    {"num_train_timesteps", INTEGER, ALL, read_num_train_timesteps},
    {"beta_start", NUMBER, ALL, read_beta_start},
    {"beta_end", NUMBER, ALL, read_beta_end},
    {"beta_schedule", STRING, ALL, read_beta_schedule},
    {"trained_betas", OPTIONAL_LIST, ALL, read_trained_betas},
    {"prediction_type", STRING, ALL, read_prediction_type},
    {"timestep_spacing", STRING, ALL, read_timestep_spacing},
    {"steps_offset", INTEGER, ALL, read_steps_offset},
    {"set_alpha_to_one", BOOLEAN, PNDM | DDIM, read_set_alpha_to_one},
    {"skip_prk_steps", BOOLEAN, PNDM, read_skip_prk_steps},
    {"clip_sample", BOOLEAN, DDIM, read_clip_sample},
    {"clip_sample_range", NUMBER, DDIM, read_clip_sample_range},
    {"thresholding", BOOLEAN, DDIM | DPMPP, read_off},
    {"rescale_betas_zero_snr", BOOLEAN, DDIM | EULER | DPMPP, read_off},
    {"use_karras_sigmas", OPTIONAL_BOOLEAN, EULER, read_use_karras_sigmas},
    {"use_exponential_sigmas", OPTIONAL_BOOLEAN, EULER | DPMPP, read_off},
    {"use_beta_sigmas", OPTIONAL_BOOLEAN, EULER | DPMPP, read_off},
    {"use_lu_lambdas", OPTIONAL_BOOLEAN, DPMPP, read_off},
    {"use_flow_sigmas", OPTIONAL_BOOLEAN, DPMPP, read_off},
    {"sigma_min", OPTIONAL_NUMBER, EULER | DPMPP, read_sigma_min},
    {"sigma_max", OPTIONAL_NUMBER, EULER | DPMPP, read_sigma_max},
    {"interpolation_type", STRING, EULER, read_interpolation_type},
    {"timestep_type", STRING, EULER, read_timestep_type},
    {"variance_type", OPTIONAL_STRING, DPMPP, read_variance_type},
    {"final_sigmas_type", STRING, EULER | DPMPP, read_final_sigmas_type},
    {"lambda_min_clipped", NUMBER, DPMPP, read_lambda_min_clipped},
    {"solver_order", INTEGER, DPMPP, read_solver_order},
    {"solver_type", STRING, DPMPP, read_solver_type},
    {"algorithm_type", STRING, DPMPP, read_algorithm_type},
    {"lower_order_final", BOOLEAN, DPMPP, read_lower_order_final},
    {"euler_at_final", BOOLEAN, DPMPP, read_euler_at_final},
    /* Nobody's here: they tune what is refused above, or samplers that there are not. */
    {"dynamic_thresholding_ratio", NUMBER, 0, NULL},
    {"sample_max_value", NUMBER, 0, NULL},
    {"flow_shift", OPTIONAL_NUMBER, 0, NULL},
    {"use_dynamic_shifting", BOOLEAN, 0, NULL},
    {"time_shift_type", STRING, 0, NULL},
    {"predict_x0", BOOLEAN, 0, NULL},
    {"disable_corrector", LIST, 0, NULL},
    {"solver_p", OPTIONAL_OBJECT, 0, NULL},
};

gboolean w2w_scheduler_field_read(const W2wSchedulerField *field)
{
    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        if (!g_str_equal(field->name, fields[i].name))
            continue;
        if (!has_type(field->value, fields[i].type))
            return w2w_scheduler_field_fail(field, W2W_ERROR_FORMAT, type_names[fields[i].type]);
        return (fields[i].readers & 1u << field->kind) == 0 || fields[i].read(field);
    }
    return fail_unknown(field);
}

void w2w_scheduler_fields_set_defaults(W2wSchedulerConfig *config, W2wSchedulerKind kind)
{
    *config = (W2wSchedulerConfig){
        .betas = {1000, 0.0001, 0.02, W2W_BETA_SCHEDULE_LINEAR, NULL},
        .timestep_spacing = (1u << kind) & (PNDM | DDIM) ? W2W_TIMESTEP_SPACING_LEADING
                                                         : W2W_TIMESTEP_SPACING_LINSPACE,
        .set_alpha_to_one = kind == W2W_SCHEDULER_DDIM,
        .clip_sample = TRUE,
        .clip_sample_range = 1,
        .lower_order_final = TRUE,
        .lambda_min_clipped = -INFINITY,
    };
}
