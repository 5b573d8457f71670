/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Schedulers against diffusers: golden trajectories (scheduler_*.safetensors), many
 * configs (pndm_cases.json), and configs that must be refused, field by field.
 */
#include "engine/diffusion/scheduler.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/golden_files.h"

/* What params.json has to say about the model of the trajectories for this test to know it. */
#define STAND_IN "eps = 0.3 * scaled_sample + 0.1 * sin(timestep)"

static char *temporary_dir;

/* --- configs as files --- */

static char *write_config(const char *text)
{
    char *path = g_build_filename(temporary_dir, "scheduler_config.json", NULL);

    /* Without the flush to disk that GLib does by default; GLib 2.74 then does not truncate. */
    g_remove(path);
    g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    return path;
}

static char *object_text(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_init_object(json_node_alloc(), object);

    return json_to_string(node, TRUE);
}

static W2wScheduler *open_text(const char *text, GError **error)
{
    g_autofree char *path = write_config(text);

    return w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, path, error);
}

static W2wScheduler *open_object(JsonObject *object, GError **error)
{
    g_autofree char *text = object_text(object);

    return open_text(text, error);
}

/* The scheduler_config.json of the golden model folder, to be changed. */
static JsonObject *model_config(void)
{
    g_autofree char *path = w2w_golden_path("model/scheduler/scheduler_config.json");
    g_autoptr(GError) error = NULL;
    JsonObject *object = w2w_json_load(path, &error);

    g_assert_no_error(error);
    return object;
}

static void set_literal(JsonObject *object, const char *field, const char *literal)
{
    g_autoptr(GError) error = NULL;
    JsonNode *node = w2w_json_parse_any(literal, strlen(literal), "a test", &error);

    g_assert_no_error(error);
    json_object_set_member(object, field, node);
}

/* The model's config with one field set; as text, since json-glib cannot write NaN. */
static W2wScheduler *open_with(const char *field, const char *literal, GError **error)
{
    g_autoptr(JsonObject) config = model_config();
    g_autofree char *rest = NULL, *text = NULL;

    json_object_remove_member(config, field);
    rest = object_text(config);
    text = g_strdup_printf("{\"%s\": %s,\n%s", field, literal, strchr(rest, '{') + 1);
    return open_text(text, error);
}

/* --- golden trajectories --- */

static void check_timesteps(const W2wScheduler *scheduler, const W2wArray *expected)
{
    guint n;
    const double *timesteps = w2w_scheduler_get_timesteps(scheduler, &n);

    g_assert_cmpuint(n, ==, expected->n_elements);
    for (guint i = 0; i < n; i++) {
        g_assert_cmpfloat(timesteps[i], ==, w2w_array_get(expected, i));
    }
}

/* The golden trajectory's first latents through all calls; all latents, to be freed. */
static float *run_trajectory(W2wScheduler *scheduler, const W2wArray *expected)
{
    const gsize n_latents = (gsize)(expected->n_elements / expected->shape[0]);
    float *all = g_new(float, expected->n_elements);
    g_autofree float *noise_pred = g_new(float, n_latents);
    guint n;
    const double *timesteps = w2w_scheduler_get_timesteps(scheduler, &n);

    g_assert_cmpint(expected->shape[0], ==, n + 1);
    w2w_array_to_f32(expected, all);
    for (guint i = 0; i < n; i++) {
        float *latents = all + (i + 1) * n_latents;
        const float scale = (float)w2w_scheduler_get_input_scale(scheduler, i);
        g_autoptr(GError) error = NULL;

        memcpy(latents, latents - n_latents, n_latents * sizeof *latents);
        for (gsize j = 0; j < n_latents; j++)
            noise_pred[j] = 0.3f * (scale * latents[j]) + 0.1f * sinf((float)timesteps[i]);
        w2w_scheduler_step(scheduler, i, n_latents, noise_pred, latents, &error);
        g_assert_no_error(error);
    }
    return all;
}

