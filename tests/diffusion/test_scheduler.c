/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Schedulers against diffusers' golden trajectories (scheduler_*.safetensors), and calls that
 * must be refused.
 */
#include "engine/diffusion/scheduler.h"

#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "tests/diffusion/scheduler_fixture.h"
#include "tests/golden_files.h"

/* What params.json has to say about the model of the trajectories for this test to know it. */
#define STAND_IN "eps = 0.3 * scaled_sample + 0.1 * sin(timestep)"

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
        } else if (g_str_has_prefix(*keys, "sigmas_")) {
            guint n;
            const double *sigmas = w2w_scheduler_get_sigmas(scheduler, &n);

            g_assert_cmpint(n, ==, expected->n_elements);
            w2w_golden_compare_f64(golden, file, *keys, NULL, sigmas);
        } else {
            g_assert_true(g_str_has_prefix(*keys, "trajectory_"));
            actual = run_trajectory(scheduler, expected);
            w2w_golden_compare(golden, file, *keys, NULL, actual);
            n_trajectories++;
        }
    }
    g_assert_cmpuint(n_trajectories, >, 0);
}

/* "pndm" and "pndm_trailing" are of kind "pndm", "dpmpp_2m_karras" of the longer of two names. */
static gboolean is_of_kind(const char *config_name, W2wSchedulerKind kind)
{
    g_autofree char *dashed = g_strdelimit(g_strdup(config_name), "_", '-');
    const char *longest = "";

    for (guint i = 0; w2w_scheduler_names[i] != NULL; i++)
        if (g_str_has_prefix(dashed, w2w_scheduler_names[i]) &&
            strchr("-", dashed[strlen(w2w_scheduler_names[i])]) != NULL &&
            strlen(w2w_scheduler_names[i]) > strlen(longest))
            longest = w2w_scheduler_names[i];
    return g_str_equal(longest, w2w_scheduler_names[kind]);
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
        text = scheduler_fixture_text(json_object_get_object_member(configs, l->data));
        path = scheduler_fixture_write(text);
        scheduler = w2w_scheduler_new_from_file(kind, path, &error);
        g_assert_no_error(error);
        check_golden_file(golden, file, scheduler);
        n_files++;
    }
    g_assert_cmpuint(n_files, >, 0);
}

