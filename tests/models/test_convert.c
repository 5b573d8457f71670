/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every form converted is the golden model again; and nothing is left of what fails. */
#include "engine/models/convert.h"

#include <glib/gstdio.h>
#include <string.h>

#include "engine/error.h"
#include "engine/formats/json.h"
#include "engine/models/part_files.h"
#include "engine/models/tokenizer.h"
#include "engine/models/unet.h"
#include "tests/golden_files.h"
#include "tests/models/model_forms.h"

static ModelSource *source;
static char *clip;

static char *make_folder(void)
{
    g_autoptr(GError) error = NULL;
    char *folder = g_dir_make_tmp("w2w-convert-XXXXXX", &error);

    g_assert_no_error(error);
    return folder;
}

static void compare(const char *folder, W2wModelPart part, W2wDType dtype)
{
    g_autoptr(GHashTable) expected = model_forms_convert(source->part[part], dtype);
    g_autofree char *path = g_build_filename(folder, w2w_model_part_names[part], NULL);
    g_autofree char *file = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) found = w2w_part_read_weights(path, part, &file, &error);
    GHashTableIter iter;
    gpointer name, value;

    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(file, ".safetensors"));
    g_assert_cmpuint(g_hash_table_size(found), ==, g_hash_table_size(expected));
    g_hash_table_iter_init(&iter, expected);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const W2wArray *wanted = value, *array = g_hash_table_lookup(found, name);
        const gsize n_bytes = (gsize)wanted->n_elements * w2w_dtype_size(dtype);

        g_assert_nonnull(array);
        g_assert_cmpint(array->dtype, ==, dtype);
        g_assert_true(w2w_array_has_shape(array, wanted->n_dims, wanted->shape));
        g_assert_cmpmem(array->data, n_bytes, wanted->data, n_bytes);
    }
}

static void compare_all(const char *folder, W2wDType dtype)
{
    static const char *const others[] = {"model_index.json", "scheduler/scheduler_config.json",
                                         "unet/config.json"};
    g_autofree char *tokenizer_path = g_build_filename(folder, "tokenizer", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(W2wTokenizer) tokenizer = w2w_tokenizer_new(tokenizer_path, &error);

    g_assert_no_error(error);
    g_assert_nonnull(tokenizer);
    for (W2wModelPart part = 0; part < W2W_N_MODEL_PARTS; part++)
        compare(folder, part, dtype);
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *path = g_build_filename(folder, others[i], NULL);
        g_autoptr(JsonObject) object = w2w_json_load(path, &error);

        g_assert_no_error(error);
        g_assert_true(json_object_has_member(object, "_class_name"));
    }
}

static const ModelForm *find_form(const char *name)
{
    for (const ModelForm *form = model_forms; form->name != NULL; form++)
        if (g_str_equal(form->name, name))
            return form;
    g_error("There is no form %s.", name);
}

/* A form in a folder of its own, ready to be converted. */
static char *write_form(const char *name, const char *folder)
{
    const ModelForm *form = find_form(name);
    g_autofree char *out = g_build_filename(folder, "source", NULL);
    g_autofree char *tokenizer = g_build_filename(out, "tokenizer", NULL);
    g_autofree char *scheduler = g_build_filename(out, "scheduler", NULL);
    g_autofree char *golden_scheduler = g_build_filename(source->folder, "scheduler", NULL);

    g_assert_cmpint(g_mkdir(out, 0777), ==, 0);
    form->write(source, out);
    if (!form->is_file) {
        g_autoptr(GFile) link = g_file_new_for_path(tokenizer);
        g_autoptr(GFile) other = g_file_new_for_path(scheduler);

        g_assert_true(g_file_make_symbolic_link(link, clip, NULL, NULL));
        g_assert_true(g_file_make_symbolic_link(other, golden_scheduler, NULL, NULL));
    }
    return model_forms_get_path(form, out);
}

static void test_form(gconstpointer data)
{
    static const W2wDType dtypes[] = {W2W_DTYPE_F16, W2W_DTYPE_BF16, W2W_DTYPE_F32};
    g_autofree char *folder = make_folder();
    g_autofree char *model = write_form(data, folder);

    for (guint i = 0; i <= G_N_ELEMENTS(dtypes); i++) {
        const gboolean keep = i == G_N_ELEMENTS(dtypes);
        const W2wConvertOptions options = {
            .clip = clip, .keep_dtypes = keep, .dtype = keep ? W2W_DTYPE_F32 : dtypes[i]};
        g_autofree char *name = g_strdup_printf("converted-%u", i);
        g_autofree char *out = g_build_filename(folder, name, NULL);
        g_autoptr(GError) error = NULL;

        w2w_model_convert(model, out, &options, NULL, &error);
        g_assert_no_error(error);
        compare_all(out, keep ? W2W_DTYPE_F16 : dtypes[i]);
    }
    model_forms_remove(folder);
}