static void check_golden_file(W2wGolden *golden, const char *file, W2wScheduler *scheduler)
{
    const char *const *keys = w2w_safetensors_get_keys(w2w_golden_get_file(golden, file));
    const W2wNoiseSchedule *noise_schedule = w2w_scheduler_get_noise_schedule(scheduler);
    guint n_trajectories = 0;

    for (; *keys != NULL; keys++) {
        W2wArray *expected = w2w_golden_get(golden, file, *keys);
        const char *number = strrchr(*keys, '_') + 1;
        g_autoptr(GError) error = NULL;
        g_autofree float *actual = NULL;

        g_test_message("%s %s", file, *keys);
        if (g_str_equal(*keys, "alphas_cumprod")) {
            g_assert_cmpint(noise_schedule->n_train_timesteps, ==, expected->n_elements);
            w2w_golden_compare_f64(golden, file, *keys, NULL, noise_schedule->alphas_cumprod);
            continue;
        }
        w2w_scheduler_start(scheduler, (guint)g_ascii_strtoull(number, NULL, 10), &error);
        g_assert_no_error(error);
        if (g_str_has_prefix(*keys, "timesteps_")) {
            check_timesteps(scheduler, expected);
        } else {
            g_assert_true(g_str_has_prefix(*keys, "trajectory_"));
            actual = run_trajectory(scheduler, expected);
            w2w_golden_compare(golden, file, *keys, NULL, actual);
            n_trajectories++;
        }
    }
    g_assert_cmpuint(n_trajectories, >, 0);
}

/* "pndm" and "pndm_trailing" are of kind "pndm". */
static gboolean is_of_kind(const char *config_name, W2wSchedulerKind kind)
{
    const char *name = w2w_scheduler_names[kind];

    return g_str_has_prefix(config_name, name) &&
           (config_name[strlen(name)] == '\0' || config_name[strlen(name)] == '_');
}

static void test_golden_trajectories(gconstpointer data)
{
    const W2wSchedulerKind kind = GPOINTER_TO_UINT(data);
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), "scheduler");
    JsonObject *configs = json_object_get_object_member(params, "config");
    g_autoptr(GList) names = json_object_get_members(configs);
    guint n_files = 0;

    g_assert_cmpstr(json_object_get_string_member(params, "stand_in"), ==, STAND_IN);
    for (GList *l = names; l != NULL; l = l->next) {
        g_autofree char *file = g_strconcat("scheduler_", l->data, NULL);
        g_autoptr(W2wScheduler) scheduler = NULL;
        g_autofree char *path = NULL, *text = NULL;
        g_autoptr(GError) error = NULL;

        if (!is_of_kind(l->data, kind) || !w2w_golden_has_file(golden, file))
            continue;
        text = object_text(json_object_get_object_member(configs, l->data));
        path = write_config(text);
        scheduler = w2w_scheduler_new_from_file(kind, path, &error);
        g_assert_no_error(error);
        check_golden_file(golden, file, scheduler);
        n_files++;
    }
    g_assert_cmpuint(n_files, >, 0);
}

/* --- many configs --- */

static void check_case(JsonObject *test_case)
{
    JsonArray *timesteps = json_object_get_array_member(test_case, "timesteps");
    JsonArray *trajectory = json_object_get_array_member(test_case, "trajectory");
    JsonObject *alphas = json_object_get_object_member(test_case, "alphas_cumprod");
    g_autofree char *text = object_text(json_object_get_object_member(test_case, "config"));
    const guint n_steps = (guint)json_object_get_int_member(test_case, "n_steps");
    g_autoptr(GList) indices = json_object_get_members(alphas);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler = open_text(text, &error);
    const double *actual_timesteps;
    float x = 1;
    guint n_calls, first;

    g_test_message("%u steps with %s", n_steps, text);
    g_assert_no_error(error);
    for (GList *l = indices; l != NULL; l = l->next) {
        const guint at = (guint)g_ascii_strtoull(l->data, NULL, 10);

        g_assert_cmpfloat_with_epsilon(
            w2w_scheduler_get_noise_schedule(scheduler)->alphas_cumprod[at],
            json_object_get_double_member(alphas, l->data), 2e-7);
    }
    w2w_scheduler_start(scheduler, n_steps, &error);
    g_assert_no_error(error);
    actual_timesteps = w2w_scheduler_get_timesteps(scheduler, &n_calls);
    g_assert_cmpuint(n_calls, ==, json_array_get_length(timesteps));
    first = n_calls + 1 - json_array_get_length(trajectory);
    for (guint i = 0; i <= n_calls; i++) {
        float noise_pred;

        if (i >= first) {
            const double expected = json_array_get_double_element(trajectory, i - first);

            g_assert_cmpfloat_with_epsilon(x, expected, 2e-6 * MAX(1, fabs(expected)));
        }
        if (i == n_calls)
            break;
        g_assert_cmpfloat(actual_timesteps[i], ==, json_array_get_int_element(timesteps, i));
        noise_pred = 0.3f * x + 0.1f * sinf((float)actual_timesteps[i]);
        w2w_scheduler_step(scheduler, i, 1, &noise_pred, &x, &error);
        g_assert_no_error(error);
    }
}

