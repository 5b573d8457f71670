/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every field of scheduler_config.json, for every sampler: it is read (that it then acts as in
 * diffusers is shown in test_scheduler_cases.c), passed over, or refused by its name.
 */
#include "engine/diffusion/scheduler.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/diffusion/scheduler_fixture.h"
#include "tests/golden_files.h"

static void assert_refused(const char *field, const char *literal, GError *error)
{
    g_test_message("%s = %s: %s", field, literal, error != NULL ? error->message : "accepted");
    g_assert_nonnull(error);
    g_assert_true(error->domain == W2W_ERROR);
    g_assert_true(error->code == W2W_ERROR_FORMAT || error->code == W2W_ERROR_UNSUPPORTED);
    g_assert_nonnull(strstr(error->message, field));
    g_assert_nonnull(strstr(error->message, "scheduler_config.json"));
}

#define ALL "pdem" /* a letter per sampler, see reader_of_kind() */
#define ABOVE_0                                                                                    \
    "1", "2", "3", "7", "1000", "100001", "0.05", "0.5", "1.5", "1e300", "9223372036854775807",    \
        "1000.0"

/*
 * Who reads a field and what is right for it. Who does not read it also takes any other
 * value of its type: "b" boolean, "i" whole number, "n" number, "s" string, "l" list, "o" object,
 * "0" null.
 */
static const struct {
    const char *field, *readers, *type, *right[20];
} fields[] = {
    {"_class_name", ALL, "", {"\"PNDMScheduler\"", "\"DDIMScheduler\""}},
    {"_diffusers_version", "", "bns0lo", {NULL}},
    {"_use_default_values", ALL, "", {"[]", "[\"beta_end\"]"}},
    {"num_train_timesteps", ALL, "", {"1", "2", "3", "7", "1000"}},
    {"beta_start", ALL, "", {"0.05"}},
    {"beta_end", ALL, "", {"0.05"}},
    {"beta_schedule", ALL, "", {"\"linear\"", "\"scaled_linear\""}},
    {"trained_betas", ALL, "", {"null"}},
    {"prediction_type", ALL, "", {"\"epsilon\""}},
    {"timestep_spacing", ALL, "", {"\"leading\"", "\"linspace\"", "\"trailing\""}},
    {"steps_offset", ALL, "", {"0", "1", "2", "3", "7", "1000"}},
    {"set_alpha_to_one", "pd", "b", {"true", "false"}},
    {"skip_prk_steps", "p", "b", {"true"}},
    {"clip_sample", "d", "b", {"true", "false"}},
    {"clip_sample_range", "d", "n", {ABOVE_0}},
    {"thresholding", "dm", "b", {"false"}},
    {"rescale_betas_zero_snr", "dem", "b", {"false"}},
    {"use_karras_sigmas", "e", "b0", {"true", "false", "null"}},
    {"use_exponential_sigmas", "em", "b0", {"false", "null"}},
    {"use_beta_sigmas", "em", "b0", {"false", "null"}},
    {"use_lu_lambdas", "m", "b0", {"false", "null"}},
    {"use_flow_sigmas", "m", "b0", {"false", "null"}},
    {"sigma_min", "em", "n0", {"null", ABOVE_0}},
    {"sigma_max", "em", "n0", {"null", ABOVE_0}},
    {"interpolation_type", "e", "s", {"\"linear\""}},
    {"timestep_type", "e", "s", {"\"discrete\"", "\"continuous\""}},
    {"variance_type", "m", "s0", {"null", "\"fixed_small\"", "\"fixed_large_log\""}},
    {"final_sigmas_type", "em", "s", {"\"zero\"", "\"sigma_min\""}},
    {"lambda_min_clipped", "m", "n", {ABOVE_0, "0", "-1", "-0.5", "-5.1", "Infinity", "-Infinity"}},
    {"solver_order", "m", "i", {"2"}},
    {"solver_type", "m", "s", {"\"midpoint\"", "\"heun\"", "\"bh2\"", "\"logrho\""}},
    {"algorithm_type", "m", "s", {"\"dpmsolver++\""}},
    {"lower_order_final", "m", "b", {"true", "false"}},
    {"euler_at_final", "m", "b", {"true", "false"}},
    {"dynamic_thresholding_ratio", "", "n", {NULL}},
    {"sample_max_value", "", "n", {NULL}},
    {"flow_shift", "", "n0", {NULL}},
    {"use_dynamic_shifting", "", "b", {NULL}},
    {"time_shift_type", "", "s", {NULL}},
    {"predict_x0", "", "b", {NULL}},
    {"disable_corrector", "", "l", {NULL}},
    {"solver_p", "", "o0", {NULL}},
    {"unheard_of", "", "", {NULL}},
};

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
                                       "\"FlowMatchEulerDiscreteScheduler\"",
                                       "2",
                                       "3",
                                       "[\"beta_end\"]",
                                       "\"zero\"",
                                       "\"sigma_min\"",
                                       "\"midpoint\"",
                                       "\"heun\"",
                                       "\"bh2\"",
                                       "\"logrho\"",
                                       "\"dpmsolver\"",
                                       "\"dpmsolver++\"",
                                       "\"sde-dpmsolver++\"",
                                       "\"deis\"",
                                       "\"discrete\"",
                                       "\"continuous\"",
                                       "\"log_linear\"",
                                       "\"fixed_small\"",
                                       "\"fixed_large_log\"",
                                       "\"learned_range\"",
                                       "-Infinity",
                                       "-5.1"};

