/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * project and export as jobs: golden's identity goes out in every format and comes back; what was
 * lost and what is wrong is said.
 */
#include <math.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/job/job.h"
#include "tests/golden_files.h"
#include "tests/w2w/lora_files.h"
#include "tests/w2w/space_folder.h"

static W2wWorld *open_world(gboolean with_space)
{
    g_autofree char *model = w2w_golden_path("model"), *space = w2w_golden_path("space");
    g_autoptr(GError) error = NULL;
    W2wWorld *world = w2w_world_open_parts(model, with_space ? space : NULL, &error);

    g_assert_no_error(error);
    return world;
}

static W2wPipeline *open_pipeline(void)
{
    const W2wDeviceOptions options = {.n_threads = 1};
    g_autoptr(GError) error = NULL;
    W2wDevice *device = w2w_device_new("cpu", &options, &error);
    W2wPipeline *pipeline;

    g_assert_no_error(error);
    pipeline = w2w_pipeline_new(open_world(TRUE), device, &error);
    g_assert_no_error(error);
    return pipeline;
}

static void keep_result(W2wJobResult *result, gpointer user_data)
{
    W2wJobResult **kept = user_data;

    g_assert_null(*kept);
    *kept = result;
}

static W2wValues *project_values(const char *path)
{
    W2wValues *values = w2w_values_new(w2w_project_job.parameters, w2w_project_job.n_parameters);
    g_autoptr(GError) error = NULL;

    w2w_values_set_text(values, "lora-file", path, &error);
    g_assert_no_error(error);
    w2w_values_set_text(values, "no-picture", "true", &error);
    g_assert_no_error(error);
    return values;
}

static W2wJobResult *project(W2wPipeline *pipeline, const char *path)
{
    g_autoptr(W2wValues) values = project_values(path);
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    w2w_project_job.check(w2w_pipeline_get_world(pipeline), values, &error);
    g_assert_no_error(error);
    w2w_project_job.run(pipeline, values, keep_result, &result, NULL, &error);
    g_assert_no_error(error);
    g_assert_null(result->picture);
    return result;
}

static W2wJobResult *export(W2wPipeline *pipeline, GBytes *identity, const char *format)
{
    g_autoptr(W2wValues) values =
        w2w_values_new(w2w_export_job.parameters, w2w_export_job.n_parameters);
    g_autoptr(GError) error = NULL;
    W2wJobResult *result = NULL;

    w2w_values_set_bytes(values, "identity", identity, &error);
    g_assert_no_error(error);
    w2w_values_set_text(values, "format", format, &error);
    g_assert_no_error(error);
    w2w_export_job.check(w2w_pipeline_get_world(pipeline), values, &error);
    g_assert_no_error(error);
    w2w_export_job.run(pipeline, values, keep_result, &result, NULL, &error);
    g_assert_no_error(error);
    return result;
}

static W2wIdentity *read_identity(const W2wJobResult *result)
{
    g_autoptr(GError) error = NULL;
    W2wIdentity *identity = w2w_identity_from_bytes(result->identity, "the result", &error);

    g_assert_no_error(error);
    return identity;
}

static double get_part(const W2wJobResult *result, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) report =
        w2w_json_parse(result->report, strlen(result->report), "the report", &error);

    g_assert_no_error(error);
    return json_object_get_double_member(report, name);
}

/* The files into a new folder; what to open then. Caller frees. */
static char *write_files(const char *folder, const W2wJobResult *result)
{
    g_assert_cmpuint(result->files->len, >, 0);
    for (guint i = 0; i < result->files->len; i++) {
        const W2wJobFile *file = result->files->pdata[i];
        g_autofree char *path =
            g_build_filename(folder, *file->name != 0 ? file->name : "written.safetensors", NULL);
        g_autoptr(GError) error = NULL;

        g_file_set_contents(path, g_bytes_get_data(file->bytes, NULL),
                            (gssize)g_bytes_get_size(file->bytes), &error);
        g_assert_no_error(error);
    }
    return g_strdup(folder);
}

/* The names of export's choices are those of the formats, in their order. */
static void test_formats(void)
{
    const W2wParameter *parameter =
        w2w_parameter_lookup(w2w_export_job.parameters, w2w_export_job.n_parameters, "format");
    guint i;

    for (i = 0; w2w_lora_format_names[i] != NULL; i++)
        g_assert_cmpstr(parameter->choices[i], ==, w2w_lora_format_names[i]);
    g_assert_cmpstr(parameter->choices[i], ==, "w2wmodel");
    g_assert_null(parameter->choices[i + 1]);
}

static void test_there_and_back(void)
{
    g_autoptr(W2wPipeline) pipeline = open_pipeline();
    g_autofree char *adapter = w2w_golden_path("adapter_kohya");
    g_autoptr(W2wJobResult) first = project(pipeline, adapter);
    g_autoptr(W2wIdentity) identity = read_identity(first);

    g_assert_cmpfloat(get_part(first, "relative_difference"), <, 1e-5);
    g_assert_nonnull(identity->space_fingerprint);
    for (guint i = 0; w2w_lora_format_names[i] != NULL; i++) {
        g_autoptr(W2wJobResult) exported =
            export(pipeline, first->identity, w2w_lora_format_names[i]);
        char *folder = make_folder();
        g_autofree char *path = write_files(folder, exported);
        g_autoptr(W2wJobResult) second = project(pipeline, path);
        g_autoptr(W2wIdentity) back = read_identity(second);
        double worst = 0.0, largest = 0.0;

        g_assert_cmpstr(exported->name, ==, first->name);
        g_assert_cmpuint(back->n_coefficients, ==, identity->n_coefficients);
        for (guint j = 0; j < back->n_coefficients; j++) {
            worst = MAX(worst, fabs((double)back->coefficients[j] - identity->coefficients[j]));
            largest = MAX(largest, fabs(identity->coefficients[j]));
        }
        /* The columns of V are orthonormal to float32's precision, added up over all of them. */
        g_test_message("%s: %g of %g", w2w_lora_format_names[i], worst, largest);
        g_assert_cmpfloat(worst, <=, 1e-5 * largest);
        remove_folder(folder);
    }
}