static void test_every_config_is_as_diffusers(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "pndm_cases.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = w2w_json_load(path, &error);
    JsonArray *cases;

    g_assert_no_error(error);
    cases = json_object_get_array_member(object, "cases");
    g_assert_cmpuint(json_array_get_length(cases), >, 0);
    for (guint i = 0; i < json_array_get_length(cases); i++)
        check_case(json_array_get_object_element(cases, i));
}

/* diffusers gives 62 timesteps here, the last of them -1, by a rounding of 1000 / 61. */
static void test_trailing_has_no_timestep_too_many(void)
{
    g_autoptr(JsonObject) config = model_config();
    g_autoptr(W2wScheduler) scheduler = NULL;
    g_autoptr(GError) error = NULL;

    set_literal(config, "num_train_timesteps", "1000");
    set_literal(config, "timestep_spacing", "\"trailing\"");
    scheduler = open_object(config, &error);
    g_assert_no_error(error);
    for (guint n_steps = 2; n_steps <= 1000; n_steps++) {
        const double *timesteps;
        guint n;

        w2w_scheduler_start(scheduler, n_steps, &error);
        g_assert_no_error(error);
        timesteps = w2w_scheduler_get_timesteps(scheduler, &n);
        g_assert_cmpuint(n, ==, n_steps + 1);
        g_assert_cmpfloat(timesteps[0], ==, 999);
        g_assert_cmpfloat(timesteps[n - 1], >=, 0);
    }
}

/* --- what must be refused --- */

static void assert_refused(const char *field, const char *literal, GError *error)
{
    g_test_message("%s = %s: %s", field, literal, error != NULL ? error->message : "accepted");
    g_assert_nonnull(error);
    g_assert_true(error->domain == W2W_ERROR);
    g_assert_true(error->code == W2W_ERROR_FORMAT || error->code == W2W_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, field));
    g_assert_nonnull(strstr(error->message, "scheduler_config.json"));
}

/* Values that are right for the field (pndm_cases.json says that they also act). */
static const struct {
    const char *field, *literals[5];
} right_values[] = {
    {"_class_name", {"\"PNDMScheduler\"", "\"DDIMScheduler\""}},
    {"_diffusers_version", {"*"}},
    {"num_train_timesteps", {"1", "7", "1000"}},
    {"beta_start", {"0.05"}},
    {"beta_end", {"0.05"}},
    {"beta_schedule", {"\"linear\"", "\"scaled_linear\""}},
    {"trained_betas", {"null"}},
    {"prediction_type", {"\"epsilon\""}},
    {"timestep_spacing", {"\"leading\"", "\"linspace\"", "\"trailing\""}},
    {"steps_offset", {"0", "1", "7", "1000"}},
    {"set_alpha_to_one", {"true", "false"}},
    {"skip_prk_steps", {"true"}},
};

static gboolean is_right(const char *field, const char *literal)
{
    for (guint i = 0; i < G_N_ELEMENTS(right_values); i++) {
        const char *const *right = right_values[i].literals;

        if (!g_str_equal(field, right_values[i].field))
            continue;
        return g_str_equal(right[0], "*") || g_strv_contains(right, literal);
    }
    g_assert_not_reached(); /* a field that this test does not know */
}

static void test_every_field_acts_or_is_refused(void)
{
    static const char *const literals[] = {"null",
                                           "true",
                                           "false",
                                           "0",
                                           "1",
                                           "7",
                                           "1000",
                                           "-1",
                                           "100001",
                                           "0.05",
                                           "0.5",
                                           "1.5",
                                           "-0.5",
                                           "NaN",
                                           "Infinity",
                                           "1e300",
                                           "9223372036854775807",
                                           "1000.0",
                                           "\"\"",
                                           "\"1\"",
                                           "\"nonsense\"",
                                           "[]",
                                           "[0.5]",
                                           "[1.5]",
                                           "[0.5, null]",
                                           "{}",
                                           "\"linear\"",
                                           "\"scaled_linear\"",
                                           "\"squaredcos_cap_v2\"",
                                           "\"sigmoid\"",
                                           "\"epsilon\"",
                                           "\"v_prediction\"",
                                           "\"sample\"",
                                           "\"leading\"",
                                           "\"linspace\"",
                                           "\"trailing\"",
                                           "\"PNDMScheduler\"",
                                           "\"DDIMScheduler\"",
                                           "\"FlowMatchEulerDiscreteScheduler\""};
    g_autoptr(JsonObject) original = model_config();
    g_autoptr(GList) fields = json_object_get_members(original);

    for (GList *l = fields; l != NULL; l = l->next) {
        for (guint i = 0; i < G_N_ELEMENTS(literals); i++) {
            g_autoptr(GError) error = NULL;
            g_autoptr(W2wScheduler) scheduler = open_with(l->data, literals[i], &error);

            if (is_right(l->data, literals[i])) {
                g_assert_no_error(error);
                g_assert_nonnull(scheduler);
            } else {
                assert_refused(l->data, literals[i], error);
                g_assert_null(scheduler);
            }
        }
    }
}