/* diffusers gives 62 timesteps here, the last of them -1, by a rounding of 1000 / 61. */
static void test_trailing_has_no_timestep_too_many(void)
{
    g_autoptr(JsonObject) config = scheduler_fixture_model_config();
    g_autoptr(W2wScheduler) scheduler = NULL;
    g_autoptr(GError) error = NULL;

    scheduler_fixture_set(config, "num_train_timesteps", "1000");
    scheduler_fixture_set(config, "timestep_spacing", "\"trailing\"");
    scheduler = scheduler_fixture_open_object(W2W_SCHEDULER_PNDM, config, &error);
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

static void test_wrong_calls(void)
{
    g_autoptr(JsonObject) config = scheduler_fixture_model_config();
    g_autoptr(W2wScheduler) scheduler = NULL;
    g_autoptr(GError) error = NULL;
    const float noise_pred[3] = {0};
    float latents[3] = {1, 1, 1};
    const guint n_train = (guint)json_object_get_int_member(config, "num_train_timesteps");
    const guint wrong_n_steps[] = {0, n_train + 1, G_MAXUINT, n_train}; /* last: see below */
    guint n;

    scheduler_fixture_set(config, "steps_offset",
                          "1"); /* leading: timesteps 1 … n_train do not fit */
    scheduler = scheduler_fixture_open_object(W2W_SCHEDULER_PNDM, config, &error);
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

/* What diffusers computes there is not a number: two sigmas are equal. */
static void test_steps_that_do_not_lower_the_noise_are_refused(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler = scheduler_fixture_open_text(
        W2W_SCHEDULER_DPMPP_2M, "{\"timestep_spacing\": \"leading\", \"steps_offset\": 1}", &error);

    g_assert_no_error(error);
    g_assert_true(w2w_scheduler_start(scheduler, 998, &error));
    for (guint n_steps = 999; n_steps <= 1000; n_steps++) {
        g_assert_false(w2w_scheduler_start(scheduler, n_steps, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
        g_assert_nonnull(strstr(error->message, "steps_offset"));
        g_clear_error(&error);
    }
}

/* As diffusers' does with 999 steps, where neighbours round to the same timestep. */
static void test_karras_steps_are_all_made(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler =
        w2w_scheduler_new_from_file(W2W_SCHEDULER_DPMPP_2M_KARRAS, NULL, &error);
    float x = 1;
    guint n;

    g_assert_true(w2w_scheduler_start(scheduler, 1000, &error));
    w2w_scheduler_get_timesteps(scheduler, &n);
    g_assert_cmpuint(n, ==, 1000);
    for (guint i = 0; i < n; i++) {
        const float noise_pred = 0.3f * x;

        g_assert_true(w2w_scheduler_step(scheduler, i, 1, &noise_pred, &x, &error));
        g_assert_true(isfinite(x));
    }
}

/* The last step with "sigma_min" may go nowhere; with "heun" diffusers divides 0 by 0 there. */
static void test_a_last_step_that_goes_nowhere(void)
{
    static const char *const solvers[] = {"midpoint", "heun"};

    for (guint s = 0; s < G_N_ELEMENTS(solvers); s++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf(
            "{\"final_sigmas_type\": \"sigma_min\", \"solver_type\": \"%s\"}", solvers[s]);
        g_autoptr(W2wScheduler) scheduler =
            scheduler_fixture_open_text(W2W_SCHEDULER_DPMPP_2M_KARRAS, text, &error);
        float x = 1, before = 0;

        g_assert_no_error(error);
        g_assert_true(w2w_scheduler_start(scheduler, 20, &error));
        for (guint i = 0; i < 20; i++) {
            const float noise_pred = 0.3f * x;

            before = x;
            g_assert_true(w2w_scheduler_step(scheduler, i, 1, &noise_pred, &x, &error));
        }
        g_assert_cmpfloat_with_epsilon(x, before, 1e-7);
    }
}

static void test_wrong_strengths(void)
{
    static const double strengths[] = {0, -0.5, 1.000001, NAN, INFINITY, 0.09};

    for (guint kind = 0; w2w_scheduler_names[kind] != NULL; kind++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(W2wScheduler) scheduler = w2w_scheduler_new_from_file(kind, NULL, &error);
        guint n;

        g_assert_no_error(error);
        for (guint i = 0; i < G_N_ELEMENTS(strengths); i++) {
            g_assert_false(w2w_scheduler_start_from(scheduler, 11, strengths[i], &error));
            g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
            g_clear_error(&error);
            g_assert_null(w2w_scheduler_get_timesteps(scheduler, &n));
            g_assert_cmpuint(n, ==, 0);
        }
        g_assert_true(w2w_scheduler_start_from(scheduler, 11, 0.1, &error));
        g_assert_false(w2w_scheduler_start_from(scheduler, 0, 0.5, &error));
        g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint kind = 0; w2w_scheduler_names[kind] != NULL; kind++) {
        g_autofree char *path =
            g_strdup_printf("/scheduler/%s-golden-trajectories", w2w_scheduler_names[kind]);

        g_test_add_data_func(path, GUINT_TO_POINTER(kind), test_golden_trajectories);
    }
    g_test_add_func("/scheduler/trailing-has-no-timestep-too-many",
                    test_trailing_has_no_timestep_too_many);
    g_test_add_func("/scheduler/wrong-calls", test_wrong_calls);
    g_test_add_func("/scheduler/wrong-strengths", test_wrong_strengths);
    g_test_add_func("/scheduler/steps-that-do-not-lower-the-noise-are-refused",
                    test_steps_that_do_not_lower_the_noise_are_refused);
    g_test_add_func("/scheduler/karras-steps-are-all-made", test_karras_steps_are_all_made);
    g_test_add_func("/scheduler/a-last-step-that-goes-nowhere", test_a_last_step_that_goes_nowhere);
    return scheduler_fixture_run();
}