static char reader_of_kind(W2wSchedulerKind kind)
{
    static const char letters[] = {
        [W2W_SCHEDULER_PNDM] = 'p',
        [W2W_SCHEDULER_DDIM] = 'd',
        [W2W_SCHEDULER_EULER] = 'e',
        [W2W_SCHEDULER_DPMPP_2M] = 'm',
        [W2W_SCHEDULER_DPMPP_2M_KARRAS] = 'm',
    };

    return letters[kind];
}

static gboolean has_type(const char *literal, const char *type)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonNode) node = w2w_json_parse_any(literal, strlen(literal), "a test", &error);

    g_assert_no_error(error);
    if (JSON_NODE_HOLDS_NULL(node))
        return strchr(type, '0') != NULL;
    if (JSON_NODE_HOLDS_ARRAY(node))
        return strchr(type, 'l') != NULL;
    if (JSON_NODE_HOLDS_OBJECT(node))
        return strchr(type, 'o') != NULL;
    switch (json_node_get_value_type(node)) {
    case G_TYPE_BOOLEAN:
        return strchr(type, 'b') != NULL;
    case G_TYPE_STRING:
        return strchr(type, 's') != NULL;
    case G_TYPE_INT64:
        return strpbrk(type, "in") != NULL;
    default:
        return strchr(type, 'n') != NULL;
    }
}

static void check_field(W2wSchedulerKind kind, guint which, const char *literal, const char *path)
{
    const gboolean is_reader = strchr(fields[which].readers, reader_of_kind(kind)) != NULL;
    const gboolean is_right = g_strv_contains(fields[which].right, literal) ||
                              (!is_reader && has_type(literal, fields[which].type));
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler = w2w_scheduler_new_from_file(kind, path, &error);

    if (is_right) {
        g_assert_no_error(error);
        g_assert_nonnull(scheduler);
    } else {
        g_assert_null(scheduler);
        assert_refused(fields[which].field, literal, error);
    }
}

static void test_every_field_is_read_or_passed_over_or_refused(void)
{
    g_autoptr(JsonObject) config = scheduler_fixture_model_config();

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(literals); j++) {
            g_autofree char *path =
                scheduler_fixture_write_with(config, fields[i].field, literals[j]);

            for (guint kind = 0; w2w_scheduler_names[kind] != NULL; kind++)
                check_field(kind, i, literals[j], path);
        }
    }
}

/* Every right value is among the literals, and every field of the golden configs in the table. */
static void test_the_table_is_complete(void)
{
    g_autoptr(W2wGolden) golden = w2w_golden_open(NULL);
    JsonObject *params = json_object_get_object_member(w2w_golden_get_params(golden), "scheduler");
    g_autoptr(GList) configs =
        json_object_get_values(json_object_get_object_member(params, "config"));

    for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
        for (guint j = 0; fields[i].right[j] != NULL; j++)
            for (guint k = 0; !g_str_equal(fields[i].right[j], literals[k]); k++)
                g_assert_cmpuint(k, <, G_N_ELEMENTS(literals) - 1);
    g_assert_nonnull(configs);
    for (GList *l = configs; l != NULL; l = l->next) {
        g_autoptr(GList) names = json_object_get_members(json_node_get_object(l->data));

        for (GList *m = names; m != NULL; m = m->next)
            for (guint k = 0; !g_str_equal(m->data, fields[k].field); k++)
                g_assert_cmpuint(k, <, G_N_ELEMENTS(fields) - 1);
    }
}

static void test_runge_kutta_is_refused_where_it_is_the_default(void)
{
    g_autoptr(JsonObject) config = scheduler_fixture_model_config();
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler = NULL;

    json_object_remove_member(config, "skip_prk_steps");
    g_assert_null(scheduler_fixture_open_object(W2W_SCHEDULER_PNDM, config, &error));
    assert_refused("skip_prk_steps", "(missing)", error);
    g_clear_error(&error);
    scheduler_fixture_set(config, "_class_name", "\"DDIMScheduler\"");
    scheduler = scheduler_fixture_open_object(W2W_SCHEDULER_PNDM, config, &error);
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

        g_assert_null(scheduler_fixture_open_text(W2W_SCHEDULER_PNDM, cases[i].text, &error));
        assert_refused(cases[i].field, cases[i].text, error);
    }
}