static void test_w2wmodel(void)
{
    g_autoptr(W2wPipeline) pipeline = open_pipeline();
    g_autofree char *adapter = w2w_golden_path("adapter_kohya");
    g_autoptr(W2wJobResult) first = project(pipeline, adapter);
    g_autoptr(W2wIdentity) identity = read_identity(first), back = NULL;
    g_autoptr(W2wJobResult) exported = export(pipeline, first->identity, "w2wmodel"), second = NULL;
    const W2wJobFile *file = exported->files->pdata[0];
    char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "w2wmodel.pt", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(exported->files->len, ==, 1);
    g_file_set_contents(path, g_bytes_get_data(file->bytes, NULL),
                        (gssize)g_bytes_get_size(file->bytes), &error);
    g_assert_no_error(error);
    second = project(pipeline, path);
    back = read_identity(second);
    g_assert_cmpmem(back->coefficients, back->n_coefficients * sizeof(float),
                    identity->coefficients, identity->n_coefficients * sizeof(float));
    g_assert_nonnull(second->message);
    remove_folder(folder);
}

/* Modules that the space has not: counted by kind, and said. */
static void test_foreign(void)
{
    g_autoptr(W2wPipeline) pipeline = open_pipeline();
    W2wSpace *space = w2w_world_get_space(w2w_pipeline_get_world(pipeline));
    guint n_keys;
    const W2wSpaceKey *keys = w2w_space_get_keys(space, &n_keys), *a = NULL, *b = NULL;
    char *folder = make_folder();
    g_autofree char *a_key = NULL, *b_key = NULL, *path = NULL;
    g_autoptr(W2wJobResult) result = NULL;
    g_autoptr(JsonObject) report = NULL;
    g_autoptr(GError) error = NULL;
    JsonArray *outside;

    for (guint i = 0; i < n_keys && (a == NULL || b == NULL); i++)
        if (g_str_equal(keys[i].path, keys[0].path))
            *(keys[i].is_b ? &b : &a) = &keys[i];
    a_key = g_strdup_printf("unet.%s.lora_A.weight", a->path);
    b_key = g_strdup_printf("unet.%s.lora_B.weight", a->path);
    {
        const LoraTensor tensors[] = {
            {a_key, 2, {4, a->length}},
            {b_key, 2, {b->length, 4}},
            {"unet.down_blocks.0.resnets.0.conv1.lora_A.weight", 4, {2, 8, 3, 3}},
            {"unet.down_blocks.0.resnets.0.conv1.lora_B.weight", 4, {8, 2, 1, 1}},
            {"unet.down_blocks.1.resnets.1.conv1.lora_A.weight", 4, {2, 8, 3, 3}},
            {"unet.down_blocks.1.resnets.1.conv1.lora_B.weight", 4, {8, 2, 1, 1}},
            {NULL}};

        write_lora(folder, "style.safetensors", tensors, NULL);
    }
    path = g_build_filename(folder, "style.safetensors", NULL);
    result = project(pipeline, path);
    report = w2w_json_parse(result->report, strlen(result->report), "the report", &error);
    g_assert_no_error(error);
    outside = json_object_get_array_member(report, "modules_that_the_space_has_not");
    g_assert_cmpuint(json_array_get_length(outside), ==, 1);
    g_assert_cmpstr(
        json_object_get_string_member(json_array_get_object_element(outside, 0), "modules"), ==,
        "down_blocks.*.resnets.*.conv1");
    g_assert_cmpint(json_object_get_int_member(json_array_get_object_element(outside, 0), "count"),
                    ==, 2);
    g_assert_cmpint(json_object_get_int_member(report, "modules"), ==, 1);
    g_assert_cmpfloat(get_part(result, "percent_lost_to_other_modules"), >, 0.0);
    g_assert_cmpfloat(get_part(result, "percent_lost_to_other_modules"), <, 100.0);
    g_assert_cmpfloat(get_part(result, "percent_lost_to_rank_1"), >, 0.0);
    g_assert_nonnull(result->message);
    g_assert_cmpstr(result->name, ==, "style");
    remove_folder(folder);
}

static void test_refused(void)
{
    g_autoptr(W2wWorld) world = open_world(TRUE), model = open_world(FALSE);
    g_autofree char *adapter = w2w_golden_path("adapter_kohya");
    g_autoptr(W2wValues) none = project_values(""), missing = project_values("/no/such/file"),
                         good = project_values(adapter);
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_project_job.check(world, none, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_false(w2w_project_job.check(world, missing, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_clear_error(&error);
    g_assert_false(w2w_project_job.check(model, good, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/job/export/formats", test_formats);
    g_test_add_func("/job/export/there-and-back", test_there_and_back);
    g_test_add_func("/job/export/w2wmodel", test_w2wmodel);
    g_test_add_func("/job/project/foreign", test_foreign);
    g_test_add_func("/job/project/refused", test_refused);
    return g_test_run();
}
