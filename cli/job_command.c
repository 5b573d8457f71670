/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs a job, with its results written as they come. */
#include "cli/job_command.h"

#include <stdio.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/terminal_progress.h"
#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/pipeline/pipeline.h"

typedef struct {
    const W2wOutput *output;
    GCancellable *cancellable;
    JsonArray *results; /* NULL without --json */
    const char *job_name;
    gboolean report_seed; /* nobody chose it */
    guint n_written;
    guint64 last_seed;
    GError *error; /* of writing; the job is cancelled then */
} Run;

static void add_path(JsonObject *object, const char *name, const char *path)
{
    g_autofree char *shown = path != NULL ? g_filename_display_name(path) : NULL;

    if (shown != NULL)
        json_object_set_string_member(object, name, shown);
}

static JsonNode *parse_object(const char *text)
{
    return text != NULL ? w2w_json_parse_any(text, strlen(text), "JSON", NULL) : NULL;
}

static void add_result(JsonArray *results, const W2wJobResult *result, const W2wWritten *written)
{
    JsonObject *object = json_object_new();
    JsonNode *recipe = parse_object(result->recipe);
    JsonNode *report = parse_object(result->report);

    if (result->name != NULL)
        json_object_set_string_member(object, "name", result->name);
    if (recipe != NULL)
        json_object_set_int_member(object, "seed", (gint64)result->seed);
    add_path(object, "identity", written->identity);
    add_path(object, "picture", written->picture);
    if (written->files != NULL) {
        JsonArray *files = json_array_new();

        for (guint i = 0; i < written->files->len; i++) {
            g_autofree char *shown = g_filename_display_name(written->files->pdata[i]);

            json_array_add_string_element(files, shown);
        }
        json_object_set_array_member(object, "files", files);
    }
    if (recipe != NULL)
        json_object_set_member(object, "recipe", recipe);
    if (report != NULL)
        json_object_set_member(object, "report", report);
    if (result->message != NULL)
        json_object_set_string_member(object, "message", result->message);
    json_array_add_object_element(results, object);
}

/* Names of files one a line, and what was found: standard output is for them alone. */
static void print_result(const W2wJobResult *result, const W2wWritten *written)
{
    g_autoptr(JsonObject) report =
        result->report != NULL
            ? w2w_json_parse(result->report, strlen(result->report), "report", NULL)
            : NULL;

    if (written->identity != NULL)
        printf("%s\n", written->identity);
    if (written->picture != NULL)
        printf("%s\n", written->picture);
    for (guint i = 0; written->files != NULL && i < written->files->len; i++)
        printf("%s\n", (const char *)written->files->pdata[i]);
    if (report != NULL)
        w2w_report_print(stdout, report);
    fflush(stdout); /* whoever reads along may use it already */
}

static void write_result(Run *run, const W2wJobResult *result)
{
    g_auto(W2wWritten) written = {NULL};

    if (!w2w_output_write(run->output, result, &written, &run->error)) {
        g_cancellable_cancel(run->cancellable);
        return;
    }
    run->n_written++;
    w2w_terminal_progress_clear();
    if (run->report_seed && result->picture != NULL &&
        (run->n_written == 1 || result->seed != run->last_seed)) /* frames share one */
        fprintf(stderr, "Seed %" G_GUINT64_FORMAT "\n", result->seed);
    run->last_seed = result->seed;
    if (result->message != NULL)
        fprintf(stderr, "%s: %s\n", result->name != NULL ? result->name : run->job_name,
                result->message);
    if (run->results != NULL)
        add_result(run->results, result, &written);
    else
        print_result(result, &written);
}

static void on_result(W2wJobResult *given, gpointer user_data)
{
    g_autoptr(W2wJobResult) result = given;
    Run *run = user_data;

    if (run->error == NULL)
        write_result(run, result);
}

/* The job checks this too, but knows no names of files. */
static gboolean check_identities(const W2wCommandLine *line, W2wWorld *world, GError **error)
{
    W2wSpace *space = w2w_world_get_space(world);

    for (guint i = 0; space != NULL && i < line->files->len; i++) {
        const W2wCommandLineFile *file = line->files->pdata[i];
        g_autofree char *shown = g_filename_display_name(file->path);
        g_autoptr(W2wIdentity) identity = NULL;

        if (file->parameter->type == W2W_PARAMETER_PICTURE ||
            file->parameter->type == W2W_PARAMETER_PICTURES)
            continue;
        identity = w2w_identity_from_bytes(file->bytes, shown, error);
        if (identity == NULL || !w2w_identity_check(identity, space, shown, error))
            return FALSE;
    }
    return TRUE;
}