static void test_bad_files(void)
{
    const char *const missing = "/nowhere/missing.json";
    g_autoptr(GError) error = NULL;

    g_assert_null(w2w_scheduler_new_from_file(W2W_SCHEDULER_PNDM, missing, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, "missing.json"));
    g_clear_error(&error);
    g_assert_null(scheduler_fixture_open_text(W2W_SCHEDULER_PNDM, "[]", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_clear_error(&error);
    g_assert_null(scheduler_fixture_open_text(
        W2W_SCHEDULER_PNDM, "{\"beta_start\": 0.1, \"beta_start\": 0.1}", &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
}

static void check_kind_of_file(const char *text, const char *expected, const char *in_message)
{
    g_autofree char *path = text != NULL ? scheduler_fixture_write(text) : NULL;
    g_autoptr(GError) error = NULL;
    W2wSchedulerKind kind;

    if (expected != NULL) {
        g_assert_true(w2w_scheduler_kind_from_file(path, &kind, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(w2w_scheduler_names[kind], ==, expected);
    } else {
        g_assert_false(w2w_scheduler_kind_from_file(path, &kind, &error));
        assert_refused(in_message, text, error);
    }
}

static void test_kind_of_file(void)
{
    check_kind_of_file(NULL, "pndm", NULL);
    check_kind_of_file("{\"_class_name\": \"PNDMScheduler\"}", "pndm", NULL);
    check_kind_of_file("{\"_class_name\": \"DDIMScheduler\"}", "ddim", NULL);
    check_kind_of_file("{\"_class_name\": \"EulerDiscreteScheduler\", "
                       "\"use_karras_sigmas\": true}",
                       "euler", NULL);
    check_kind_of_file("{\"_class_name\": \"DPMSolverMultistepScheduler\", "
                       "\"use_karras_sigmas\": null}",
                       "dpmpp-2m", NULL);
    check_kind_of_file("{\"_class_name\": \"DPMSolverMultistepScheduler\", "
                       "\"use_karras_sigmas\": true}",
                       "dpmpp-2m-karras", NULL);
    check_kind_of_file("{\"_class_name\": \"LMSDiscreteScheduler\"}", NULL, "LMSDiscreteScheduler");
    check_kind_of_file("{}", NULL, "_class_name");
    check_kind_of_file("{\"_class_name\": null}", NULL, "_class_name");
    check_kind_of_file("[]", NULL, "scheduler_config.json");
}

/* The golden model folders hold what Stable Diffusion 1.x has: equal but for the betas' source. */
static void test_without_a_file_it_is_stable_diffusion_1(gconstpointer data)
{
    const W2wSchedulerKind kind = GPOINTER_TO_UINT(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) built_in = w2w_scheduler_new_from_file(kind, NULL, &error);
    g_autoptr(W2wScheduler) written = scheduler_fixture_open_text(
        kind,
        "{\"_class_name\": \"PNDMScheduler\", \"beta_start\": 0.00085, \"beta_end\": 0.012, "
        "\"beta_schedule\": \"scaled_linear\", \"skip_prk_steps\": true, \"clip_sample\": "
        "false, \"steps_offset\": 1, \"set_alpha_to_one\": false}",
        &error);
    float noise_pred[1] = {0.1f}, a = 30, b = 30; /* DDIM would clip that */
    const double *timesteps, *expected;
    guint n, n_expected;

    g_assert_no_error(error);
    g_assert_true(w2w_scheduler_start(built_in, 7, &error));
    g_assert_true(w2w_scheduler_start(written, 7, &error));
    timesteps = w2w_scheduler_get_timesteps(built_in, &n);
    expected = w2w_scheduler_get_timesteps(written, &n_expected);
    g_assert_cmpmem(timesteps, n * sizeof *timesteps, expected, n_expected * sizeof *expected);
    for (guint i = 0; i < n; i++) {
        g_assert_true(w2w_scheduler_step(built_in, i, 1, noise_pred, &a, &error));
        g_assert_true(w2w_scheduler_step(written, i, 1, noise_pred, &b, &error));
        g_assert_cmpfloat(a, ==, b);
    }
    g_assert_cmpfloat(fabsf(a), >, 2);
}

static void add_for_every_kind(const char *name, GTestDataFunc test)
{
    for (guint kind = 0; w2w_scheduler_names[kind] != NULL; kind++) {
        g_autofree char *path =
            g_strdup_printf("/scheduler-config/%s/%s", w2w_scheduler_names[kind], name);

        g_test_add_data_func(path, GUINT_TO_POINTER(kind), test);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_for_every_kind("without-a-file-it-is-stable-diffusion-1",
                       test_without_a_file_it_is_stable_diffusion_1);
    g_test_add_func("/scheduler-config/every-field-is-read-or-passed-over-or-refused",
                    test_every_field_is_read_or_passed_over_or_refused);
    g_test_add_func("/scheduler-config/the-table-is-complete", test_the_table_is_complete);
    g_test_add_func("/scheduler-config/runge-kutta-is-refused-where-it-is-the-default",
                    test_runge_kutta_is_refused_where_it_is_the_default);
    g_test_add_func("/scheduler-config/unusable-betas-are-refused",
                    test_unusable_betas_are_refused);
    g_test_add_func("/scheduler-config/bad-files", test_bad_files);
    g_test_add_func("/scheduler-config/kind-of-file", test_kind_of_file);
    return scheduler_fixture_run();
}