/* Fields that other samplers leave in the file: { field, right values, wrong values }. */
static void test_fields_of_other_samplers(void)
{
    static const struct {
        const char *field, *right[4], *wrong[5];
    } cases[] = {
        {"clip_sample", {"false"}, {"true", "null", "0"}},
        {"thresholding", {"false"}, {"true", "\"false\""}},
        {"rescale_betas_zero_snr", {"false"}, {"true"}},
        {"use_karras_sigmas", {"false"}, {"true"}},
        {"use_exponential_sigmas", {"false"}, {"true"}},
        {"use_beta_sigmas", {"false"}, {"true"}},
        {"use_lu_lambdas", {"false"}, {"true"}},
        {"use_flow_sigmas", {"false"}, {"true"}},
        {"use_dynamic_shifting", {"false"}, {"true"}},
        {"sigma_min", {"null"}, {"0.1"}},
        {"sigma_max", {"null"}, {"10"}},
        {"solver_p", {"null"}, {"{}"}},
        {"interpolation_type", {"\"linear\""}, {"\"log_linear\""}},
        {"timestep_type", {"\"discrete\""}, {"\"continuous\""}},
        {"variance_type",
         {"null", "\"fixed_small\"", "\"fixed_large\""},
         {"\"learned_range\"", "1"}},
        {"clip_sample_range", {"1.0", "2"}, {"null", "\"1\""}},
        {"sample_max_value", {"1.0"}, {"[]"}},
        {"dynamic_thresholding_ratio", {"0.995"}, {"true"}},
        {"flow_shift", {"1.0"}, {"null"}},
        {"lambda_min_clipped", {"-Infinity", "-5.1"}, {"\"-inf\""}},
        {"solver_order", {"2", "3"}, {"2.5"}},
        {"solver_type", {"\"midpoint\""}, {"1"}},
        {"algorithm_type", {"\"dpmsolver++\""}, {"null"}},
        {"final_sigmas_type", {"\"zero\""}, {"0"}},
        {"time_shift_type", {"\"exponential\""}, {"false"}},
        {"lower_order_final", {"true", "false"}, {"1"}},
        {"euler_at_final", {"true", "false"}, {"1"}},
        {"predict_x0", {"true", "false"}, {"1"}},
        {"disable_corrector", {"[]", "[0]"}, {"{}"}},
        {"_use_default_values", {"[]", "1"}, {NULL}},
        {"unheard_of", {NULL}, {"null", "false", "0"}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (gboolean is_wrong = FALSE; is_wrong <= TRUE; is_wrong++) {
            const char *const *literal = is_wrong ? cases[i].wrong : cases[i].right;

            for (; *literal != NULL; literal++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(W2wScheduler) scheduler = open_with(cases[i].field, *literal, &error);

                g_assert_true((scheduler == NULL) == is_wrong);
                if (is_wrong)
                    assert_refused(cases[i].field, *literal, error);
                else
                    g_assert_no_error(error);
            }
        }
    }
}

static void test_runge_kutta_is_refused_where_it_is_the_default(void)
{
    g_autoptr(JsonObject) config = model_config();
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler = NULL;

    json_object_remove_member(config, "skip_prk_steps");
    g_assert_null(open_object(config, &error));
    assert_refused("skip_prk_steps", "(missing)", error);
    g_clear_error(&error);
    set_literal(config, "_class_name", "\"DDIMScheduler\"");
    scheduler = open_object(config, &error);
    g_assert_no_error(error);
}

static void test_unusable_betas_are_refused(void)
{
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"{\"skip_prk_steps\": true, \"beta_start\": 0.9, \"beta_end\": 0.99}", "beta_end"},
        {"{\"skip_prk_steps\": true, \"beta_start\": 1e-9}", "beta_start"},
        {"{\"skip_prk_steps\": true, \"num_train_timesteps\": 3, \"trained_betas\": [0.1, 0.2]}",
         "trained_betas"},
        {"{\"skip_prk_steps\": true, \"num_train_timesteps\": 1, \"trained_betas\": [1e-12]}",
         "trained_betas"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(open_text(cases[i].text, &error));
        assert_refused(cases[i].field, cases[i].text, error);
    }
}

