/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Schedulers against diffusers' with many configs, numbers of steps and strengths
 * (scheduler_cases.json, which make_scheduler_cases.py explains).
 */
#include "engine/diffusion/ddim_inverse.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "tests/diffusion/scheduler_fixture.h"

/* float32 latents, and float32 sigmas whose roundings differ by one place; relative from 1 on. */
#define TOLERANCE 2e-6
/* Karras' timesteps: NumPy before 2 finds them in float32, whose logarithms have 7 digits. */
#define FRACTION_TOLERANCE 5e-4

typedef struct {
    JsonObject *file, *expected;
    W2wScheduler *scheduler;
    guint n_calls;
    const double *timesteps, *sigmas; /* sigmas: NULL for those that have none */
} Case;

/* The file's config with the case's change. */
static char *config_of_case(JsonObject *file, JsonObject *test_case)
{
    g_autoptr(JsonObject) config = json_object_new();
    JsonObject *base = json_object_get_object_member(file, "config");
    g_autoptr(GList) names = json_object_get_members(base);
    g_autoptr(GList) changed = NULL;
    JsonObject *change = NULL;

    for (GList *l = names; l != NULL; l = l->next)
        json_object_set_member(config, l->data, json_object_dup_member(base, l->data));
    if (json_object_has_member(test_case, "change"))
        change = json_object_get_object_member(test_case, "change");
    if (change != NULL)
        changed = json_object_get_members(change);
    for (GList *l = changed; l != NULL; l = l->next) {
        JsonNode *value = json_object_get_member(change, l->data);

        if (JSON_NODE_HOLDS_VALUE(value) && g_strcmp0(json_node_get_string(value), "absent") == 0)
            json_object_remove_member(config, l->data);
        else
            json_object_set_member(config, l->data, json_node_copy(value));
    }
    return scheduler_fixture_text(config);
}

static W2wSchedulerKind kind_of_case(JsonObject *test_case)
{
    const char *name = json_object_get_string_member(test_case, "kind");

    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++)
        if (g_str_equal(name, w2w_scheduler_names[i]))
            return (W2wSchedulerKind)i;
    g_assert_not_reached();
}

static void assert_near(double actual, double expected, double tolerance)
{
    g_assert_cmpfloat_with_epsilon(actual, expected, tolerance * MAX(1, fabs(expected)));
}

static void check_call(const Case *c, guint i, double x)
{
    JsonArray *list = json_object_get_array_member(c->expected, "at");

    for (guint k = 0; k < json_array_get_length(list); k++) {
        JsonArray *at = json_array_get_array_element(list, k);

        if (json_array_get_int_element(at, 0) != i)
            continue;
        if (i < c->n_calls) {
            g_assert_cmpfloat_with_epsilon(c->timesteps[i], json_array_get_double_element(at, 1),
                                           FRACTION_TOLERANCE);
            if (c->sigmas != NULL)
                assert_near(c->sigmas[i], json_array_get_double_element(at, 2), 2e-7);
        }
        assert_near(x, json_array_get_double_element(at, json_array_get_length(at) - 1), TOLERANCE);
    }
}

static void check_sums(const Case *c)
{
    JsonArray *sums = json_object_get_array_member(c->expected, "sums");
    double timesteps = 0, sigmas = 0;

    for (guint i = 0; i < c->n_calls; i++)
        timesteps += c->timesteps[i];
    for (guint i = 0; i <= c->n_calls && c->sigmas != NULL; i++)
        sigmas += c->sigmas[i];
    g_assert_cmpfloat_with_epsilon(timesteps, json_array_get_double_element(sums, 0),
                                   1e-4 * c->n_calls);
    assert_near(sigmas, json_array_get_double_element(sums, 1), 2e-7);
}

static void run_case(const Case *c, float x)
{
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < c->n_calls; i++) {
        const float scaled = (float)w2w_scheduler_get_input_scale(c->scheduler, i) * x;
        const float noise_pred = 0.3f * scaled + 0.1f * (float)sin(c->timesteps[i]);

        check_call(c, i, x);
        w2w_scheduler_step(c->scheduler, i, 1, &noise_pred, &x, &error);
        g_assert_no_error(error);
    }
    check_call(c, c->n_calls, x);
}

static void check_case(JsonObject *file, JsonObject *test_case)
{
    const guint n_steps = (guint)json_object_get_int_member(test_case, "steps");
    const gboolean from_image = json_object_has_member(test_case, "strength");
    const double strength = from_image ? json_object_get_double_member(test_case, "strength") : 0;
    const W2wSchedulerKind kind = kind_of_case(test_case);
    g_autofree char *text = config_of_case(file, test_case);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler = scheduler_fixture_open_text(kind, text, &error);
    Case c = {.file = file, .expected = test_case, .scheduler = scheduler};
    guint n_sigmas;
    float x;

    g_test_message("%s, %u steps, strength %g, with %s", w2w_scheduler_names[kind], n_steps,
                   strength, text);
    g_assert_no_error(error);
    if (!from_image)
        w2w_scheduler_start(scheduler, n_steps, &error);
    else
        w2w_scheduler_start_from(scheduler, n_steps, strength, &error);
    if (json_object_get_int_member(test_case, "n") == 0) {
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        return;
    }
    g_assert_no_error(error);
    c.timesteps = w2w_scheduler_get_timesteps(scheduler, &c.n_calls);
    c.sigmas = w2w_scheduler_get_sigmas(scheduler, &n_sigmas);
    g_assert_cmpuint(c.n_calls, ==, json_object_get_int_member(test_case, "n"));
    g_assert_cmpuint(n_sigmas, ==, c.sigmas != NULL ? c.n_calls + 1 : 0);
    check_sums(&c);
    x = (float)w2w_scheduler_get_initial_sigma(scheduler);
    if (from_image) {
        const float noise = (float)json_object_get_double_member(file, "noise");

        x = (float)json_object_get_double_member(file, "image");
        w2w_scheduler_add_noise(scheduler, 1, &noise, &x);
    }
    run_case(&c, x);
}