static guint count_entries(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir) != NULL)
        n++;
    return n;
}

static void test_vae(void)
{
    W2wConvertOptions options = {.clip = clip, .keep_dtypes = TRUE};
    g_autofree char *folder = make_folder();
    g_autofree char *model = write_form("checkpoint_without_vae", folder);
    g_autofree char *vae = g_build_filename(source->folder, "vae", NULL);
    const char *const vaes[] = {vae, source->folder};
    g_autofree char *without = g_build_filename(folder, "without", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_false(w2w_model_convert(model, without, &options, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FORMAT);
    g_assert_nonnull(strstr(error->message, "--vae"));
    g_clear_error(&error);
    g_assert_cmpuint(count_entries(folder), ==, 1);
    for (guint i = 0; i < G_N_ELEMENTS(vaes); i++) {
        g_autofree char *name = g_strdup_printf("with-%u", i);
        g_autofree char *out = g_build_filename(folder, name, NULL);

        options.vae = vaes[i];
        w2w_model_convert(model, out, &options, NULL, &error);
        g_assert_no_error(error);
        compare_all(out, W2W_DTYPE_F16);
    }
    model_forms_remove(folder);
}

/* An empty folder is filled; one that is not is left alone. */
static void test_places(void)
{
    const W2wConvertOptions options = {.clip = clip, .keep_dtypes = TRUE};
    g_autofree char *folder = make_folder();
    g_autofree char *out = g_build_filename(folder, "out", NULL);
    g_autofree char *nowhere = g_build_filename(folder, "nothing", "out", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir(out, 0777), ==, 0);
    w2w_model_convert(source->folder, out, &options, NULL, &error);
    g_assert_no_error(error);
    compare_all(out, W2W_DTYPE_F16);
    g_assert_false(w2w_model_convert(source->folder, out, &options, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_nonnull(strstr(error->message, out));
    g_clear_error(&error);
    g_assert_false(w2w_model_convert(source->folder, nowhere, &options, NULL, &error));
    g_assert_error(error, W2W_ERROR, W2W_ERROR_FILE);
    g_assert_cmpuint(count_entries(folder), ==, 1);
    model_forms_remove(folder);
}

typedef struct {
    GCancellable *cancellable;
    double last;
    guint n_reports, cancel_at; /* 0: never */
} Reports;

static void on_progress(double fraction, const char *text, gpointer user_data)
{
    Reports *reports = user_data;

    g_assert_cmpfloat(fraction, >=, reports->last);
    g_assert_cmpfloat(fraction, <=, 1);
    g_assert_nonnull(text);
    reports->last = fraction;
    if (++reports->n_reports == reports->cancel_at)
        g_cancellable_cancel(reports->cancellable);
}

static void test_cancelling(void)
{
    const W2wConvertOptions options = {.clip = clip, .keep_dtypes = TRUE};
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Reports reports = {.cancellable = cancellable};
    const W2wProgress progress = {on_progress, &reports, cancellable};
    g_autofree char *folder = make_folder();
    g_autofree char *out = g_build_filename(folder, "out", NULL);
    g_autofree char *other = g_build_filename(folder, "other", NULL);
    g_autoptr(GError) error = NULL;

    w2w_model_convert(source->folder, out, &options, &progress, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(reports.n_reports, >, 10);
    reports = (Reports){.cancellable = cancellable, .cancel_at = reports.n_reports / 2};
    g_assert_false(w2w_model_convert(source->folder, other, &options, &progress, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_cmpuint(count_entries(folder), ==, 1);
    model_forms_remove(folder);
}

int main(int argc, char **argv)
{
    static const char *const forms[] = {"today", "bin_of_old_names_with_convolutions",
                                        "safetensors_shards", "checkpoint_of_a_training",
                                        "checkpoint_with_average_alone"};
    g_autofree char *model = w2w_golden_path("model");
    int result;

    g_test_init(&argc, &argv, NULL);
    source = model_source_new(model);
    clip = g_canonicalize_filename("clip", g_getenv("W2W_DATA_DIR"));
    for (guint i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree char *name = g_strconcat("/convert/", forms[i], NULL);

        g_test_add_data_func(name, forms[i], test_form);
    }
    g_test_add_func("/convert/a_vae_from_elsewhere", test_vae);
    g_test_add_func("/convert/nothing_is_overwritten", test_places);
    g_test_add_func("/convert/cancelling_leaves_nothing", test_cancelling);
    result = g_test_run();
    model_source_free(source);
    g_free(clip);
    return result;
}
