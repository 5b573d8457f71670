/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * selftest: the embedded world on this machine, held against outputs of the original frameworks
 * that ship with the program (data/selftest): each network alone, and whole pictures from seeds.
 *
 * The tolerances are for float32 and float64. With bfloat16 the deviations are shown but not
 * judged: there is no frozen expectation for them.
 */
#include "cli/selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/terminal_progress.h"
#include "engine/error.h"
#include "engine/formats/json.h"

static gboolean check_options(const W2wCommandLine *line, GError **error)
{
    static const char *const foreign[] = {"world", "model", "space"};

    for (guint i = 0; i < G_N_ELEMENTS(foreign); i++)
        if (*w2w_values_get_string(line->general, foreign[i]) != 0) {
            g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                        "The outputs that selftest compares with are the embedded world's: leave "
                        "--%s out.",
                        foreign[i]);
            return FALSE;
        }
    return TRUE;
}

/* auto is what the tolerances are for. */
static W2wDevice *open_device(const W2wCommandLine *line, W2wComputeType *type, GError **error)
{
    W2wDeviceOptions options = {
        .n_threads = (guint)w2w_values_get_int(line->general, "threads"),
        .compute_type = (W2wComputeType)w2w_values_get_choice(line->general, "dtype"),
    };

    if (options.compute_type == W2W_COMPUTE_AUTO)
        options.compute_type = W2W_COMPUTE_F32;
    *type = options.compute_type;
    return w2w_device_new(w2w_values_get_string(line->general, "device"), &options, error);
}

/* "model name : …" of the first processor; the architecture where the system says no more. */
static char *describe_processor(void)
{
    g_autofree char *text = NULL;
    struct utsname names;

    if (g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) {
        const char *line = strstr(text, "model name");
        const char *colon = line != NULL ? strchr(line, ':') : NULL;

        if (colon != NULL) {
            g_autofree char *name = g_strndup(colon + 1, strcspn(colon + 1, "\n"));

            return g_utf8_make_valid(g_strstrip(name), -1);
        }
    }
    return g_strdup(uname(&names) == 0 ? names.machine : "unknown");
}

static void describe_machine(JsonObject *report, const W2wDevice *device)
{
    g_autofree char *processor = describe_processor();
    g_autofree char *described = w2w_device_describe(device);
    struct utsname names;

    json_object_set_string_member(report, "program", "w2w " W2W_VERSION);
    json_object_set_string_member(report, "processor", processor);
    if (uname(&names) == 0) {
        g_autofree char *system = g_strdup_printf("%s %s", names.sysname, names.machine);

        json_object_set_string_member(report, "system", system);
    }
    json_object_set_string_member(report, "device", described);
}

/* Whole pictures would take minutes on `reference`. */
static gboolean run_comparisons(W2wSelftest *test, const W2wProgress *progress, GError **error)
{
    const gboolean is_reference =
        strcmp(w2w_pipeline_get_device(test->pipeline)->klass->name, "reference") == 0;

    return w2w_selftest_networks(test, progress, error) &&
           (is_reference || w2w_selftest_pictures(test, progress, error));
}

static void add_results(JsonObject *report, const W2wSelftest *test, guint *n_failed)
{
    JsonArray *rows = json_array_new();

    *n_failed = 0;
    for (guint i = 0; i < test->results->len; i++) {
        const W2wSelftestResult *result = &g_array_index(test->results, W2wSelftestResult, i);
        JsonObject *row = json_object_new();

        json_object_set_string_member(row, "part", result->part);
        json_object_set_string_member(row, "array", result->array);
        json_object_set_double_member(row, "deviation", round(result->deviation * 1000.0) / 1000.0);
        json_object_set_string_member(row, "result",
                                      !test->is_judged    ? "not judged"
                                      : result->is_passed ? "passed"
                                                          : "FAILED");
        json_array_add_object_element(rows, row);
        *n_failed += test->is_judged && !result->is_passed;
    }
    json_object_set_array_member(report, "comparisons", rows);
}

static gboolean run_selftest(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    g_autoptr(JsonObject) own = json_object_new();
    JsonObject *report = json != NULL ? json : own;
    const W2wProgress progress = {w2w_terminal_progress_report, NULL, w2w_interrupt_start()};
    const gint64 start = g_get_monotonic_time();
    g_auto(W2wSelftest) test = {NULL};
    W2wComputeType type;
    W2wDevice *device;
    guint n_failed = 0;
    gboolean ok;

    if (!check_options(line, error))
        return FALSE;
    device = open_device(line, &type, error);
    if (device == NULL)
        return FALSE;
    describe_machine(report, device);
    ok = w2w_selftest_init(&test, device, error) && run_comparisons(&test, &progress, error);
    w2w_terminal_progress_clear();
    if (!ok)
        return FALSE;
    test.is_judged = type != W2W_COMPUTE_BF16;
    add_results(report, &test, &n_failed);
    json_object_set_double_member(report, "seconds", (g_get_monotonic_time() - start) / 1e6);
    json_object_set_int_member(report, "failed", n_failed);
    json_object_set_string_member(
        report, "note",
        test.is_judged
            ? "deviation: the worst, in units of what float32 is allowed; up to 1 is passed."
            : "The tolerances are for float32: what bfloat16 deviates is shown in their units, and "
              "not judged.");
    if (json == NULL)
        w2w_report_print(stdout, report);
    if (n_failed > 0) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_FAILED,
                    "%u of %u comparisons failed: this machine does not compute what it should. "
                    "Please report the table.",
                    n_failed, test.results->len);
        return FALSE;
    }
    return TRUE;
}

const W2wCommand w2w_selftest_command = {
    .name = "selftest",
    .group = "This machine",
    .blurb = "Check that this machine computes what it should.",
    .help = "Runs the embedded world's networks, and pictures from seeds, and compares them with "
            "outputs of the original frameworks that ship with the program. Prints a table that "
            "can be reported; the exit code is 1 where something is too far from the original. "
            "With --device reference only the networks are run. --dtype auto means f32 here.",
    .run = run_selftest,
};
