/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Results as files, in each layout that a job of the table has. */
#include <string.h>

#include "cli/output.h"
#include "engine/error.h"
#include "tests/cli/cli_run.h"

static W2wJobResult *make_result(const char *stem)
{
    W2wJobResult *result = g_new0(W2wJobResult, 1);

    result->picture = w2w_picture_new(2, 2, NULL);
    result->identity = g_bytes_new_static("identity", 8);
    result->seed = 7;
    result->name = g_strdup("Somebody");
    result->recipe = g_strdup("{}");
    result->stem = g_strdup(stem);
    return result;
}

static void test_folder(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "new", NULL);
    g_autoptr(W2wOutput) output = w2w_output_new(&w2w_sample_job, path, NULL);
    const char *const stems[] = {NULL, "frame-03", "../out"};
    g_autofree char *list = NULL;
    g_autofree char *outer = NULL;

    g_assert_nonnull(output);
    for (guint i = 0; i < G_N_ELEMENTS(stems); i++) {
        g_autoptr(W2wJobResult) result = make_result(stems[i]);
        g_auto(W2wWritten) written = {NULL};

        g_assert_true(w2w_output_write(output, result, &written, NULL));
        g_assert_true(g_file_test(written.identity, G_FILE_TEST_IS_REGULAR));
        g_assert_true(g_file_test(written.picture, G_FILE_TEST_IS_REGULAR));
        g_assert_null(written.files);
    }
    list = cli_list_folder(path);
    outer = cli_list_folder(folder);
    g_assert_cmpstr(list, ==,
                    ".._out.png .._out.safetensors frame-03.png frame-03.safetensors "
                    "person-7.png person-7.safetensors");
    g_assert_cmpstr(outer, ==, "new");
    cli_remove_folder(folder);
}

/* What a result lacks is not written: an identity without its picture. */
static void test_no_picture(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *path = g_build_filename(folder, "a.safetensors", NULL);
    g_autoptr(W2wOutput) output = w2w_output_new(&w2w_edit_job, path, NULL);
    g_autoptr(W2wJobResult) result = make_result(NULL);
    g_auto(W2wWritten) written = {NULL};
    g_autofree char *list = NULL;

    g_clear_pointer(&result->picture, w2w_picture_free);
    g_assert_true(w2w_output_write(output, result, &written, NULL));
    g_assert_cmpstr(written.identity, ==, path);
    g_assert_null(written.picture);
    list = cli_list_folder(folder);
    g_assert_cmpstr(list, ==, "a.safetensors");
    cli_remove_folder(folder);
}

static void add_file(W2wJobResult *result, const char *name)
{
    if (result->files == NULL)
        result->files = g_ptr_array_new_with_free_func((GDestroyNotify)w2w_job_file_free);
    g_ptr_array_add(result->files, w2w_job_file_new(name, g_bytes_new_static("lora", 4)));
}

static void write_lora(const char *path, const char *file_name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wOutput) output = w2w_output_new(&w2w_dreambooth_job, path, &error);
    g_autoptr(W2wJobResult) result = make_result(NULL);
    g_auto(W2wWritten) written = {NULL};

    g_assert_no_error(error);
    add_file(result, file_name);
    w2w_output_write(output, result, &written, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(written.files->len, ==, 1);
}

/* A LoRA with its identity and picture beside it, as a file and as a folder; where a folder stands
 * in the way of a file, the file goes into it. */
static void test_lora(void)
{
    g_autofree char *folder = cli_make_folder();
    g_autofree char *file = g_build_filename(folder, "a.safetensors", NULL);
    g_autofree char *peft = g_build_filename(folder, "b", NULL);
    g_autofree char *slash = g_strconcat(peft, "/", NULL);
    g_autofree char *picture = g_build_filename(folder, "c.png", NULL);
    g_autofree char *list = NULL;
    g_autofree char *inner = NULL;
    g_autoptr(GError) error = NULL;

    write_lora(file, "");
    write_lora(peft, "adapter_model.safetensors");
    write_lora(slash, "");
    list = cli_list_folder(folder);
    inner = cli_list_folder(peft);
    g_assert_cmpstr(list, ==,
                    "a-identity.safetensors a.png a.safetensors b b-identity.safetensors b.png");
    g_assert_cmpstr(inner, ==, "adapter_model.safetensors pytorch_lora_weights.safetensors");
    g_assert_null(w2w_output_new(&w2w_dreambooth_job, picture, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_USAGE);
    cli_remove_folder(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/output/folder", test_folder);
    g_test_add_func("/cli/output/no-picture", test_no_picture);
    g_test_add_func("/cli/output/lora", test_lora);
    return g_test_run();
}
