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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/output/folder", test_folder);
    g_test_add_func("/cli/output/no-picture", test_no_picture);
    return g_test_run();
}