/* The job's own checks, with what the command line knows about finding the right names. */
static gboolean check_values(const W2wCommandLine *line, W2wWorld *world, GError **error)
{
    GError *problem = NULL;

    if (!check_identities(line, world, error))
        return FALSE;
    if (line->command->job->check(world, line->values, &problem))
        return TRUE;
    if (g_error_matches(problem, W2W_ERROR, W2W_ERROR_USAGE) &&
        w2w_command_get_edits(line->command) != NULL) {
        g_set_error(error, W2W_ERROR, W2W_ERROR_USAGE,
                    "%s (w2w info lists the directions of a world.)", problem->message);
        g_error_free(problem);
    } else {
        g_propagate_error(error, problem);
    }
    return FALSE;
}

/* What is said where the job was cancelled: by a failed write, or by the user. */
static void explain_cancelled(Run *run, GError **error)
{
    if (run->error != NULL) {
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&run->error));
    } else if (g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_clear_error(error);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                    run->n_written > 0 ? "Cancelled; the results so far are kept."
                                       : "Cancelled; nothing was written.");
    }
}

static void describe_run(JsonObject *json, const W2wCommandLine *line, W2wPipeline *pipeline,
                         double seconds)
{
    const W2wWorldCard *card = w2w_world_get_card(w2w_pipeline_get_world(pipeline));
    g_autofree char *device = w2w_device_describe(w2w_pipeline_get_device(pipeline));

    json_object_set_string_member(json, "command", line->command->name);
    if (card->name != NULL)
        json_object_set_string_member(json, "world", card->name);
    json_object_set_string_member(json, "device", device);
    json_object_set_double_member(json, "seconds", seconds);
}

/* "" where there is no such option, or it was left out. */
static const char *output_path(const W2wCommandLine *line)
{
    return line->command->n_own_parameters > 0 ? w2w_values_get_string(line->own_values, "output")
                                               : "";
}

static gboolean run_job(const W2wCommandLine *line, JsonObject *json, GError **error)
{
    const W2wJob *job = line->command->job;
    Run run = {.cancellable = w2w_interrupt_start()};
    const W2wProgress progress = {w2w_terminal_progress_report, NULL, run.cancellable};
    const gint64 start = g_get_monotonic_time();
    g_autoptr(W2wWorld) world = w2w_session_open_world(line, error);
    g_autoptr(W2wOutput) output = NULL;
    g_autoptr(W2wPipeline) pipeline = NULL;
    W2wDevice *device;
    gboolean ok;

    if (world == NULL || !check_values(line, world, error))
        return FALSE;
    output = w2w_output_new(job, output_path(line), error);
    device = output != NULL ? w2w_session_open_device(line, error) : NULL;
    if (device == NULL)
        return FALSE;
    w2w_terminal_progress_report(0.0, "Opening the model", NULL);
    pipeline = w2w_pipeline_new(g_steal_pointer(&world), device, error);
    if (pipeline == NULL) {
        w2w_terminal_progress_clear();
        return FALSE;
    }

    run.output = output;
    run.job_name = job->name;
    run.report_seed = w2w_parameter_lookup(job->parameters, job->n_parameters, "seed") != NULL &&
                      w2w_values_get_int(line->values, "seed") < 0;
    run.results = json != NULL ? json_array_new() : NULL;
    ok = job->run(pipeline, line->values, on_result, &run, &progress, error);
    w2w_terminal_progress_clear();
    if (json != NULL) {
        describe_run(json, line, pipeline, (g_get_monotonic_time() - start) / 1e6);
        json_object_set_array_member(json, "results", run.results);
    }
    if (ok && run.error != NULL) { /* the last result could not be written */
        g_propagate_error(error, g_steal_pointer(&run.error));
        return FALSE;
    }
    if (!ok)
        explain_cancelled(&run, error);
    return ok;
}

W2wCommand *w2w_job_command_new(const W2wJob *job)
{
    W2wCommand *command = g_new0(W2wCommand, 1);

    command->name = job->name;
    command->group = "Identities and pictures";
    command->blurb = job->blurb;
    command->help = job->help;
    command->parameters = job->parameters;
    command->n_parameters = job->n_parameters;
    command->own_parameters = w2w_output_get_parameter(job);
    command->n_own_parameters = command->own_parameters != NULL ? 1 : 0;
    if (job->argument != NULL) {
        command->arguments = job->argument_word != NULL ? job->argument_word : "FILE";
        command->argument_parameter = job->argument;
    }
    command->job = job;
    command->run = run_job;
    return command;
}