static void test_bad_files(void)
{
    g_autofree char *missing = g_build_filename(temporary_dir, "missing.json", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, missing, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "missing.json"));
    g_clear_error(&error);
    g_assert_null(open_text("[]", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_null(open_text("{\"beta_start\": 0.1, \"beta_start\": 0.1}", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
}

static void test_wrong_calls(void)
{
    g_autoptr(JsonObject) config = model_config();
    g_autoptr(W2wScheduler) scheduler = NULL;
    g_autoptr(GError) error = NULL;
    const float noise_pred[3] = {0};
    float latents[3] = {1, 1, 1};
    const guint n_train = (guint)json_object_get_int_member(config, "num_train_timesteps");
    const guint wrong_n_steps[] = {0, n_train + 1, G_MAXUINT, n_train}; /* last: see below */
    guint n;

    set_literal(config, "steps_offset", "1"); /* leading: timesteps 1 … n_train do not fit */
    scheduler = open_object(config, &error);
    g_assert_no_error(error);
    g_assert_null(w2w_scheduler_get_timesteps(scheduler, &n));
    g_assert_cmpuint(n, ==, 0);
    g_assert_false(w2w_scheduler_step(scheduler, 0, 3, noise_pred, latents, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    for (guint i = 0; i < G_N_ELEMENTS(wrong_n_steps); i++) {
        g_assert_false(w2w_scheduler_start(scheduler, wrong_n_steps[i], &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_test_message("%s", error->message);
        g_clear_error(&error);
        w2w_scheduler_get_timesteps(scheduler, &n);
        g_assert_cmpuint(n, ==, 0);
    }
    g_assert_true(w2w_scheduler_start(scheduler, 2, &error));
    g_assert_true(w2w_scheduler_step(scheduler, 0, 3, noise_pred, latents, &error));
    g_assert_false(w2w_scheduler_step(scheduler, 0, 3, noise_pred, latents, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_scheduler_step(scheduler, 1, 2, noise_pred, latents, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_true(w2w_scheduler_step(scheduler, 1, 3, noise_pred, latents, &error));
    g_assert_true(w2w_scheduler_step(scheduler, 2, 3, noise_pred, latents, &error));
    g_assert_false(w2w_scheduler_step(scheduler, 3, 3, noise_pred, latents, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    g_autofree char *config_path = NULL;
    int result;

    g_test_init(&argc, &argv, NULL);
    temporary_dir = g_dir_make_tmp("w2w-scheduler-XXXXXX", NULL);
    g_assert_nonnull(temporary_dir);
    for (guint kind = 0; w2w_scheduler_names[kind] != NULL; kind++) {
        g_autofree char *path =
            g_strdup_printf("/scheduler/%s-golden-trajectories", w2w_scheduler_names[kind]);

        g_test_add_data_func(path, GUINT_TO_POINTER(kind), test_golden_trajectories);
    }
    g_test_add_func("/scheduler/every-config-is-as-diffusers", test_every_config_is_as_diffusers);
    g_test_add_func("/scheduler/trailing-has-no-timestep-too-many",
                    test_trailing_has_no_timestep_too_many);
    g_test_add_func("/scheduler/every-field-acts-or-is-refused",
                    test_every_field_acts_or_is_refused);
    g_test_add_func("/scheduler/fields-of-other-samplers", test_fields_of_other_samplers);
    g_test_add_func("/scheduler/runge-kutta-is-refused-where-it-is-the-default",
                    test_runge_kutta_is_refused_where_it_is_the_default);
    g_test_add_func("/scheduler/unusable-betas-are-refused", test_unusable_betas_are_refused);
    g_test_add_func("/scheduler/bad-files", test_bad_files);
    g_test_add_func("/scheduler/wrong-calls", test_wrong_calls);
    result = g_test_run();
    config_path = g_build_filename(temporary_dir, "scheduler_config.json", NULL);
    g_remove(config_path);
    g_rmdir(temporary_dir);
    g_free(temporary_dir);
    return result;
}
