/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bench: each part can be timed, and its numbers are those of one set of runs. */
#include <string.h>

#include "engine/formats/json.h"
#include "tests/cli/cli_run.h"

#define REPS 3

static void test_part(gconstpointer part)
{
    g_autoptr(CliResult) result =
        cli_run("bench", part, "--size=32", "--reps=3", "--steps=2", "--dtype", "f32", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) json = NULL;
    JsonArray *each;
    double best = G_MAXDOUBLE, most = 0.0, sum = 0.0;

    cli_assert_code(result, 0);
    json = w2w_json_parse(result->out, strlen(result->out), "output", &error);
    g_assert_no_error(error);
    each = json_object_get_array_member(json, "each_s");
    g_assert_cmpuint(json_array_get_length(each), ==, REPS);
    for (guint i = 0; i < REPS; i++) {
        const double seconds = json_array_get_double_element(each, i);

        best = MIN(best, seconds);
        most = MAX(most, seconds);
        sum += seconds;
    }
    g_assert_cmpfloat(best, >, 0.0);
    g_assert_cmpfloat(json_object_get_double_member(json, "best_s"), ==, best);
    g_assert_cmpfloat_with_epsilon(json_object_get_double_member(json, "median_s"),
                                   sum - best - most, 1e-9); /* of three */
    g_assert_cmpfloat(json_object_get_double_member(json, "cold_s"), >, 0.0);
    g_assert_cmpfloat(json_object_get_double_member(json, "peak_mb"), >, 1.0);
    g_assert_cmpstr(json_object_get_string_member(json, "bench"), ==, part);
    g_assert_cmpstr(json_object_get_string_member(json, "dtype"), ==, "f32");
    g_assert_cmpint(json_object_get_int_member(json, "size"), ==, 32);
    g_assert_nonnull(strstr(json_object_get_string_member(json, "device"), "cpu"));
}

static void test_profile(gconstpointer part)
{
    g_autoptr(CliResult) result =
        cli_run("bench", part, "--json", "--size=32", "--reps=1", "--profile=1", NULL);

    cli_assert_code(result, 0);
    g_assert_nonnull(strstr(result->err, "linear"));
    g_assert_true((strstr(result->err, "lora_gradient") != NULL) == g_str_equal(part, "train"));
}

/* Gradients are float32 whatever else is asked for. */
static void test_training_type(void)
{
    g_autoptr(CliResult) result =
        cli_run("bench", "train", "--size=32", "--reps=1", "--dtype", "bf16", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) json = NULL;

    cli_assert_code(result, 0);
    json = w2w_json_parse(result->out, strlen(result->out), "output", &error);
    g_assert_no_error(error);
    g_assert_cmpstr(json_object_get_string_member(json, "dtype"), ==, "f32");
    g_assert_cmpint(json_object_get_int_member(json, "lora_rank"), ==, 1);
}

int main(int argc, char **argv)
{
    static const char *const parts[] = {"unet",   "vae-decode", "vae-encode", "text",
                                        "render", "load",       "train"};

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *path = g_strconcat("/cli/bench/", parts[i], NULL);

        g_test_add_data_func(path, parts[i], test_part);
    }
    g_test_add_data_func("/cli/bench/profile/text", "text", test_profile);
    g_test_add_data_func("/cli/bench/profile/train", "train", test_profile);
    g_test_add_func("/cli/bench/training_type", test_training_type);
    return g_test_run();
}