static void test_every_case_is_as_diffusers(gconstpointer data)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "scheduler_cases.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) file = w2w_json_load(path, &error);
    guint n_checked = 0;
    JsonArray *cases;

    g_assert_no_error(error);
    cases = json_object_get_array_member(file, "cases");
    for (guint i = 0; i < json_array_get_length(cases); i++) {
        JsonObject *test_case = json_array_get_object_element(cases, i);

        if (kind_of_case(test_case) != GPOINTER_TO_UINT(data))
            continue;
        check_case(file, test_case);
        n_checked++;
    }
    g_assert_cmpuint(n_checked, >, 0);
}

/* From 1 back to noise, through all calls from the last to the first. */
static void check_inverse(JsonObject *file, JsonObject *test_case)
{
    const guint n_steps = (guint)json_object_get_int_member(test_case, "steps");
    g_autofree char *text = config_of_case(file, test_case);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler =
        scheduler_fixture_open_text(W2W_SCHEDULER_DDIM, text, &error);
    const double *timesteps;
    double sum = 0;
    guint n_calls;
    float x = 1;

    g_test_message("%u steps with %s", n_steps, text);
    g_assert_no_error(error);
    w2w_scheduler_start(scheduler, n_steps, &error);
    g_assert_no_error(error);
    timesteps = w2w_scheduler_get_timesteps(scheduler, &n_calls);
    g_assert_cmpuint(n_calls, ==, json_object_get_int_member(test_case, "n"));
    for (guint i = n_calls; i-- > 0;) {
        const float noise_pred = 0.3f * x + 0.1f * (float)sin(timesteps[i]);

        w2w_ddim_inverse_step(scheduler, i, 1, &noise_pred, &x, &x);
        sum += timesteps[i];
    }
    g_assert_cmpfloat(sum, ==, json_object_get_double_member(test_case, "sum"));
    assert_near(x, json_object_get_double_member(test_case, "latent"), TOLERANCE);
}

static void test_inverse_is_as_diffusers(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "scheduler_cases.json", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) file = w2w_json_load(path, &error);
    JsonArray *cases;

    g_assert_no_error(error);
    cases = json_object_get_array_member(file, "inverse");
    g_assert_cmpuint(json_array_get_length(cases), >, 0);
    for (guint i = 0; i < json_array_get_length(cases); i++)
        check_inverse(file, json_array_get_object_element(cases, i));
}

/* With the same predictions there and back, one is where one was, from any part of the way. */
static void test_inverse_undoes_ddim(void)
{
    enum { N = 7 };
    g_autoptr(JsonObject) config = scheduler_fixture_model_config();
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler =
        scheduler_fixture_open_object(W2W_SCHEDULER_DDIM, config, &error);
    float start[N], latents[N], predictions[64][N];
    guint n_calls;

    g_assert_no_error(error);
    w2w_scheduler_stop_clipping(scheduler);
    w2w_scheduler_start_from(scheduler, 20, 0.8, &error);
    g_assert_no_error(error);
    w2w_scheduler_get_timesteps(scheduler, &n_calls);
    g_assert_cmpuint(n_calls, ==, 16);
    for (guint j = 0; j < N; j++)
        start[j] = latents[j] = 3.0f * sinf((float)j);
    for (guint i = 0; i < n_calls; i++) {
        for (guint j = 0; j < N; j++)
            predictions[i][j] = cosf((float)(3 * i + j)) + 0.2f * latents[j];
        w2w_scheduler_step(scheduler, i, N, predictions[i], latents, &error);
        g_assert_no_error(error);
    }
    for (guint i = n_calls; i-- > 0;)
        w2w_ddim_inverse_step(scheduler, i, N, predictions[i], latents, latents);
    for (guint j = 0; j < N; j++)
        assert_near(latents[j], start[j], TOLERANCE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint kind = 0; w2w_scheduler_names[kind] != NULL; kind++) {
        g_autofree char *path =
            g_strdup_printf("/scheduler/%s-is-as-diffusers", w2w_scheduler_names[kind]);

        g_test_add_data_func(path, GUINT_TO_POINTER(kind), test_every_case_is_as_diffusers);
    }
    g_test_add_func("/scheduler/ddim-inverse-is-as-diffusers", test_inverse_is_as_diffusers);
    g_test_add_func("/scheduler/ddim-inverse-undoes-ddim", test_inverse_undoes_ddim);
    return scheduler_fixture_run();
}
