/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Schedulers against diffusers' with many configs (pndm_cases.json). */
#include "engine/diffusion/scheduler.h"

#include <math.h>

#include "engine/formats/json.h"
#include "tests/diffusion/scheduler_fixture.h"

static void check_case(JsonObject *test_case)
{
    JsonArray *timesteps = json_object_get_array_member(test_case, "timesteps");
    JsonArray *trajectory = json_object_get_array_member(test_case, "trajectory");
    JsonObject *alphas = json_object_get_object_member(test_case, "alphas_cumprod");
    g_autofree char *text =
        scheduler_fixture_text(json_object_get_object_member(test_case, "config"));
    const guint n_steps = (guint)json_object_get_int_member(test_case, "n_steps");
    g_autoptr(GList) indices = json_object_get_members(alphas);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wScheduler) scheduler =
        scheduler_fixture_open_text(W2W_SCHEDULER_PNDM, text, &error);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scheduler/every-config-is-as-diffusers", test_every_config_is_as_diffusers);
    return scheduler_fixture_run();
}
